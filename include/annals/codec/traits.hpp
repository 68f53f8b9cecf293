// SPDX-License-Identifier: MIT
// What a codec is, and what the typed handles ask about one: argument, result, name.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <annals/codec/buffer.hpp>
#include <annals/config.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {

/// How values of T become bytes and bytes become values. Specialise it for a type of one's own:
///
///     template <>
///     struct annals::Codec<Person> {
///         static constexpr std::string_view name = "person.v1";
///         static std::size_t size(Person const&);                   // either these two
///         static void encode(Person const&, annals::MutableBytes);  // (exactly size() bytes)
///         static void encode(Person const&, annals::Buffer&);       // or this one
///         static Person decode(annals::Bytes);                      // or a view of the bytes
///     };
///
/// - `name` is stored with the topic and compared when it is opened again; it may be a function. It
///   must not contain `<`, `>` or `|`. Change it when the bytes change their meaning.
/// - `static bool accepts(std::string_view stored)`, optional: which older names are readable too.
/// - `decode` throws decode_failed (as load_le does) for bytes that it cannot make a value of. What
///   it returns may borrow from the bytes; they live as long as the record.
/// - `static constexpr bool encode_in_place = true`, optional: encode() neither throws nor blocks
///   nor calls into the log, so it may write straight into the log. Without it the value is encoded
///   before a place is claimed, and copied.
/// All of it is called from any thread that sends or reads.
template <class T>
struct Codec;

namespace detail {

/// How a codec relates to the name that is stored with a topic.
enum class NameMatch : std::uint8_t {
    none,   ///< other types
    same,   ///< the same, or an older name that the codec accepts
    more,   ///< a variant of ours has gained alternatives
    fewer,  ///< a variant of ours lacks alternatives that the topic has
};

template <class T>
concept PlainOrWithCodec = requires {
    sizeof(Codec<T>);  // no codec: not a plain type, and annals::Codec<T> is not specialised for it
};

template <class T>
concept NamedByValue = requires {
    std::string{Codec<T>::name};
};

template <class T>
concept NamedByFunction = requires {
    std::string{Codec<T>::name()};
};

template <class T>
concept SizedCodec = requires(T const& value, MutableBytes out) {
    { Codec<T>::size(value) } -> std::convertible_to<std::size_t>;
    Codec<T>::encode(value, out);
};

template <class T>
concept BufferCodec = requires(T const& value, Buffer& out) {
    Codec<T>::encode(value, out);
};

template <class T>
concept NamingCodec = NamedByValue<T> || NamedByFunction<T>;

template <class T>
concept EncodingCodec = SizedCodec<T> || BufferCodec<T>;

template <class T>
concept DecodingCodec = requires(Bytes in) {
    { Codec<T>::decode(in) } -> std::move_constructible;
};

template <class T>
concept CompleteCodec = std::same_as<T, std::remove_cvref_t<T>> && PlainOrWithCodec<T> &&
    NamingCodec<T> && EncodingCodec<T> && DecodingCodec<T>;

/// What can be part of an optional or a variant: decoded, it must be a T again.
template <class T>
concept NestedCodec = CompleteCodec<T> && requires(Bytes in) {
    static_cast<T>(Codec<T>::decode(in));
};

/// Whether encoding may happen inside a claim: see Codec.
template <class T>
inline constexpr bool encodes_in_place = false;

template <SizedCodec T>
requires requires { requires Codec<T>::encode_in_place; }
inline constexpr bool encodes_in_place<T> = true;

/// What a record holds when the value is there: T, or U for optional<U>.
template <class T>
struct WithoutOptional {
    using Type = T;
};

template <class U>
struct WithoutOptional<std::optional<U>> {
    using Type = U;
};

/// How a value that is there is passed. Two registers' worth goes by value; what is larger, or more
/// work to copy, by reference.
template <class T>
struct ValueArgument {
    using Type =
        std::conditional_t<std::is_trivially_copyable_v<T> && sizeof(T) <= 16, T, T const&>;
};

template <>
struct ValueArgument<std::string> {
    using Type = std::string_view;
};

template <class T>
using value_argument_t = typename ValueArgument<T>::Type;

template <class T>
struct Argument {
    using Type = value_argument_t<T>;
};

template <class U>
struct Argument<std::optional<U>> {
    using Type =
        std::conditional_t<std::is_reference_v<value_argument_t<U>>, std::optional<U> const&,
                           std::optional<std::remove_cvref_t<value_argument_t<U>>>>;
};

template <class T>
[[nodiscard]] std::string name_of() {
    if constexpr (NamedByFunction<T>) {
        return std::string{Codec<T>::name()};
    } else {
        return std::string{Codec<T>::name};
    }
}

template <class T>
[[nodiscard]] NameMatch match_name(std::string_view stored) {
    if (stored == name_of<T>()) return NameMatch::same;
    if constexpr (requires { Codec<T>::accepts(stored); }) {
        if (Codec<T>::accepts(stored)) return NameMatch::same;
    }
    if constexpr (requires { NameMatch{Codec<T>::match(stored)}; }) return Codec<T>::match(stored);
    return NameMatch::none;
}

}  // namespace detail

/// What a record of a topic<..., T> holds when the value is not absent: U for optional<U>, else T.
template <class T>
using codec_value_t = typename detail::WithoutOptional<T>::Type;

/// T can be the key or value of a topic. `std::optional<U>` at the top says that it may be absent:
/// absence lies in the record's frame, and name and bytes are those of U.
template <class T>
concept HasCodec = detail::CompleteCodec<codec_value_t<T>>;

/// What `send` takes: std::string_view for std::string; small values as they are; `T const&` for
/// the rest. For optional<U> the same of U in an optional.
template <class T>
using codec_argument_t = typename detail::Argument<T>::Type;

/// What the codec decodes, for optional<U> that of U. A record's key() or value() returns it; where
/// T is an optional, in an optional.
template <HasCodec T>
using codec_result_t = decltype(Codec<codec_value_t<T>>::decode(Bytes{}));

/// The value that the bytes stand for; a view among it lives as long as they do. Throws
/// decode_failed.
template <HasCodec T>
[[nodiscard]] codec_result_t<T> decode_as(Bytes in) {
    return Codec<codec_value_t<T>>::decode(in);
}

/// The name that is stored with a topic.
template <HasCodec T>
[[nodiscard]] std::string codec_name() {
    return detail::name_of<codec_value_t<T>>();
}

/// Whether a topic that was stored with this name can be opened as T: the name is equal, or
/// Codec<T>::accepts it, or they are variants and one's alternatives are the beginning of the
/// other's (also where the variant is inside an optional or another variant). With fewer
/// alternatives than stored, records of the others give decode_failed.
template <HasCodec T>
[[nodiscard]] bool codec_accepts(std::string_view stored) {
    return detail::match_name<codec_value_t<T>>(stored) != detail::NameMatch::none;
}

/// Whether T's name must replace the stored one before anything is sent: T has gained alternatives.
/// A stored name is never shortened.
template <HasCodec T>
[[nodiscard]] bool codec_extends(std::string_view stored) {
    return detail::match_name<codec_value_t<T>>(stored) == detail::NameMatch::more;
}

}  // namespace annals::inline v1
