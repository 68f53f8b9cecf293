// SPDX-License-Identifier: MIT
// Bytes as text, and all the small damage that can be done to them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <annals/types.hpp>

namespace annals::test {

/// "00 1f a0"
inline std::string hex(Bytes bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (std::byte const byte : bytes) {
        auto const value = std::to_integer<unsigned>(byte);
        if (!text.empty()) text += ' ';
        text += digits[value >> 4];
        text += digits[value & 15];
    }
    return text;
}

/// The bytes that such a text says; whatever is no digit only separates.
inline std::vector<std::byte> from_hex(std::string_view text) {
    auto const digit = [](char c) {
        if (c >= '0' && c <= '9') return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    };
    std::vector<std::byte> bytes;
    int high = -1;
    for (char const c : text) {
        int const value = digit(c);
        if (value >= 0 && high >= 0) bytes.push_back(static_cast<std::byte>(high * 16 + value));
        high = value >= 0 && high < 0 ? value : -1;
    }
    return bytes;
}

/// Calls `use(damaged, place)` for each byte changed in each bit, and in all of them.
template <class Use>
void for_each_change(std::vector<std::byte> bytes, Use const& use) {
    for (std::size_t place = 0; place < bytes.size(); ++place) {
        for (unsigned const mask : {1u, 2u, 4u, 8u, 16u, 32u, 64u, 128u, 255u}) {
            bytes[place] ^= static_cast<std::byte>(mask);
            use(std::as_const(bytes), place);
            bytes[place] ^= static_cast<std::byte>(mask);
        }
    }
}

}  // namespace annals::test
