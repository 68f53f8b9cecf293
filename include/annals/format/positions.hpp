// SPDX-License-Identifier: MIT
// groups/<group>/<topic>: what a group of consumers has committed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <annals/config.hpp>
#include <annals/format/record.hpp>

namespace annals::inline v1::format {

inline constexpr Magic positions_magic{'A', 'N', 'N', 'A', 'L', 'G', 'R', 'P'};

/// A committed position: the next offset to read, and the epoch of the record before it.
struct Position {
    std::uint64_t offset = 0;
    std::uint64_t epoch = 0;  ///< 0: nothing is committed
    [[nodiscard]] bool is_committed() const noexcept { return epoch != 0; }
};

/// ```
///  0          PositionsHead
///  64         a Position for each partition
/// ```
struct PositionsHead {
    static constexpr std::uint64_t check_seed = 48;

    Preamble preamble{.magic = positions_magic};
    Id topic_id{};
    std::uint64_t partitions = 0;
    std::uint64_t positions_hash = 0;
    std::uint64_t check = 0;
};
static_assert(sizeof(PositionsHead) == 64 && sizeof(Position) == 16);

[[nodiscard]] inline std::vector<std::byte> encode_positions(
    Id const& topic_id, std::vector<Position> const& positions) {
    Bytes const entries{reinterpret_cast<std::byte const*>(positions.data()),
                        positions.size() * sizeof(Position)};
    PositionsHead const head = checked(PositionsHead{.topic_id = topic_id,
                                                     .partitions = positions.size(),
                                                     .positions_hash = detail::hash(entries)});
    std::vector<std::byte> file;
    for (Bytes const part : {bytes_of(head), entries}) {
        file.insert(file.end(), part.begin(), part.end());
    }
    return file;
}

/// nullopt where the file belongs to an earlier topic of the same name. Throws `corrupt`,
/// `unsupported_format`.
[[nodiscard]] inline std::optional<std::vector<Position>> decode_positions(
    Bytes file, Id const& topic_id, std::uint32_t partitions, std::string const& path) {
    require_readable(file, positions_magic, path);
    auto const head = require_record<PositionsHead>(file, 0, path, "the group's positions");
    if (head.topic_id != topic_id) return std::nullopt;
    Bytes const entries = file.subspan(sizeof head);
    if (head.partitions != partitions || entries.size() != partitions * sizeof(Position) ||
        detail::hash(entries) != head.positions_hash) {
        detail::raise(Errc::corrupt, "the group's positions fail their check",
                      {.path = path, .place = sizeof head});
    }
    std::vector<Position> positions(partitions);
    std::memcpy(positions.data(), entries.data(), entries.size());
    return positions;
}

}  // namespace annals::inline v1::format
