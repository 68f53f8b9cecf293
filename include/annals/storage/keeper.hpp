// SPDX-License-Identifier: MIT
// The keeper: one background thread for each log. It follows what is published and does in advance,
// or afterwards, what senders need not wait for.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/detail/chrono.hpp>
#include <annals/options.hpp>
#include <annals/storage/partition_state.hpp>
#include <annals/storage/reentrancy.hpp>

namespace annals::inline v1::storage {

/// Sleeps while nothing moves; comes every millisecond while something does. `add` and `remove`
/// from any thread; the destructor ends the thread and waits for it.
template <Platform P>
class Keeper {
public:
    using PartitionPtr = std::shared_ptr<PartitionState<P>>;

    Keeper(std::shared_ptr<WriterContext<P>> context, EventHandler on_event)
        : context_{std::move(context)}, on_event_{std::move(on_event)} {
        if (context_->has_keeper) thread_ = typename P::Thread{[this] { run(); }};
    }
    Keeper(Keeper const&) = delete;
    Keeper& operator=(Keeper const&) = delete;
    ~Keeper() {
        if (!context_->has_keeper) return;
        is_stopping_.store(true, std::memory_order_seq_cst);
        context_->keeper.notify();
        thread_.join();
    }

    void add(std::vector<PartitionPtr> const& partitions) {
        std::lock_guard const lock{mutex_};
        partitions_.insert(partitions_.end(), partitions.begin(), partitions.end());
    }

    /// Returns when the keeper is done with them.
    void remove(std::vector<PartitionPtr> const& partitions) {
        std::lock_guard const lock{mutex_};
        for (PartitionPtr const& each : partitions) std::erase(partitions_, each);
    }

    /// Tells the user what happened, in this thread. What the handler throws would end the program.
    void tell(Event const& event) const {
        if (!on_event_) return;
        detail::UserCodeScope const scope;
        (void)detail::attempt([&] { on_event_(event); });
    }
    void tell(Error const& error) const { tell(event_of(error)); }

private:
    static constexpr std::chrono::nanoseconds tick{std::chrono::milliseconds{1}};

    struct Round {
        bool is_busy = false;
        std::optional<std::int64_t> due{};
    };

    void run() {
        while (!is_stopping_.load(std::memory_order_seq_cst)) {
            WaitWord const ticket = context_->keeper.ticket();
            if (keep_all().is_busy) {
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
        Round const round = keep_all();
        if (round.is_busy || is_stopping_.load(std::memory_order_seq_cst)) return;
        auto timeout = std::chrono::nanoseconds::max();
        if (round.due) {
            timeout = std::chrono::nanoseconds{*round.due} - context_->platform.steady_now();
        }
        if (timeout > std::chrono::nanoseconds{0}) context_->keeper.sleep(ticket, timeout);
    }

    [[nodiscard]] Round keep_all() {
        Round round;
        std::lock_guard const lock{mutex_};
        for (PartitionPtr const& partition : partitions_) {
            typename Upkeep<P>::Round upkeep;
            auto error = detail::attempt([&] { upkeep = partition->keep(); });
            if (!error) error = upkeep.trouble;
            if (error) (void)detail::attempt([&] { tell(*error); });
            round.is_busy |= upkeep.is_busy;
            if (upkeep.due && (!round.due || *upkeep.due < *round.due)) round.due = upkeep.due;
        }
        return round;
    }

    [[nodiscard]] static Event event_of(Error const& error) {
        Event::Kind kind = Event::Kind::notice;
        if (error.code() == Errc::sync_failed) kind = Event::Kind::sync_error;
        if (error.code() == Errc::corrupt) kind = Event::Kind::damage;
        if (error.code() == Errc::no_space) kind = Event::Kind::allocation_error;
        return {.kind = kind, .message = error.what(), .path = error.path()};
    }

    std::shared_ptr<WriterContext<P>> context_;
    EventHandler on_event_;
    typename P::Mutex mutex_;  // of the list; held while the keeper works
    std::vector<PartitionPtr> partitions_;
    typename P::template Atomic<bool> is_stopping_{false};
    typename P::Thread thread_;
};

}  // namespace annals::inline v1::storage
