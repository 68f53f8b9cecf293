// SPDX-License-Identifier: MIT
// Sequence numbers as keys whose bytes sort as the numbers do.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace bench {

class BigEndianKey {
public:
    explicit BigEndianKey(std::uint64_t number) noexcept {
        number = __builtin_bswap64(number);
        std::memcpy(bytes_, &number, sizeof bytes_);
    }
    [[nodiscard]] char const* data() const noexcept { return bytes_; }
    [[nodiscard]] std::size_t size() const noexcept { return sizeof bytes_; }

    [[nodiscard]] static std::uint64_t number(std::string_view bytes) noexcept {
        std::uint64_t number = 0;
        std::memcpy(&number, bytes.data(), sizeof number);
        return __builtin_bswap64(number);
    }

private:
    char bytes_[8];
};

}  // namespace bench
