// SPDX-License-Identifier: MIT
// What the tests of codecs share: bytes as hexadecimal text, and the code that a call fails with.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <annals/codec.hpp>

#include "catch.hpp"

namespace codec_tests {

inline std::string to_hex(annals::Bytes bytes) {
    std::string text;
    for (std::byte const byte : bytes) {
        for (unsigned const digit :
             {std::to_integer<unsigned>(byte) >> 4, std::to_integer<unsigned>(byte) & 15u}) {
            text.push_back("0123456789abcdef"[digit]);
        }
    }
    return text;
}

/// Blanks between the bytes are for the reader.
inline std::vector<std::byte> from_hex(std::string_view text) {
    std::vector<std::byte> bytes;
    unsigned high = 16;
    for (char const c : text) {
        if (c == ' ') continue;
        auto const digit = static_cast<unsigned>(std::string_view{"0123456789abcdef"}.find(c));
        REQUIRE(digit < 16);
        if (high == 16) {
            high = digit;
        } else {
            bytes.push_back(static_cast<std::byte>(high * 16 + digit));
            high = 16;
        }
    }
    REQUIRE(high == 16);
    return bytes;
}

/// As a record's value would be encoded; as a key it must have the same bytes.
template <annals::HasCodec T>
std::string encoded(annals::codec_argument_t<T> const& argument) {
    annals::detail::ValueEncoder<T> const value{argument};
    // What is not written keeps this mark, so that it shows.
    std::vector<std::byte> bytes(value.size(), std::byte{0xaa});
    value.write(bytes);
    annals::detail::KeyEncoder<T> const key{argument};
    CHECK(to_hex(key.bytes()) == to_hex(bytes));
    return to_hex(bytes);
}

/// For types that decode to values.
template <annals::HasCodec T>
annals::codec_result_t<T> decoded(std::string_view hex) {
    return annals::decode_as<T>(from_hex(hex));
}

struct Failure {
    annals::Errc code = annals::Errc::ok;
    std::string message;
};

template <class Call>
Failure failure_of(Call&& call) {
    try {
        call();
    } catch (annals::Error const& error) {
        return {error.code(), error.what()};
    }
    return {};
}

template <class Call>
annals::Errc code_of(Call&& call) {
    return failure_of(call).code;
}

template <annals::HasCodec T>
annals::Errc decode_code(std::string_view hex) {
    return code_of([&] { (void)annals::decode_as<T>(from_hex(hex)); });
}

}  // namespace codec_tests
