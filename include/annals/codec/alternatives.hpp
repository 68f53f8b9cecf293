// SPDX-License-Identifier: MIT
// The codecs of optional and variant: one byte that says which, then the bytes of what is there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include <annals/codec/buffer.hpp>
#include <annals/codec/load_store.hpp>
#include <annals/codec/traits.hpp>
#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {
namespace detail {

/// What both matches say together. Gaining in one place and lacking in another is no match: neither
/// name would do for the other's records.
[[nodiscard]] constexpr NameMatch both(NameMatch a, NameMatch b) noexcept {
    if (a == b || b == NameMatch::same) return a;
    return a == NameMatch::same ? b : NameMatch::none;
}

/// "A|B" of "variant<A|B>"; nothing where the name is of another kind.
[[nodiscard]] inline std::optional<std::string_view> name_inside(std::string_view name,
                                                                 std::string_view kind) noexcept {
    if (!name.starts_with(kind) || name.size() < kind.size() + 2) return {};
    if (name[kind.size()] != '<' || name.back() != '>') return {};
    return name.substr(kind.size() + 1, name.size() - kind.size() - 2);
}

/// Cuts the first of "A|B<C|D>|E" off `names`.
[[nodiscard]] inline std::string_view take_name(std::string_view& names) noexcept {
    int depth = 0;
    std::size_t end = 0;
    for (; end < names.size() && (depth != 0 || names[end] != '|'); ++end) {
        depth += names[end] == '<' ? 1 : names[end] == '>' ? -1 : 0;
    }
    std::string_view const first = names.substr(0, end);
    names.remove_prefix(end < names.size() ? end + 1 : end);
    return first;
}

template <class T>
void append_encoded(T const& value, Buffer& out) {
    if constexpr (SizedCodec<T>) {
        Codec<T>::encode(value, out.extend(Codec<T>::size(value)));
    } else {
        Codec<T>::encode(value, out);
    }
}

}  // namespace detail

/// Inside a value (at the top of a topic's types absence is the record's): a byte 0, or a byte 1
/// and the value.
template <detail::NestedCodec T>
struct Codec<std::optional<T>> {
    static constexpr bool encode_in_place = detail::encodes_in_place<T>;

    [[nodiscard]] static std::string name() { return "optional<" + detail::name_of<T>() + ">"; }

    [[nodiscard]] static detail::NameMatch match(std::string_view stored) {
        auto const inside = detail::name_inside(stored, "optional");
        return inside ? detail::match_name<T>(*inside) : detail::NameMatch::none;
    }

    [[nodiscard]] static std::size_t size(
        std::optional<T> const& value) requires detail::SizedCodec<T> {
        return value ? 1 + Codec<T>::size(*value) : 1;
    }

    static void encode(std::optional<T> const& value,
                       MutableBytes out) requires detail::SizedCodec<T> {
        store_le(out, value.has_value());
        if (value) Codec<T>::encode(*value, out.subspan(1));
    }

    static void encode(std::optional<T> const& value,
                       Buffer& out) requires(!detail::SizedCodec<T>) {
        out.append_le(value.has_value());
        if (value) detail::append_encoded(*value, out);
    }

    [[nodiscard]] static std::optional<T> decode(Bytes in) {
        std::optional<T> value;
        if (load_le<bool>(in)) {
            value.emplace(static_cast<T>(Codec<T>::decode(in.subspan(1))));
        } else if (in.size() != 1) {
            detail::raise_decode_size("an absent optional", 1, in.size());
        }
        return value;
    }
};

/// A byte with the index of the alternative, then its value. Index 255 is kept for a wider index,
/// should one be needed. An index beyond the known alternatives, of a newer program, gives
/// decode_failed.
template <detail::NestedCodec... Ts>
requires(sizeof...(Ts) > 0 && sizeof...(Ts) <= 255) struct Codec<std::variant<Ts...>> {
    using Variant = std::variant<Ts...>;

    static constexpr bool sized = (detail::SizedCodec<Ts> && ...);
    static constexpr bool encode_in_place = (detail::encodes_in_place<Ts> && ...);

    [[nodiscard]] static std::string name() {
        std::string names;
        (names.append(names.empty() ? "variant<" : "|").append(detail::name_of<Ts>()), ...);
        return names.append(">");
    }

    [[nodiscard]] static detail::NameMatch match(std::string_view stored) {
        auto rest = detail::name_inside(stored, "variant");
        if (!rest) return detail::NameMatch::none;
        auto result = detail::NameMatch::same;
        auto const match_next = [&]<class T>(std::type_identity<T>) {
            result = detail::both(result, rest->empty()
                                              ? detail::NameMatch::more
                                              : detail::match_name<T>(detail::take_name(*rest)));
        };
        (match_next(std::type_identity<Ts>{}), ...);
        return rest->empty() ? result : detail::both(result, detail::NameMatch::fewer);
    }

    [[nodiscard]] static std::size_t size(Variant const& value) requires sized {
        (void)index_of(value);
        return 1 + std::visit(
                       []<class T>(T const& alternative) -> std::size_t {
                           return Codec<T>::size(alternative);
                       },
                       value);
    }

    static void encode(Variant const& value, MutableBytes out) requires sized {
        store_le(out, index_of(value));
        std::visit(
            [out]<class T>(T const& alternative) { Codec<T>::encode(alternative, out.subspan(1)); },
            value);
    }

    static void encode(Variant const& value, Buffer& out) requires(!sized) {
        out.append_le(index_of(value));
        std::visit([&out](auto const& alternative) { detail::append_encoded(alternative, out); },
                   value);
    }

    [[nodiscard]] static Variant decode(Bytes in) {
        auto const index = load_le<std::uint8_t>(in);
        if (index >= sizeof...(Ts)) raise_unknown(index);
        return decoders[index](in.subspan(1));
    }

private:
    static std::uint8_t index_of(Variant const& value) {
        if (value.valueless_by_exception()) raise_valueless();
        return static_cast<std::uint8_t>(value.index());
    }

    [[noreturn, gnu::cold, gnu::noinline]] static void raise_valueless() {
        detail::raise(Errc::invalid_argument, "a variant that has lost its value: " + name());
    }

    [[noreturn, gnu::cold, gnu::noinline]] static void raise_unknown(std::uint8_t index) {
        detail::raise(Errc::decode_failed,
                      "alternative " + std::to_string(index) + " is not known to " + name());
    }

    template <std::size_t i>
    static Variant decode_alternative(Bytes in) {
        using T = std::variant_alternative_t<i, Variant>;
        return Variant{std::in_place_index<i>, static_cast<T>(Codec<T>::decode(in))};
    }

    // A table, not a chain of branches: clang 16 miscompiles a function that returns a small
    // variant from several of them.
    using Decoder = Variant (*)(Bytes);
    static constexpr auto decoders = []<std::size_t... i>(std::index_sequence<i...>) {
        return std::array<Decoder, sizeof...(Ts)>{&decode_alternative<i>...};
    }
    (std::index_sequence_for<Ts...>{});
};

}  // namespace annals::inline v1
