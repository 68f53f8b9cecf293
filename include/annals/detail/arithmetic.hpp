// SPDX-License-Identifier: MIT
// Alignment, sums that cannot wrap, and little-endian words at places of any alignment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include <annals/config.hpp>

namespace annals::inline v1::detail {

[[nodiscard]] constexpr std::uint64_t align_up(std::uint64_t value,
                                               std::uint64_t alignment) noexcept {
    return (value + alignment - 1) & ~(alignment - 1);
}

/// The sum, or the largest number where it would wrap: a length that no limit lets pass.
[[nodiscard]] constexpr std::uint64_t add_saturating(std::uint64_t a, std::uint64_t b) noexcept {
    return a > std::numeric_limits<std::uint64_t>::max() - b
               ? std::numeric_limits<std::uint64_t>::max()
               : a + b;
}

[[nodiscard]] constexpr bool is_power_of_two(std::uint64_t value) noexcept {
    return value != 0 && (value & (value - 1)) == 0;
}

/// The smallest power of two that is not below `value`, which must not pass 2^63.
[[nodiscard]] constexpr std::uint64_t power_of_two_for(std::uint64_t value) noexcept {
    std::uint64_t power = 1;
    while (power < value) power <<= 1;
    return power;
}

template <class T>
[[nodiscard]] T load(std::byte const* from) noexcept {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <class T>
void store(std::byte* to, T const& value) noexcept {
    static_assert(std::is_trivially_copyable_v<T>);
    std::memcpy(to, &value, sizeof value);
}

}  // namespace annals::inline v1::detail
