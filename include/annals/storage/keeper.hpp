// SPDX-License-Identifier: MIT
// The keeper: two background threads for each log. They do in advance, or afterwards, what senders
// need not wait for.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/options.hpp>
#include <annals/storage/file_tools.hpp>
#include <annals/storage/partition_state.hpp>
#include <annals/storage/reentrancy.hpp>
#include <annals/storage/rounds.hpp>

namespace annals::inline v1::storage {

/// One thread keeps up with the senders, the other one does what waits for the disk: were they one,
/// senders would take the page faults, and readers of other processes would wait, for as long as
/// each sync lasts. `add` and `remove` from any thread; the destructor ends the threads.
template <Platform P>
class Keeper {
public:
    using PartitionPtr = std::shared_ptr<PartitionState<P>>;

    Keeper(std::shared_ptr<WriterContext<P>> const& context, EventHandler on_event)
        : on_event_{std::move(on_event)},
          tracking_{context, Track{}, Tell{*this}},
          upkeep_{context, Keep{}, Tell{*this}} {}

    void add(std::vector<PartitionPtr> const& partitions) {
        tracking_.add(partitions);
        Rollback forget{[&] { tracking_.remove(partitions); }};
        upkeep_.add(partitions);
        forget.dismiss();
    }

    /// Returns when the keeper is done with them.
    void remove(std::vector<PartitionPtr> const& partitions) {
        tracking_.remove(partitions);
        upkeep_.remove(partitions);
    }

    /// Tells the user what happened, in this thread, one event at a time. What the handler throws
    /// would end the program.
    void tell(Event const& event) const {
        if (!on_event_) return;
        std::lock_guard const turn{telling_};
        detail::UserCodeScope const scope;
        (void)detail::attempt([&] { on_event_(event); });
    }
    void tell(Error const& error) const { tell(event_of(error)); }

private:
    struct Track {
        Round operator()(PartitionState<P>& partition) const { return partition.track(); }
    };
    struct Keep {
        Round operator()(PartitionState<P>& partition) const { return partition.keep(); }
    };
    struct Tell {
        Keeper const& keeper;
        void operator()(Error const& error) const noexcept {
            (void)detail::attempt([&] { keeper.tell(error); });
        }
    };

    [[nodiscard]] static Event event_of(Error const& error) {
        Event::Kind kind = Event::Kind::notice;
        if (error.code() == Errc::sync_failed) kind = Event::Kind::sync_error;
        if (error.code() == Errc::corrupt) kind = Event::Kind::damage;
        if (error.code() == Errc::no_space) kind = Event::Kind::allocation_error;
        return {.kind = kind, .message = error.what(), .path = error.path()};
    }

    EventHandler on_event_;
    mutable typename P::Mutex telling_;
    Rounds<P, Track, Tell> tracking_;
    Rounds<P, Keep, Tell> upkeep_;
};

}  // namespace annals::inline v1::storage
