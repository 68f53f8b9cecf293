// SPDX-License-Identifier: MIT
// A frame: a record as it lies in a segment. Pure encoding and decoding over plain memory; the
// order in which threads store these bytes is the appender's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include <annals/config.hpp>
#include <annals/detail/arithmetic.hpp>
#include <annals/detail/hash.hpp>
#include <annals/types.hpp>

namespace annals::inline v1::format {

/// What a frame is for its readers, who act on `data`, `voided` and `seal` only.
enum class FrameState : std::uint8_t {
    empty = 0,    ///< zeros: not claimed, or claimed and not yet touched
    claimed = 1,  ///< an owner is writing, or died while it was
    data = 2,     ///< a record
    voided = 3,   ///< its owner died or gave up; takes offsets, holds no record
    seal = 4,     ///< the segment ends here; go on in the next one
};

/// The first word of a frame, stored and loaded as one.
/// ```
///   bit 0                         28     32                             64
///  +-----------------------------+------+------------------------------+
///  | length in bytes             | state| check (claimed: record count)|
///  +-----------------------------+------+------------------------------+
/// ```
class FrameWord {
public:
    static constexpr std::uint64_t max_length = (std::uint64_t{1} << 28) - 1;

    constexpr FrameWord() noexcept = default;
    constexpr explicit FrameWord(std::uint64_t raw) noexcept : raw_{raw} {}
    constexpr FrameWord(FrameState state, std::uint64_t length, std::uint32_t high) noexcept
        : raw_{(length & max_length) | std::uint64_t{static_cast<std::uint8_t>(state)} << 28 |
               std::uint64_t{high} << 32} {}

    [[nodiscard]] constexpr std::uint64_t raw() const noexcept { return raw_; }
    [[nodiscard]] constexpr std::uint64_t length() const noexcept { return raw_ & max_length; }
    [[nodiscard]] constexpr FrameState state() const noexcept {
        return static_cast<FrameState>(raw_ >> 28 & 0xF);
    }
    [[nodiscard]] constexpr std::uint32_t check() const noexcept {
        return static_cast<std::uint32_t>(raw_ >> 32);
    }
    [[nodiscard]] constexpr std::uint32_t claimed_records() const noexcept { return check(); }
    /// Length and state, without the check.
    [[nodiscard]] constexpr std::uint32_t low() const noexcept {
        return static_cast<std::uint32_t>(raw_);
    }
    /// Whether readers may act on the frame.
    [[nodiscard]] constexpr bool is_published() const noexcept {
        return state() == FrameState::data || state() == FrameState::voided ||
               state() == FrameState::seal;
    }

private:
    std::uint64_t raw_ = 0;
};

/// Whether key, value and headers are there, and how the frame stands in its batch. A record that
/// was sent alone has neither of the last two.
enum FrameFlags : std::uint16_t {
    has_key = 1,
    has_value = 2,
    has_headers = 4,
    batch_goes_on = 8,        ///< the next frame belongs to the same batch
    batch_began_before = 16,  ///< so does the one before
};

/// ```
///  0               8       12      14      16              24
/// +---------------+-------+-------+-------+---------------+-----+---------+-------+---------+
/// | word          | number| key   | flags | timestamp, or | key | headers | value | zeros to|
/// |               |       | length|       | see `detail`  |     |         |       | 8 bytes |
/// +---------------+-------+-------+-------+---------------+-----+---------+-------+---------+
/// ```
struct FrameHeader {
    std::uint64_t word = 0;
    std::uint32_t number = 0;  ///< within the segment
    std::uint16_t key_length = 0;
    std::uint16_t flags = 0;
    /// data: nanoseconds since 1970; voided: how many offsets it takes; seal: the lowest ordinal
    /// that the next segment may have
    std::int64_t detail = 0;
};
static_assert(sizeof(FrameHeader) == 24 && offsetof(FrameHeader, number) == 8 &&
              offsetof(FrameHeader, key_length) == 12 && offsetof(FrameHeader, flags) == 14 &&
              offsetof(FrameHeader, detail) == 16);

inline constexpr std::uint64_t frame_alignment = 8;
inline constexpr std::uint64_t frame_header_bytes = sizeof(FrameHeader);
inline constexpr std::uint64_t max_key_bytes = 0xFFFF;

/// From the first byte of a frame to the first byte of the next.
[[nodiscard]] constexpr std::uint64_t frame_extent(std::uint64_t length) noexcept {
    return detail::align_up(length, frame_alignment);
}

/// The bytes that the headers take in a frame: 32 bits of their own length, then for each 16 bits
/// of the name's length, 32 of the value's, name, value. None: nothing.
[[nodiscard]] inline std::uint64_t headers_bytes(std::span<Header const> headers) noexcept {
    if (headers.empty()) return 0;
    std::uint64_t bytes = 4;
    for (Header const& header : headers) {
        bytes = detail::add_saturating(bytes, 6 + header.name.size());
        bytes = detail::add_saturating(bytes, header.value.size());
    }
    return bytes;
}

/// Writes the headers at `out`, which has room for `headers_bytes(headers)`; returns its end.
inline std::byte* encode_headers(std::byte* out, std::span<Header const> headers) noexcept {
    if (headers.empty()) return out;
    detail::store(out, static_cast<std::uint32_t>(headers_bytes(headers) - 4));
    out += 4;
    for (Header const& header : headers) {
        detail::store(out, static_cast<std::uint16_t>(header.name.size()));
        detail::store(out + 2, static_cast<std::uint32_t>(header.value.size()));
        out += 6;
        if (!header.name.empty()) std::memcpy(out, header.name.data(), header.name.size());
        out += header.name.size();
        if (!header.value.empty()) std::memcpy(out, header.value.data(), header.value.size());
        out += header.value.size();
    }
    return out;
}

/// Takes the next header off the front of `rest`; nullopt where `rest` is empty or malformed.
[[nodiscard]] inline std::optional<Header> take_header(Bytes& rest) noexcept {
    if (rest.size() < 6) return std::nullopt;
    std::uint64_t const name = detail::load<std::uint16_t>(rest.data());
    std::uint64_t const value = detail::load<std::uint32_t>(rest.data() + 2);
    if (rest.size() - 6 < name + value) return std::nullopt;
    Header const header{as_text(rest.subspan(6, name)), rest.subspan(6 + name, value)};
    rest = rest.subspan(6 + name + value);
    return header;
}

/// What a frame with this word must carry as its check: over all of a record's frame but the check
/// itself, and over the header alone of the others, for nothing else in those has a meaning. The
/// seed makes bytes of another segment, epoch or place fail.
[[nodiscard, gnu::always_inline]] inline std::uint32_t frame_check(std::byte const* frame,
                                                                   FrameWord word,
                                                                   std::uint64_t salt,
                                                                   std::uint64_t place) noexcept {
    std::uint64_t const end =
        word.state() == FrameState::data ? frame_extent(word.length()) : frame_header_bytes;
    std::uint64_t const seed =
        salt ^ (place * 0x9E3779B97F4A7C15) ^ (std::uint64_t{word.low()} * 0xC2B2AE3D27D4EB4F);
    return static_cast<std::uint32_t>(detail::hash(frame + 8, end - 8, seed));
}

/// The word that publishes the frame: `state` and `length`, with the check over what lies there.
[[nodiscard]] inline FrameWord published_word(std::byte const* frame, FrameState state,
                                              std::uint64_t length, std::uint64_t salt,
                                              std::uint64_t place) noexcept {
    FrameWord const bare{state, length, 0};
    return {state, length, frame_check(frame, bare, salt, place)};
}

/// A frame's header, word by word: whoever takes a field from a copy in memory waits for the copy.
[[nodiscard]] inline FrameHeader load_header(std::byte const* frame) noexcept {
    auto const word = detail::load<std::uint64_t>(frame);
    auto const second = detail::load<std::uint64_t>(frame + 8);
    return {.word = word,
            .number = static_cast<std::uint32_t>(second),
            .key_length = static_cast<std::uint16_t>(second >> 32),
            .flags = static_cast<std::uint16_t>(second >> 48),
            .detail = detail::load<std::int64_t>(frame + 16)};
}

/// A frame taken apart. Views into the memory where the frame lies.
struct FrameView {
    std::int64_t timestamp = 0;
    std::uint16_t flags = 0;
    Bytes key;
    Bytes headers;  ///< without their leading length
    Bytes value;
};

/// Takes a data frame apart into `view`; `frame` is its exact length. False, with `view` as it was,
/// where its lengths do not add up, which a frame that passed its check does not do.
[[nodiscard, gnu::always_inline]] inline bool decode_frame(Bytes frame, FrameView& view) noexcept {
    if (frame.size() < frame_header_bytes) return false;
    FrameHeader const header = load_header(frame.data());
    Bytes rest = frame.subspan(frame_header_bytes);
    if (rest.size() < header.key_length) return false;
    Bytes const key = rest.first(header.key_length);
    rest = rest.subspan(header.key_length);
    Bytes headers;
    if ((header.flags & has_headers) != 0) [[unlikely]] {
        if (rest.size() < 4) return false;
        auto const size = detail::load<std::uint32_t>(rest.data());
        if (rest.size() - 4 < size) return false;
        headers = rest.subspan(4, size);
        rest = rest.subspan(4 + std::size_t{size});
    }
    view.timestamp = header.detail;
    view.flags = header.flags;
    view.key = key;
    view.headers = headers;
    view.value = rest;
    return true;
}

}  // namespace annals::inline v1::format
