// SPDX-License-Identifier: MIT
// A segment file: its first page, and how frames follow one another in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <annals/config.hpp>
#include <annals/format/frame.hpp>
#include <annals/format/record.hpp>

namespace annals::inline v1::format {

/// ```
///  0          SegmentHeader, written and synced before the file has a name
///  512        Activation: zeros while the segment was only made in advance
///  1024       Completion: zeros until the whole segment and its seal were synced
///  1536       a 32-bit word on which readers of other processes wait
///  4096       frames, then a seal, then zeros to the capacity, which is the file's size
/// ```
inline constexpr std::uint64_t activation_place = 1 * sector_bytes;
inline constexpr std::uint64_t completion_place = 2 * sector_bytes;
inline constexpr std::uint64_t wait_word_place = 3 * sector_bytes;
inline constexpr std::uint64_t first_frame_place = page_bytes;

inline constexpr std::uint64_t min_segment_bytes = std::uint64_t{64} << 10;
inline constexpr std::uint64_t max_segment_bytes = std::uint64_t{1} << 30;
/// Of one that holds what several held: half of what places can say, so that no tail wraps.
inline constexpr std::uint64_t max_copy_bytes = std::uint64_t{16} << 30;
inline constexpr std::uint64_t first_segment_bytes = std::uint64_t{1} << 20;
inline constexpr std::uint64_t max_claim_bytes = std::uint64_t{16} << 20;

/// Claims end at or before this place, so that a seal always fits behind them.
[[nodiscard]] constexpr std::uint64_t claimable_end(std::uint64_t capacity) noexcept {
    return capacity - frame_header_bytes;
}

inline constexpr Magic segment_magic{'A', 'N', 'N', 'A', 'L', 'S', 'E', 'G'};

struct SegmentHeader {
    static constexpr std::uint64_t check_seed = 1;

    Preamble preamble{.magic = segment_magic};
    Id topic_id{};
    std::uint32_t partition = 0;
    std::uint32_t reserved = 0;
    std::uint64_t ordinal = 0;
    std::uint64_t capacity = 0;
    std::uint64_t salt = 0;  ///< random; seeds the checks of everything else in the file
    std::int64_t created = 0;
    std::uint64_t check = 0;
};
static_assert(sizeof(SegmentHeader) == 88 && offsetof(SegmentHeader, topic_id) == 24 &&
              offsetof(SegmentHeader, partition) == 40 && offsetof(SegmentHeader, ordinal) == 48 &&
              offsetof(SegmentHeader, capacity) == 56 && offsetof(SegmentHeader, salt) == 64);

/// Makes a segment part of the log.
struct Activation {
    static constexpr std::uint64_t check_seed = 2;
    /// The segment repeats what its predecessor holds from the base offset on, and was whole and
    /// synced before it had a name: it is believed by itself and ends the predecessor there.
    static constexpr std::uint32_t copy = 1;

    std::uint64_t base_offset = 0;
    std::uint64_t epoch = 0;
    std::uint64_t predecessor = 0;  ///< ordinal; 0: none
    std::uint32_t flags = 0;
    std::uint32_t reserved = 0;
    std::uint64_t check = 0;
};
static_assert(sizeof(Activation) == 40 && offsetof(Activation, epoch) == 8 &&
              offsetof(Activation, predecessor) == 16 && offsetof(Activation, flags) == 24);

/// Says that the segment, seal included, is durable; damage in it is damage, not a torn tail.
struct Completion {
    static constexpr std::uint64_t check_seed = 3;

    std::uint64_t count = 0;
    std::uint64_t end = 0;  ///< the place of the seal
    std::int64_t max_timestamp = 0;
    std::int64_t completed = 0;  ///< by the system clock; whatever its records are stamped with
    std::uint64_t check = 0;
};
static_assert(sizeof(Completion) == 40 && offsetof(Completion, end) == 8 &&
              offsetof(Completion, completed) == 24);

/// How far something reaches into a segment: so many records, ending at this place.
struct Extent {
    std::uint64_t count = 0;
    std::uint64_t place = first_frame_place;

    /// As one word: (count << 32) | (place / 8). Sums of such words are sums of their parts.
    [[nodiscard]] constexpr std::uint64_t packed() const noexcept {
        return count << 32 | place / frame_alignment;
    }
    [[nodiscard]] static constexpr Extent unpacked(std::uint64_t word) noexcept {
        return {word >> 32, (word & 0xFFFF'FFFF) * frame_alignment};
    }
    [[nodiscard]] friend constexpr bool operator==(Extent const&, Extent const&) = default;
};

/// What lies at one place of a segment. False: no published frame. (An optional would be handed on
/// through memory, and so would a reference; that costs more than looking at the frame.)
struct FrameAt {
    FrameWord word;
    std::uint64_t place = 0;
    std::uint64_t end = 0;      ///< the place of the next frame
    std::uint64_t records = 0;  ///< how many offsets it takes
    std::int64_t detail = 0;
    bool is_assumed = false;  ///< a void that recovery found and did not write into the file

    [[nodiscard]] explicit operator bool() const noexcept { return word.is_published(); }
};

/// Looks at the frame at `place` of a segment, whose word was loaded by the caller (with acquire,
/// where the segment is live). False where it is not published or its lengths leave the segment.
[[nodiscard, gnu::always_inline]] inline FrameAt frame_at(Bytes segment, std::uint64_t place,
                                                          FrameWord word) noexcept {
    FrameAt frame;
    if (!word.is_published() || word.length() < frame_header_bytes) return frame;
    std::uint64_t const end = place + frame_extent(word.length());
    if (end > segment.size()) return frame;
    frame.word = word;
    frame.place = place;
    frame.end = end;
    frame.detail =
        detail::load<std::int64_t>(segment.data() + place + offsetof(FrameHeader, detail));
    if (word.state() == FrameState::data) frame.records = 1;
    if (word.state() == FrameState::voided) {
        frame.records = static_cast<std::uint64_t>(frame.detail);
    }
    return frame;
}

/// The frame as long as its word says, without the zeros behind it.
[[nodiscard]] inline Bytes exact_frame(Bytes segment, FrameAt const& frame) noexcept {
    return segment.subspan(frame.place, frame.word.length());
}

/// Where a frame lies that is some frames off, were all of them as long as this one.
[[nodiscard]] inline std::byte const* some_frames_behind(Bytes segment,
                                                         FrameAt const& frame) noexcept {
    constexpr std::uint64_t frames = 16;
    return segment.data() + frame.place + frames * (frame.end - frame.place);
}

/// For walks over headers alone: asks for the memory of one to come.
inline void prefetch_behind(Bytes segment, FrameAt const& frame) noexcept {
    __builtin_prefetch(some_frames_behind(segment, frame));
}

/// For walks over keys: asks for all of a frame to come, if it is small. In large ones the
/// processor foresees by itself what is read, and for keys alone asking for more would be a waste.
inline void prefetch_small_behind(Bytes segment, FrameAt const& frame) noexcept {
    constexpr std::uint64_t line = 64;
    constexpr std::uint64_t most = 4 * line;
    std::uint64_t const length = frame.end - frame.place;
    if (length > most) return;
    std::byte const* const ahead = some_frames_behind(segment, frame);
    for (std::uint64_t at = 0; at < length; at += line) __builtin_prefetch(ahead + at);
}

[[nodiscard, gnu::always_inline]] inline bool has_number(Bytes segment, FrameAt const& frame,
                                                         std::uint64_t number) noexcept {
    return detail::load<std::uint32_t>(segment.data() + frame.place +
                                       offsetof(FrameHeader, number)) == number;
}

/// Whether the frame carries the expected number and passes its check.
[[nodiscard, gnu::always_inline]] inline bool is_good(Bytes segment, FrameAt const& frame,
                                                      std::uint64_t number,
                                                      std::uint64_t salt) noexcept {
    std::byte const* const bytes = segment.data() + frame.place;
    return has_number(segment, frame, number) &&
           frame_check(bytes, frame.word, salt, frame.place) == frame.word.check();
}

// Names of the files: "00000001.seg", "00000001.idx".

inline constexpr std::string_view segment_suffix = ".seg";
inline constexpr std::string_view index_suffix = ".idx";

[[nodiscard]] inline std::string ordinal_name(std::uint64_t ordinal, std::string_view suffix) {
    std::string digits = std::to_string(ordinal);
    if (digits.size() < 8) digits.insert(0, 8 - digits.size(), '0');
    return digits.append(suffix);
}

/// The ordinal that a file's name says; nullopt where this is not such a name.
[[nodiscard]] inline std::optional<std::uint64_t> parse_ordinal(std::string_view name,
                                                                std::string_view suffix) {
    if (!name.ends_with(suffix)) return std::nullopt;
    std::string_view const digits = name.substr(0, name.size() - suffix.size());
    if (digits.size() < 8 || digits.size() > 18) return std::nullopt;
    std::uint64_t ordinal = 0;
    for (char const digit : digits) {
        if (digit < '0' || digit > '9') return std::nullopt;
        ordinal = ordinal * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    if (ordinal == 0 || ordinal_name(ordinal, suffix) != name) return std::nullopt;
    return ordinal;
}

}  // namespace annals::inline v1::format
