// SPDX-License-Identifier: MIT
// A segment's sparse index: derived from the frames, believed only as far as they confirm it.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include <annals/config.hpp>
#include <annals/format/record.hpp>
#include <annals/format/segment.hpp>

namespace annals::inline v1::format {

inline constexpr Magic index_magic{'A', 'N', 'N', 'A', 'L', 'I', 'D', 'X'};
/// An entry stands for about so many bytes of frames.
inline constexpr std::uint64_t index_stride = std::uint64_t{16} << 10;
inline constexpr std::int64_t before_all_time = std::numeric_limits<std::int64_t>::min();
inline constexpr std::int64_t after_all_time = std::numeric_limits<std::int64_t>::max();

/// A frame that begins at this place, and the highest timestamp of all frames before it.
struct IndexEntry {
    std::uint32_t number = 0;
    std::uint32_t place = 0;  ///< in units of 8 bytes
    std::int64_t max_timestamp_before = before_all_time;

    [[nodiscard]] Extent extent() const noexcept {
        return {number, std::uint64_t{place} * frame_alignment};
    }
};

/// ```
///  0          IndexHead
///  64         entries, by place
/// ```
struct IndexHead {
    static constexpr std::uint64_t check_seed = 64;

    Preamble preamble{.magic = index_magic};
    std::uint64_t salt = 0;  ///< of the segment that it was made from
    std::uint64_t entries = 0;
    std::uint64_t entries_hash = 0;
    std::int64_t max_timestamp = before_all_time;  ///< of the whole segment
    std::uint64_t check = 0;
};
static_assert(sizeof(IndexEntry) == 16 && sizeof(IndexHead) == 64);

struct IndexContents {
    std::vector<IndexEntry> entries{};
    std::int64_t max_timestamp = before_all_time;
};

[[nodiscard]] inline std::vector<std::byte> encode_index(std::uint64_t salt,
                                                         IndexContents const& contents) {
    Bytes const entries{reinterpret_cast<std::byte const*>(contents.entries.data()),
                        contents.entries.size() * sizeof(IndexEntry)};
    IndexHead const head = checked(IndexHead{.salt = salt,
                                             .entries = contents.entries.size(),
                                             .entries_hash = detail::hash(entries),
                                             .max_timestamp = contents.max_timestamp});
    std::vector<std::byte> file;
    for (Bytes const part : {bytes_of(head), entries}) {
        file.insert(file.end(), part.begin(), part.end());
    }
    return file;
}

/// nullopt for whatever is not the index of that segment: it is then made anew.
[[nodiscard]] inline std::optional<IndexContents> decode_index(Bytes file, std::uint64_t salt,
                                                               std::uint64_t capacity) {
    IndexHead head;
    if (file.size() < sizeof head || read_record(file, head) != RecordState::good) return {};
    Bytes const entries = file.subspan(sizeof head);
    if (head.preamble.magic != index_magic || head.preamble.major != major_version ||
        head.preamble.incompatible_features != 0 || head.salt != salt ||
        entries.size() % sizeof(IndexEntry) != 0 ||
        head.entries != entries.size() / sizeof(IndexEntry) ||
        detail::hash(entries) != head.entries_hash) {
        return {};
    }
    IndexContents contents{.max_timestamp = head.max_timestamp};
    contents.entries.resize(head.entries);
    if (head.entries != 0) {
        std::memcpy(contents.entries.data(), entries.data(), entries.size());
    }
    for (IndexEntry const& entry : contents.entries) {
        if (entry.extent().place < first_frame_place || entry.extent().place >= capacity) return {};
    }
    return contents;
}

}  // namespace annals::inline v1::format
