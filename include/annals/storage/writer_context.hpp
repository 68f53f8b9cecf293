// SPDX-License-Identifier: MIT
// What the partitions of a writing log share, and what those of a topic do.
#pragma once

#include <cstdint>

#include <annals/config.hpp>
#include <annals/format/meta.hpp>
#include <annals/format/segment.hpp>
#include <annals/options.hpp>
#include <annals/platform/platform.hpp>
#include <annals/storage/own_process.hpp>
#include <annals/storage/relief.hpp>
#include <annals/storage/signal.hpp>
#include <annals/storage/writer_life.hpp>

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
    WriterLife<P> life{};

    WriterContext(P machine, std::uint64_t bytes, bool keeper_runs)
        : platform{machine}, segment_bytes{bytes}, has_keeper{keeper_runs}, keeper{machine} {}

    /// The largest record or batch that the log takes, as it lies in the file.
    [[nodiscard]] std::uint64_t max_claim_bytes() const noexcept {
        return std::min(format::max_claim_bytes, segment_bytes / 8);
    }
};

/// How long records are kept, changeable at any time.
template <Platform P>
class RetentionSettings {
public:
    void set(format::Retention const& limits) noexcept {
        age_.store(limits.age.count(), std::memory_order_relaxed);
        bytes_.store(limits.bytes, std::memory_order_relaxed);
        records_.store(limits.records, std::memory_order_relaxed);
        segment_age_.store(limits.effective_segment_age().count(), std::memory_order_relaxed);
        is_limited_.store(limits.is_limited(), std::memory_order_relaxed);
        changes_.fetch_add(1, std::memory_order_relaxed);
    }

    [[nodiscard]] format::Retention get() const noexcept {
        using std::chrono::nanoseconds;
        return {.age = nanoseconds{age_.load(std::memory_order_relaxed)},
                .bytes = bytes_.load(std::memory_order_relaxed),
                .records = records_.load(std::memory_order_relaxed),
                .segment_age = nanoseconds{segment_age_.load(std::memory_order_relaxed)}};
    }
    [[nodiscard]] bool is_limited() const noexcept {
        return is_limited_.load(std::memory_order_relaxed);
    }
    /// How often they were set.
    [[nodiscard]] std::uint64_t changes() const noexcept {
        return changes_.load(std::memory_order_relaxed);
    }

private:
    template <class T>
    using Atomic = typename P::template Atomic<T>;

    Atomic<std::int64_t> age_{format::Retention::no_age.count()};
    Atomic<std::uint64_t> bytes_{unlimited};
    Atomic<std::uint64_t> records_{unlimited};
    Atomic<std::int64_t> segment_age_{format::Retention::no_age.count()};
    Atomic<bool> is_limited_{false};
    Atomic<std::uint64_t> changes_{0};
};

/// What a topic promises, changeable while it is written to.
template <Platform P>
struct TopicSettings {
    typename P::template Atomic<Sync> sync{Sync::interval};
    typename P::template Atomic<std::int64_t> sync_interval{1'000'000'000};  ///< nanoseconds
    typename P::template Atomic<Clock> clock{Clock::precise};
    RetentionSettings<P> retention{};

    /// The time as the topic's clock tells it.
    [[nodiscard]] Timestamp now(P const& platform) const {
        bool const is_coarse = clock.load(std::memory_order_relaxed) == Clock::coarse;
        return is_coarse ? platform.coarse_now() : platform.now();
    }

    /// A topic that syncs each record wants blocks that need no conversion when they are synced.
    [[nodiscard]] Blocks blocks() const noexcept {
        return sync.load(std::memory_order_relaxed) == Sync::always ? Blocks::zeroed
                                                                    : Blocks::reserved;
    }
};

}  // namespace annals::inline v1::storage
