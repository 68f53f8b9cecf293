// SPDX-License-Identifier: MIT
// The codec of plain values: numbers, bool, enums, arrays, and structs of these. Their bytes are
// the fields in order, little-endian, without padding; the size is known when compiling.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>
#include <variant>

#include <annals/codec/load_store.hpp>
#include <annals/codec/traits.hpp>
#include <annals/config.hpp>
#include <annals/detail/fields.hpp>
#include <annals/detail/type_name.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {

// The standard library's own spelling of these differs between libraries.
template <>
struct TypeName<std::byte> {
    static constexpr std::string_view value = "byte";
};
template <>
struct TypeName<std::monostate> {
    static constexpr std::string_view value = "monostate";
};

namespace detail {

template <class T>
struct PlainCodec;

/// T is encoded by the codec below; a type with a codec of its own is not plain.
template <class T>
concept PlainValue = PlainOrWithCodec<T> && std::derived_from<Codec<T>, PlainCodec<T>>;

template <class T>
inline constexpr bool is_plain_field = PlainValue<T>;
template <class T, std::size_t n>
inline constexpr bool is_plain_field<T[n]> = is_plain_field<T>;

template <class Fields>
inline constexpr bool are_plain_fields = false;
template <class... Fields>
inline constexpr bool are_plain_fields<TypeList<Fields...>> = (is_plain_field<Fields> && ...);

/// A struct of numbers, enums, bools, arrays of these and such structs; no pointers, views,
/// references, strings, bit-fields, bases or constructors.
template <class T>
concept PlainStruct = SimpleStruct<T> && are_plain_fields<field_types_t<T>>;

/// How many bytes a plain value takes.
template <class T>
inline constexpr std::size_t plain_size = 0;
template <class Fields>
inline constexpr std::size_t plain_sizes = 0;
template <class... Fields>
inline constexpr std::size_t plain_sizes<TypeList<Fields...>> = (0 + ... + plain_size<Fields>);

template <Scalar T>
inline constexpr std::size_t plain_size<T> = sizeof(T);
template <class T, std::size_t n>
inline constexpr std::size_t plain_size<T[n]> = (n * plain_size<T>);
template <class T, std::size_t n>
inline constexpr std::size_t plain_size<std::array<T, n>> = (n * plain_size<T>);
template <SimpleStruct T>
inline constexpr std::size_t plain_size<T> = plain_sizes<field_types_t<T>>;

template <class T>
inline constexpr bool is_array_field = std::is_array_v<T>;
template <class T, std::size_t n>
inline constexpr bool is_array_field<std::array<T, n>> = true;

/// Writes plain_size<T> bytes at `out` and moves it past them.
template <class T>
void write_plain(T const& value, std::byte*& out) noexcept {
    if constexpr (Scalar<T>) {
        std::memcpy(out, &value, sizeof(T));
        out += sizeof(T);
    } else if constexpr (is_array_field<T>) {
        for (auto const& element : value) write_plain(element, out);
    } else {
        with_fields(value, [&out](auto const&... field) { (write_plain(field, out), ...); });
    }
}

/// Reads plain_size<T> bytes at `in` and moves it past them. Throws decode_failed for a bool that
/// is none.
template <class T>
void read_plain(T& value, std::byte const*& in) {
    if constexpr (Scalar<T>) {
        value = load_le<T>(Bytes{in, sizeof(T)});
        in += sizeof(T);
    } else if constexpr (is_array_field<T>) {
        for (auto& element : value) read_plain(element, in);
    } else {
        with_fields(value, [&in](auto&... field) { (read_plain(field, in), ...); });
    }
}

/// Equal for equal representations: `long` and `long long` are both i64. char has a name of its
/// own, since its sign differs between machines.
template <class T>
[[nodiscard]] std::string plain_name() {
    if constexpr (std::same_as<T, bool>) {
        return "bool";
    } else if constexpr (std::same_as<T, char>) {
        return "char";
    } else if constexpr (std::same_as<T, wchar_t>) {
        return "wchar" + std::to_string(8 * sizeof(T));
    } else if constexpr (std::same_as<T, char8_t> || std::same_as<T, char16_t> ||
                         std::same_as<T, char32_t>) {
        return "char" + std::to_string(8 * sizeof(T));
    } else if constexpr (std::is_arithmetic_v<T>) {
        constexpr char const* kind = std::is_floating_point_v<T> ? "f"
                                     : std::is_signed_v<T>       ? "i"
                                                                 : "u";
        return kind + std::to_string(8 * sizeof(T));
    } else {
        return type_name<T>() + ":" + std::to_string(plain_size<T>);
    }
}

template <class T>
struct PlainCodec {
    static constexpr bool encode_in_place = true;
    static constexpr std::size_t fixed_size = plain_size<T>;

    [[nodiscard]] static std::string name() { return plain_name<T>(); }
    [[nodiscard]] static constexpr std::size_t size(T const&) noexcept { return fixed_size; }

    static void encode(T const& value, MutableBytes out) {
        if (out.size() < fixed_size) raise_no_room(fixed_size, out.size());
        std::byte* end = out.data();
        write_plain(value, end);
    }

    [[nodiscard]] static T decode(Bytes in) {
        if (in.size() != fixed_size) raise_size(in.size());
        T value{};
        std::byte const* end = in.data();
        read_plain(value, end);
        return value;
    }

private:
    [[noreturn, gnu::cold, gnu::noinline]] static void raise_size(std::size_t given) {
        raise_decode_size(Codec<T>::name(), fixed_size, given);
    }
};

}  // namespace detail

/// Numbers, bool and enums: their own bytes.
template <detail::Scalar T>
struct Codec<T> : detail::PlainCodec<T> {};

/// Structs of plain values: see detail::PlainStruct. The stored name is the type's qualified name,
/// or TypeName, and the size: "billing::Deposited:8".
template <detail::PlainStruct T>
struct Codec<T> : detail::PlainCodec<T> {};

/// Arrays of plain values: the elements in order.
template <detail::PlainValue T, std::size_t n>
struct Codec<std::array<T, n>> : detail::PlainCodec<std::array<T, n>> {
    [[nodiscard]] static std::string name() {
        return "array<" + detail::name_of<T>() + "," + std::to_string(n) + ">";
    }
};

}  // namespace annals::inline v1
