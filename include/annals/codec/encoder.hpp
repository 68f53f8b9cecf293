// SPDX-License-Identifier: MIT
// One key or value on its way into a record: encoded before a place is claimed, unless its codec
// may write straight into the claim.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <annals/codec/alternatives.hpp>
#include <annals/codec/buffer.hpp>
#include <annals/codec/load_store.hpp>
#include <annals/codec/plain.hpp>
#include <annals/codec/sequence.hpp>
#include <annals/codec/traits.hpp>
#include <annals/config.hpp>
#include <annals/types.hpp>

namespace annals::inline v1::detail {

// Four forms of an encoded value, chosen when compiling. All have size() and write(out), where out
// has exactly that size; all but the last have bytes(). None outlives the argument.

/// Text and bytes: the caller's own.
template <class T>
class BorrowedBytes {
public:
    explicit BorrowedBytes(std::string_view text) noexcept : bytes_{as_bytes(text)} {}
    explicit BorrowedBytes(Bytes bytes) noexcept : bytes_{bytes} {}

    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
    [[nodiscard]] Bytes bytes() const noexcept { return bytes_; }
    void write(MutableBytes out) const { copy_bytes(bytes_, out); }

private:
    Bytes bytes_;
};

/// Small plain values: encoded right here.
template <class T>
class SmallBytes {
public:
    explicit SmallBytes(value_argument_t<T> value) { Codec<T>::encode(value, bytes_); }

    [[nodiscard]] static constexpr std::size_t size() noexcept { return Codec<T>::fixed_size; }
    [[nodiscard]] Bytes bytes() const noexcept { return bytes_; }
    void write(MutableBytes out) const { copy_bytes(bytes_, out); }

private:
    std::array<std::byte, Codec<T>::fixed_size> bytes_;
};

/// Whatever may throw, block or send while it encodes: done before anything is claimed.
template <class T>
class BufferedBytes {
public:
    explicit BufferedBytes(value_argument_t<T> value) { append_encoded<T>(value, *buffer_); }

    [[nodiscard]] std::size_t size() const noexcept { return buffer_->size(); }
    [[nodiscard]] Bytes bytes() const noexcept { return buffer_->bytes(); }
    void write(MutableBytes out) const { copy_bytes(bytes(), out); }

private:
    BufferLease buffer_;
};

/// What may be encoded inside the claim: only the size is known before.
template <class T>
class InPlace {
public:
    explicit InPlace(value_argument_t<T> value) : value_{value}, size_{Codec<T>::size(value)} {}

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    void write(MutableBytes out) const { Codec<T>::encode(value_, out); }

private:
    value_argument_t<T> value_;
    std::size_t size_;
};

template <class T>
concept BytesAlready =
    std::same_as<T, std::string> || std::same_as<T, std::string_view> || std::same_as<T, Bytes>;

template <class T>
concept SmallPlainValue = (plain_size<T> <= 64) && PlainValue<T>;

template <class T>
struct FormOf {
    using Key = BufferedBytes<T>;
    using Value = std::conditional_t<encodes_in_place<T>, InPlace<T>, BufferedBytes<T>>;
};

template <SmallPlainValue T>
struct FormOf<T> {
    using Key = SmallBytes<T>;
    using Value = InPlace<T>;
};

template <BytesAlready T>
struct FormOf<T> {
    using Key = BorrowedBytes<T>;
    using Value = BorrowedBytes<T>;
};

/// An encoded value that may be absent: std::nullopt, or an empty optional where T is an optional.
/// Absent it has no bytes. Encoding errors are thrown by the constructor.
template <HasCodec T, class Form>
class Encoder {
public:
    explicit Encoder(std::nullopt_t) noexcept {}

    explicit Encoder(codec_argument_t<T> const& argument) {
        if constexpr (std::same_as<T, codec_value_t<T>>) {
            form_.emplace(argument);
        } else if (argument) {
            form_.emplace(*argument);
        }
    }

    [[nodiscard]] bool present() const noexcept { return form_.has_value(); }
    [[nodiscard]] std::size_t size() const noexcept { return form_ ? form_->size() : 0; }

    /// Writes exactly size() bytes; `out` must have that size.
    void write(MutableBytes out) const {
        if (form_) form_->write(out);
    }

    /// The encoded bytes, as long as this object stays where it is.
    // clang-format off
    [[nodiscard]] Bytes bytes() const noexcept
        requires requires(Form const& form) { form.bytes(); } {
        return form_ ? form_->bytes() : Bytes{};
    }
    // clang-format on

private:
    std::optional<Form> form_;
};

/// A key's bytes are known before the claim, since they choose the partition.
template <HasCodec T>
using KeyEncoder = Encoder<T, typename FormOf<codec_value_t<T>>::Key>;

/// A value is written where it belongs at once if its codec allows that.
template <HasCodec T>
using ValueEncoder = Encoder<T, typename FormOf<codec_value_t<T>>::Value>;

}  // namespace annals::inline v1::detail
