// SPDX-License-Identifier: MIT
// The small words of the interface: bytes, offsets, timestamps, headers, and what a send returns.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <annals/config.hpp>
#include <annals/detail/chrono.hpp>

namespace annals::inline v1 {

using Bytes = std::span<std::byte const>;   ///< bytes to read; borrowed, never owned
using MutableBytes = std::span<std::byte>;  ///< bytes to write; borrowed, never owned

/// The text's bytes; they live as long as the text.
[[nodiscard]] inline Bytes as_bytes(std::string_view text) noexcept {
    return {reinterpret_cast<std::byte const*>(text.data()), text.size()};
}

/// The bytes as text; it lives as long as they do.
[[nodiscard]] inline std::string_view as_text(Bytes bytes) noexcept {
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

/// Nanoseconds since 1970-01-01 00:00 UTC, on the system clock.
using Timestamp = std::chrono::sys_time<std::chrono::nanoseconds>;

/// The number of a record in its partition: 0, 1, 2, ...
class Offset {
public:
    constexpr Offset() noexcept = default;
    constexpr explicit Offset(std::uint64_t value) noexcept : value_{value} {}

    [[nodiscard]] constexpr std::uint64_t value() const noexcept { return value_; }

    constexpr Offset& operator++() noexcept { return ++value_, *this; }
    constexpr Offset operator++(int) noexcept { return Offset{value_++}; }
    constexpr Offset& operator+=(std::uint64_t count) noexcept { return value_ += count, *this; }

    [[nodiscard]] friend constexpr Offset operator+(Offset offset, std::uint64_t count) noexcept {
        return Offset{offset.value_ + count};
    }
    [[nodiscard]] friend constexpr Offset operator-(Offset offset, std::uint64_t count) noexcept {
        return Offset{offset.value_ - count};
    }
    /// How many records lie in [from, to); `to` must not be below `from`.
    [[nodiscard]] friend constexpr std::uint64_t operator-(Offset to, Offset from) noexcept {
        return to.value_ - from.value_;
    }
    [[nodiscard]] friend constexpr auto operator<=>(Offset, Offset) noexcept = default;

private:
    std::uint64_t value_ = 0;
};

/// A name and bytes that travel beside a record's value. Both are borrowed.
struct Header {
    std::string_view name;
    Bytes value;
};

/// Where a record went.
struct RecordMetadata {
    std::uint32_t partition = 0;
    Offset offset;
    Timestamp timestamp;
};

/// Where a batch went: offsets [first, first + count) of one partition, all with one timestamp.
struct BatchMetadata {
    std::uint32_t partition = 0;
    Offset first;
    std::uint64_t count = 0;
    Timestamp timestamp;
};

/// How the writer before this one ended, as far as opening can tell.
enum class Ending : std::uint8_t {
    clean,          ///< it closed the partition, or never wrote to it
    process_death,  ///< it died; the machine did not
    power_loss,     ///< the machine died, or the directory is a copy
};

/// What opening a log found and did in one partition.
struct PartitionRecovery {
    std::string topic{};
    std::uint32_t partition = 0;
    Ending ending = Ending::clean;
    Offset beginning{};
    Offset end{};                      ///< what is kept: [beginning, end)
    std::uint64_t records_voided = 0;  ///< offsets that stay without a record: their sender died
    std::uint64_t bytes_cut = 0;       ///< behind the end: never published, or torn
    std::uint64_t segments_removed = 0;
    std::vector<std::string> notes{};  ///< in words, what an operator should know
};

/// What opening a log found, for the partitions where there was anything to say.
struct Recovery {
    std::vector<PartitionRecovery> partitions{};
    std::vector<std::string> notes{};  ///< about the log as a whole

    /// Whether every partition had been closed, or never written to.
    [[nodiscard]] bool was_clean() const noexcept {
        for (PartitionRecovery const& partition : partitions) {
            if (partition.ending != Ending::clean) return false;
        }
        return true;
    }
};

}  // namespace annals::inline v1
