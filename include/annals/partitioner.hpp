// SPDX-License-Identifier: MIT
// Which partition a record goes to: by its key's hash, as Kafka's Java client computes it, or,
// where there is no key, the same for a while and then the next.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {
namespace detail {

/// MurmurHash2, 32 bits, by Austin Appleby, with the seed of Kafka's Utils.murmur2.
[[nodiscard]] inline std::uint32_t murmur2(Bytes data) noexcept {
    constexpr std::uint32_t seed = 0x9747b28c;
    constexpr std::uint32_t multiplier = 0x5bd1e995;
    auto hash = seed ^ static_cast<std::uint32_t>(data.size());

    for (; data.size() >= 4; data = data.subspan(4)) {
        std::uint32_t word = 0;
        std::memcpy(&word, data.data(), 4);
        word *= multiplier;
        word ^= word >> 24;
        hash = (hash * multiplier) ^ (word * multiplier);
    }
    if (!data.empty()) {
        std::uint32_t rest = 0;
        std::memcpy(&rest, data.data(), data.size());
        hash = (hash ^ rest) * multiplier;
    }
    hash = (hash ^ (hash >> 13)) * multiplier;
    return hash ^ (hash >> 15);
}

}  // namespace detail

/// The partition of a key among `count`: the one that Kafka's Java client chooses, so that a key
/// keeps its partition when a topic moves to a cluster. Throws invalid_argument where count is 0.
[[nodiscard]] inline std::uint32_t partition_for_key(Bytes key, std::uint32_t count) {
    if (count == 0) detail::raise(Errc::invalid_argument, "a topic has at least one partition");
    // Without the sign, as Kafka's Utils.toPositive.
    return (detail::murmur2(key) & 0x7fff'ffff) % count;
}

/// Chooses partitions for records without a key: one partition for `stay` choices, then the next,
/// so that neighbours land together and all get their share. From any threads.
class StickyPartition {
public:
    static constexpr std::uint32_t stay = 256;

    /// Begins with `first`; choose it at random, or programs that send little fill partition 0.
    explicit StickyPartition(std::uint32_t count, std::uint32_t first = 0) : count_{count} {
        if (count == 0) detail::raise(Errc::invalid_argument, "a topic has at least one partition");
        choices_.store(std::uint64_t{first} * stay, std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint32_t next() noexcept {
        // Not a fetch_add: a choice that two threads make at once may count as one, and a locked
        // instruction would cost as much as the rest of an append.
        std::uint64_t const choice = choices_.load(std::memory_order_relaxed);
        choices_.store(choice + 1, std::memory_order_relaxed);
        return static_cast<std::uint32_t>(choice / stay % count_);
    }

private:
    std::uint32_t count_;
    std::atomic<std::uint64_t> choices_{0};
};

}  // namespace annals::inline v1
