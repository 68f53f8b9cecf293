// SPDX-License-Identifier: MIT
// What the partitions of a writing log share, and what those of a topic do.
#pragma once

#include <cstdint>

#include <annals/config.hpp>
#include <annals/options.hpp>
#include <annals/platform/platform.hpp>
#include <annals/storage/own_process.hpp>
#include <annals/storage/relief.hpp>
#include <annals/storage/signal.hpp>

namespace annals::inline v1::storage {

template <Platform P>
class Writer;

/// What all partitions of a writing log share.
template <Platform P>
struct WriterContext {
    P platform;
    std::uint64_t segment_bytes = 0;
    bool has_keeper = false;
    Signal<P> keeper;  ///< wakes the keeper
    Relief<P, Writer<P>> relief{};
    OwnProcess<P> process{platform};

    WriterContext(P machine, std::uint64_t bytes, bool keeper_runs)
        : platform{machine}, segment_bytes{bytes}, has_keeper{keeper_runs}, keeper{machine} {}
};

/// What a topic promises, changeable while it is written to.
template <Platform P>
struct TopicSettings {
    typename P::template Atomic<Sync> sync{Sync::interval};
    typename P::template Atomic<std::int64_t> sync_interval{1'000'000'000};  ///< nanoseconds
    typename P::template Atomic<Clock> clock{Clock::precise};

    /// A topic that syncs each record wants blocks that need no conversion when they are synced.
    [[nodiscard]] Blocks blocks() const noexcept {
        return sync.load(std::memory_order_relaxed) == Sync::always ? Blocks::zeroed
                                                                    : Blocks::reserved;
    }
};

}  // namespace annals::inline v1::storage
