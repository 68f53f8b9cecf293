// SPDX-License-Identifier: MIT
// A background thread that visits the partitions of a log, one after another, again and again.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/detail/chrono.hpp>
#include <annals/storage/partition_state.hpp>
#include <annals/storage/round.hpp>

namespace annals::inline v1::storage {

/// Comes every millisecond while something moves, and sleeps while nothing does. `visit(partition)`
/// returns a Round, and `tell(error)` hears what it throws, or found; both are called in the
/// thread. `add` and `remove` from any thread; the destructor ends the thread and waits for it.
template <Platform P, class Visit, class Tell>
class Rounds {
public:
    using PartitionPtr = std::shared_ptr<PartitionState<P>>;

    Rounds(std::shared_ptr<WriterContext<P>> context, Visit visit, Tell tell)
        : context_{std::move(context)}, visit_{std::move(visit)}, tell_{std::move(tell)} {
        if (context_->has_keeper) thread_ = typename P::Thread{[this] { run(); }};
    }
    Rounds(Rounds const&) = delete;
    Rounds& operator=(Rounds const&) = delete;
    ~Rounds() {
        if (!context_->has_keeper) return;
        is_stopping_.store(true, std::memory_order_seq_cst);
        context_->keeper.notify();
        thread_.join();
    }

    void add(std::vector<PartitionPtr> const& partitions) {
        std::lock_guard const lock{mutex_};
        partitions_.insert(partitions_.end(), partitions.begin(), partitions.end());
        context_->keeper.notify();
    }

    /// Returns when the thread is done with them.
    void remove(std::vector<PartitionPtr> const& partitions) {
        std::lock_guard const lock{mutex_};
        for (PartitionPtr const& each : partitions) std::erase(partitions_, each);
    }

private:
    static constexpr std::chrono::nanoseconds tick{std::chrono::milliseconds{1}};

    void run() {
        while (!is_stopping_.load(std::memory_order_seq_cst)) {
            WaitWord const ticket = context_->keeper.ticket();
            Round const round = visit_all();
            if (round.is_behind) continue;
            if (round.is_busy) {
                context_->keeper.sleep(ticket, tick);
            } else {
                sleep_deeply();
            }
        }
    }

    /// Announced as a sleeper, so that the next sender wakes it; and looks once more before.
    void sleep_deeply() {
        typename Signal<P>::Sleeper const announced{context_->keeper};
        WaitWord const ticket = context_->keeper.ticket();
        Round const round = visit_all();
        if (round.is_busy || round.is_behind || is_stopping_.load(std::memory_order_seq_cst))
            return;
        auto timeout = std::chrono::nanoseconds::max();
        if (round.due) {
            timeout = std::chrono::nanoseconds{*round.due} - context_->platform.steady_now();
        }
        if (timeout > std::chrono::nanoseconds{0}) context_->keeper.sleep(ticket, timeout);
    }

    [[nodiscard]] Round visit_all() {
        Round all;
        std::lock_guard const lock{mutex_};
        for (PartitionPtr const& partition : partitions_) {
            Round round;
            round.attempt([&] { round = visit_(*partition); });
            if (round.trouble) tell_(*round.trouble);
            all.is_busy |= round.is_busy;
            all.is_behind |= round.is_behind;
            if (round.due) all.come_again(*round.due);
        }
        return all;
    }

    std::shared_ptr<WriterContext<P>> context_;
    Visit visit_;
    Tell tell_;
    typename P::Mutex mutex_;  // of the list; held during the visits
    std::vector<PartitionPtr> partitions_;
    typename P::template Atomic<bool> is_stopping_{false};
    typename P::Thread thread_;
};

}  // namespace annals::inline v1::storage
