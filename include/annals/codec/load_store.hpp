// SPDX-License-Identifier: MIT
// Numbers to little-endian bytes and back, with every bound checked: the building blocks of codecs.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {
namespace detail {

/// What has one size and one representation on all machines of Annals.
template <class T>
concept Scalar = !std::is_const_v<T> && !std::is_volatile_v<T> &&
                 (std::is_enum_v<T> || (std::is_integral_v<T> && sizeof(T) <= 8) ||
                  std::same_as<T, float> || std::same_as<T, double>);

[[noreturn, gnu::cold, gnu::noinline]] inline void raise_decode_size(std::string_view what,
                                                                     std::size_t needed,
                                                                     std::size_t given) {
    std::string message{what};
    message.append(" of ").append(std::to_string(needed));
    message.append(" bytes cannot be read from ").append(std::to_string(given));
    raise(Errc::decode_failed, message);
}

[[noreturn, gnu::cold, gnu::noinline]] inline void raise_no_room(std::size_t needed,
                                                                 std::size_t given) {
    raise(Errc::invalid_argument, std::to_string(needed) + " bytes do not fit into the " +
                                      std::to_string(given) + " given to encode into");
}

[[noreturn, gnu::cold, gnu::noinline]] inline void raise_no_bool(std::uint8_t byte) {
    raise(Errc::decode_failed, "the byte of a bool is neither 0 nor 1 but " + std::to_string(byte));
}

}  // namespace detail

/// The number, enum or bool in the first bytes of `in`; what follows them is left alone. Throws
/// decode_failed where `in` is too short, or where the byte of a bool is neither 0 nor 1.
template <detail::Scalar T>
[[nodiscard]] T load_le(Bytes in) {
    if constexpr (std::is_enum_v<T>) {
        return static_cast<T>(load_le<std::underlying_type_t<T>>(in));
    } else if constexpr (std::same_as<T, bool>) {
        auto const byte = load_le<std::uint8_t>(in);
        if (byte > 1) detail::raise_no_bool(byte);
        return byte == 1;
    } else {
        if (in.size() < sizeof(T)) detail::raise_decode_size("a number", sizeof(T), in.size());
        T value{};
        std::memcpy(&value, in.data(), sizeof(T));
        return value;
    }
}

/// Writes the number, enum or bool into the first bytes of `out`. Throws invalid_argument where
/// `out` is too short.
template <detail::Scalar T>
void store_le(MutableBytes out, T value) {
    if (out.size() < sizeof(T)) detail::raise_no_room(sizeof(T), out.size());
    std::memcpy(out.data(), &value, sizeof(T));
}

/// Copies all of `from` into the first bytes of `to`; the two must not overlap. Throws
/// invalid_argument where `to` is too short.
inline void copy_bytes(Bytes from, MutableBytes to) {
    if (to.size() < from.size()) detail::raise_no_room(from.size(), to.size());
    if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
}

}  // namespace annals::inline v1
