// SPDX-License-Identifier: MIT
// The codecs of what is bytes already, text and raw bytes, and of vectors of plain values.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <annals/codec/load_store.hpp>
#include <annals/codec/plain.hpp>
#include <annals/codec/traits.hpp>
#include <annals/config.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {

/// Text: its bytes as they are. Decodes to a view of the record.
template <>
struct Codec<std::string> {
    static constexpr std::string_view name = "string";
    static constexpr bool encode_in_place = true;
    [[nodiscard]] static std::size_t size(std::string_view text) noexcept { return text.size(); }
    static void encode(std::string_view text, MutableBytes out) { copy_bytes(as_bytes(text), out); }
    [[nodiscard]] static std::string_view decode(Bytes in) noexcept { return as_text(in); }
};

/// The same, for those who want a view inside an optional or variant too.
template <>
struct Codec<std::string_view> : Codec<std::string> {};

/// Bytes as they are. Decodes to a view of the record.
template <>
struct Codec<Bytes> {
    static constexpr std::string_view name = "bytes";
    static constexpr bool encode_in_place = true;
    [[nodiscard]] static std::size_t size(Bytes bytes) noexcept { return bytes.size(); }
    static void encode(Bytes bytes, MutableBytes out) { copy_bytes(bytes, out); }
    [[nodiscard]] static Bytes decode(Bytes in) noexcept { return in; }
};

/// Plain values one after the other; how many there are follows from the size.
template <detail::PlainValue T>
requires(Codec<T>::fixed_size > 0) struct Codec<std::vector<T>> {
    static constexpr bool encode_in_place = true;

    [[nodiscard]] static std::string name() { return "vector<" + detail::name_of<T>() + ">"; }

    [[nodiscard]] static std::size_t size(std::vector<T> const& values) noexcept {
        return values.size() * Codec<T>::fixed_size;
    }

    static void encode(std::vector<T> const& values, MutableBytes out) {
        if (out.size() < size(values)) detail::raise_no_room(size(values), out.size());
        std::byte* end = out.data();
        for (auto const& value : values) detail::write_plain(value, end);
    }

    [[nodiscard]] static std::vector<T> decode(Bytes in) {
        if (in.size() % Codec<T>::fixed_size != 0) raise_size(in.size());
        std::vector<T> values(in.size() / Codec<T>::fixed_size);
        std::byte const* end = in.data();
        for (std::size_t i = 0; i < values.size(); ++i) {
            T value{};
            detail::read_plain(value, end);
            values[i] = value;
        }
        return values;
    }

private:
    [[noreturn, gnu::cold, gnu::noinline]] static void raise_size(std::size_t given) {
        detail::raise_decode_size(name() + ", elements", Codec<T>::fixed_size, given);
    }
};

}  // namespace annals::inline v1
