// SPDX-License-Identifier: MIT
// One sync for all who wait for one.
#pragma once

#include <cstdint>
#include <utility>

#include <annals/config.hpp>
#include <annals/detail/chrono.hpp>
#include <annals/platform/platform.hpp>
#include <annals/storage/file_tools.hpp>
#include <annals/storage/signal.hpp>

namespace annals::inline v1::storage {

/// One of those who wait for a sync leads it, and the next one serves all who came meanwhile (group
/// commit; DeWitt et al., Implementation techniques for main memory database systems, 1984). Any
/// thread may call it.
template <Platform P>
class GroupCommit {
public:
    explicit GroupCommit(P platform) : platform_{platform}, ends_{std::move(platform)} {}

    /// Returns once `is_served()`, or throws what that throws, or what `sync()` does where this
    /// thread leads. `sync` serves all who came before it is called, and never runs twice at once.
    template <class IsServed, class Sync>
    void run(IsServed const& is_served, Sync const& sync) {
        if (is_served()) return;
        arrivals_.fetch_add(1, std::memory_order_relaxed);
        do {
            WaitWord const ticket = ends_.ticket();
            if (!is_led_.exchange(true)) return lead(is_served, sync);
            if (!is_served()) wait_for_end(ticket);
        } while (!is_served());
    }

private:
    using Duration = std::chrono::nanoseconds;
    static constexpr Duration most_patience{1'000'000};
    static constexpr unsigned most_pause = 31;  // rounds

    /// Nobody could sleep on a machine without threads of its own; its user may have some.
    void wait_for_end(WaitWord ticket) const {
        if constexpr (P::has_threads) {
            ends_.sleep(ticket, Duration::max());
        } else {
            platform_.relax(yielding_attempt);
        }
    }

    template <class IsServed, class Sync>
    void lead(IsServed const& is_served, Sync const& sync) {
        Rollback const end_of_round{[&] {
            is_led_.store(false);
            ends_.notify();
        }};
        if (is_served()) return;
        std::uint64_t const served = gather();
        Duration const begin = platform_.steady_now();
        sync();
        Duration const end = platform_.steady_now();
        expected_ = served + expected_newcomers(served);
        patience_end_ = end + std::min(end - begin, most_patience);
    }

    /// Those whom the last round has just served are let go first: what they send next, where they
    /// do little else, then takes part in this one, beside what those sent who came during that
    /// round; else the two groups would go on taking turns. They have as long as the last sync
    /// took, which is what a round of their own would cost, but the processor is not kept busy for
    /// long. Returns how many take part.
    [[nodiscard]] std::uint64_t gather() {
        while (arrivals() - counted_ < expected_) {
            platform_.relax(yielding_attempt);
            if (platform_.steady_now() >= patience_end_) break;
        }
        std::uint64_t const gathered = arrivals() - counted_;
        counted_ += gathered;
        return gathered;
    }

    /// Those who came during the round that has just ended are expected in the next, beside those
    /// whom it served. After a wait in vain they are not, for longer each time: threads with other
    /// things to do are better served in turns.
    [[nodiscard]] std::uint64_t expected_newcomers(std::uint64_t served) noexcept {
        if (served < expected_) {
            pause_ = std::min(2 * pause_ + 1, most_pause);
            rounds_to_pause_ = pause_;
        } else if (rounds_to_pause_ > 0) {
            --rounds_to_pause_;
        } else {
            std::uint64_t const newcomers = arrivals() - counted_;
            if (newcomers == 0) pause_ = 0;
            return newcomers;
        }
        return 0;
    }

    [[nodiscard]] std::uint64_t arrivals() const noexcept {
        return arrivals_.load(std::memory_order_relaxed);
    }

    P platform_;
    Signal<P> ends_;  // of rounds
    typename P::template Atomic<bool> is_led_{false};
    typename P::template Atomic<std::uint64_t> arrivals_{0};

    // The leader's.
    std::uint64_t counted_ = 0;   // arrivals that took part in a round
    std::uint64_t expected_ = 0;  // in the next one
    Duration patience_end_{0};
    unsigned pause_ = 0;  // after the last wait in vain
    unsigned rounds_to_pause_ = 0;
};

}  // namespace annals::inline v1::storage
