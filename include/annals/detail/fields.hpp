// SPDX-License-Identifier: MIT
// How many members a simple struct has, and a call with all of them: what the codec of plain
// structs stands on, as long as the language has no reflection.
#pragma once

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <annals/config.hpp>

namespace annals::inline v1::detail {

/// Structs with more members are refused; nested ones count as one.
inline constexpr std::size_t max_fields = 26;

/// Stands for a member of any type in an initialiser; never for T itself, which would be a copy.
template <class T>
struct AnyFieldOf {
    constexpr explicit AnyFieldOf(std::size_t) noexcept {}
    template <class Field>
    requires(!std::same_as<Field, T>) operator Field() const;
};

/// Stands for a base of T and nothing else.
template <class T>
struct AnyBaseOf {
    template <class Base>
    requires(std::is_base_of_v<Base, T> && !std::same_as<Base, T>) operator Base() const;
};

/// Braces around each initialiser: without them an array would swallow several.
template <class T, std::size_t... I>
constexpr bool takes_fields(std::index_sequence<I...>) {
    return requires { T{{AnyFieldOf<T>{I}}...}; };
}

/// Whether there is a member behind those.
template <class T, std::size_t... I>
constexpr bool takes_fields_and_one(std::index_sequence<I...>) {
    return requires { T{{AnyFieldOf<T>{I}}..., AnyFieldOf<T>{0}}; };
}

/// The number of T's members; max_fields + 1 stands for any greater number.
template <class T, std::size_t count = 0>
constexpr std::size_t field_count() {
    if constexpr (count <= max_fields && takes_fields<T>(std::make_index_sequence<count + 1>{})) {
        return field_count<T, count + 1>();
    } else {
        return count;
    }
}

template <class T>
concept WithoutBases = !requires {
    T{AnyBaseOf<T>{}};
};

template <class T>
concept WithFewFields = (field_count<T>() <= max_fields);

/// False where a member is of a kind that field_count() cannot see past: a reference, an empty
/// struct, a class with constructors.
template <class T>
concept WithAllFieldsSeen =
    !takes_fields_and_one<T>(std::make_index_sequence<field_count<T>()>{}) &&
    (field_count<T>() > 0 || std::is_empty_v<T>);

/// What structured bindings take apart by its own rules: std::array, above all.
template <class T>
concept TupleLike = requires {
    std::tuple_size<T>::value;
};

/// A struct whose members can be called by number: copied byte by byte, no constructors, no bases,
/// no private parts.
template <class T>
concept SimpleStruct =
    std::is_class_v<T> && std::is_aggregate_v<T> && !TupleLike<T> &&
    std::is_trivially_copyable_v<T> && std::is_copy_assignable_v<T> &&
    std::default_initializable<T> && WithoutBases<T> && WithFewFields<T> && WithAllFieldsSeen<T>;

/// Calls `use(member...)` with all members of `object` in order.
template <class T, class Use>
requires SimpleStruct<std::remove_const_t<T>>
constexpr decltype(auto) with_fields(T& object, Use&& use) {
    constexpr std::size_t count = field_count<std::remove_const_t<T>>();
#define ANNALS_FIELDS(number, ...)                  \
    else if constexpr (count == number) {           \
        auto& [__VA_ARGS__] = object;               \
        return std::forward<Use>(use)(__VA_ARGS__); \
    }
    // clang-format off
    if constexpr (count == 0) return std::forward<Use>(use)();
    ANNALS_FIELDS(1, a)
    ANNALS_FIELDS(2, a, b)
    ANNALS_FIELDS(3, a, b, c)
    ANNALS_FIELDS(4, a, b, c, d)
    ANNALS_FIELDS(5, a, b, c, d, e)
    ANNALS_FIELDS(6, a, b, c, d, e, f)
    ANNALS_FIELDS(7, a, b, c, d, e, f, g)
    ANNALS_FIELDS(8, a, b, c, d, e, f, g, h)
    ANNALS_FIELDS(9, a, b, c, d, e, f, g, h, i)
    ANNALS_FIELDS(10, a, b, c, d, e, f, g, h, i, j)
    ANNALS_FIELDS(11, a, b, c, d, e, f, g, h, i, j, k)
    ANNALS_FIELDS(12, a, b, c, d, e, f, g, h, i, j, k, l)
    ANNALS_FIELDS(13, a, b, c, d, e, f, g, h, i, j, k, l, m)
    ANNALS_FIELDS(14, a, b, c, d, e, f, g, h, i, j, k, l, m, n)
    ANNALS_FIELDS(15, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o)
    ANNALS_FIELDS(16, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
    ANNALS_FIELDS(17, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q)
    ANNALS_FIELDS(18, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)
    ANNALS_FIELDS(19, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s)
    ANNALS_FIELDS(20, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t)
    ANNALS_FIELDS(21, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u)
    ANNALS_FIELDS(22, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v)
    ANNALS_FIELDS(23, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w)
    ANNALS_FIELDS(24, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x)
    ANNALS_FIELDS(25, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y)
    ANNALS_FIELDS(26, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z)
    // clang-format on
#undef ANNALS_FIELDS
}

template <class... Ts>
struct TypeList {};

struct ListTypes {
    template <class... Fields>
    constexpr TypeList<Fields...> operator()(Fields&...) const {
        return {};
    }
};

/// The types of T's members, in order.
template <SimpleStruct T>
using field_types_t = decltype(with_fields(std::declval<T&>(), ListTypes{}));

}  // namespace annals::inline v1::detail
