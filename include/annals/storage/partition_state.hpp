// SPDX-License-Identifier: MIT
// A partition in one process: its segments, its writer if this process has the log's lock, and
// where to find an offset or a time in it.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/storage/attachment.hpp>
#include <annals/storage/follower.hpp>
#include <annals/storage/lookup.hpp>
#include <annals/storage/opening.hpp>
#include <annals/storage/own_process.hpp>
#include <annals/storage/reentrancy.hpp>
#include <annals/storage/segment_list.hpp>
#include <annals/storage/tracker.hpp>
#include <annals/storage/upkeep.hpp>
#include <annals/storage/writer.hpp>

namespace annals::inline v1::storage {

/// Shared by all handles of the partition; outlives the log's closing. Any thread may call it.
template <Platform P>
class PartitionState {
public:
    using SegmentPtr = std::shared_ptr<Segment<P>>;

    /// A partition of a writing log: recovers it.
    PartitionState(std::shared_ptr<SegmentFiles<P> const> files,
                   std::shared_ptr<WriterContext<P>> context,
                   std::shared_ptr<TopicSettings<P> const> settings,
                   std::shared_ptr<Signal<P>> readers, AfterDeath rule)
        : files_{std::move(files)}, settings_{std::move(settings)}, readers_{std::move(readers)} {
        OpenedPartition<P> opened = Opening<P>{files_, Role::writer, rule}.open();
        adopt(opened);
        writer_ = std::make_unique<Writer<P>>(files_, std::move(context), settings_, segments_,
                                              std::move(opened));
        retention_ = std::make_unique<Retention<P>>(*files_, segments_, *settings_, *writer_);
        upkeep_ = std::make_unique<Upkeep<P>>(platform(), *settings_, *writer_, *retention_);
        tracker_ = std::make_unique<Tracker<P>>(*files_, segments_, *settings_, *writer_);
    }

    /// A partition of a log that is only read.
    PartitionState(std::shared_ptr<SegmentFiles<P> const> files,
                   std::shared_ptr<Attachment<P> const> attachment)
        : files_{std::move(files)},
          follower_{std::in_place, files_, std::move(attachment), segments_} {
        follower_->open([&](auto& opened) { adopt(opened); });
    }

    [[nodiscard]] SegmentFiles<P> const& files() const noexcept { return *files_; }
    [[nodiscard]] P const& platform() const noexcept { return files_->platform(); }
    [[nodiscard]] std::uint32_t partition() const noexcept { return files_->partition(); }
    [[nodiscard]] bool is_writing() const noexcept { return writer_ != nullptr; }
    [[nodiscard]] OwnProcess<P> const& process() const noexcept { return process_; }
    [[nodiscard]] SegmentList<P> const& segments() const noexcept { return segments_; }
    [[nodiscard]] PartitionRecovery const& recovery() const noexcept { return recovery_; }

    /// The writer, or `read_only`.
    [[nodiscard]] Writer<P>& writer() {
        ANNALS_ASSERT(process_.is_this());  // a log does not go into a forked child
        if (!writer_) [[unlikely]] {
            detail::raise(Errc::read_only, "the log was opened for reading",
                          {.path = files_->path()});
        }
        detail::require_outside_user_code();
        return *writer_;
    }

    // Sending, once the bytes are there.

    /// What every sender does after publishing: wakes who sleeps, and keeps the topic's promise.
    [[gnu::always_inline]] void published(std::uint64_t end) {
        WriterContext<P> const& context = writer_->context();
        readers_->notify_sleepers();
        if (context.has_keeper) context.keeper.notify_sleepers();
        if (!context.has_keeper) retain_where_due();
        Sync const sync = settings_->sync.load(std::memory_order_relaxed);
        if (sync == Sync::always) [[unlikely]] {
            auto const error = detail::attempt([&] {
                writer_->wait_published(end);
                writer_->make_durable(end);
            });
            // Durable is durable, whatever went wrong behind it.
            if (error && durable() < end) raise_sync_failed(*error);
        } else if (sync == Sync::interval && !context.has_keeper) {
            auto const error =
                detail::attempt([&] { (void)upkeep_->sync_if_due(published_end()); });
            if (error && error->code() == Errc::sync_failed) detail::raise_again(*error);
        }
    }

    /// Where no keeper runs, whoever calls leads the sync that is due, and removes what is. A
    /// failed sync is kept, and told to the next sender; a failed removal is tried again.
    void sync_where_due() {
        if (!writer_ || writer_->context().has_keeper) return;
        retain_where_due();
        if (settings_->sync.load(std::memory_order_relaxed) != Sync::interval) return;
        (void)detail::attempt([&] {
            if (published_end() > durable()) (void)upkeep_->sync_if_due(published_end());
        });
    }

    // Where the log begins and ends.

    [[nodiscard]] std::uint64_t beginning() {
        refresh();
        return segments_.beginning();
    }

    /// Removes the records before `offset`, or all where that is behind them. Returns where the log
    /// begins then.
    std::uint64_t delete_before(std::uint64_t offset) {
        (void)writer();
        std::uint64_t const beginning = retention_->delete_before(std::min(offset, end()));
        writer_->context().keeper.notify();
        return beginning;
    }

    /// How far everything is published, without waiting.
    [[nodiscard]] std::uint64_t published_end();

    /// The end that whoever asks now must see: behind every record whose send returned before.
    [[nodiscard]] std::uint64_t end() {
        ANNALS_ASSERT(process_.is_this());  // a log does not go into a forked child
        detail::require_outside_user_code();
        if (!writer_) {
            refresh();
            return published_end();
        }
        std::uint64_t const claimed = writer_->claimed_end();
        writer_->wait_published(claimed);
        return claimed;
    }

    /// Behind all claims that stand, published or not.
    [[nodiscard]] std::uint64_t claimed_end() {
        return writer_ ? writer_->claimed_end() : published_end();
    }

    /// How far handles may read: whatever there is, but of a closed log not what others add to it.
    [[nodiscard]] std::uint64_t readable_end() const {
        return has_ended() ? writer_->claimed_end() : std::numeric_limits<std::uint64_t>::max();
    }

    [[nodiscard]] std::uint64_t durable() {
        if (writer_) return writer_->durability().durable_offset();
        auto const mark = follower_->durable();
        refresh();  // the segment that it names may be a new one
        return durable_by(mark);
    }

    /// Makes durable whatever was sent before the call. Throws `sync_failed`; `read_only`.
    void flush() {
        std::uint64_t const end = writer().claimed_end();
        writer_->wait_published(end);
        writer_->make_durable(end);
    }

    // Finding a place.

    /// The record with this offset, or where it will be if it is the next; `offset` must not be
    /// beyond the published end. Without a segment: it is not to be found, for now. Throws
    /// `corrupt` where damage hides it.
    [[nodiscard]] Location<P> locate(std::uint64_t offset);
    [[nodiscard]] typename Segment<P>::Pin pin(Segment<P>& segment) {
        return with_relief([&] { return segment.pin(); });
    }

    /// What `find()` finds. Where a file vanished meanwhile it looks again, for the log begins
    /// later now, or another writer has recovered it. Throws `closed` where the topic was removed,
    /// or the log was closed: what another writer removes of it then is gone.
    template <class Find>
    [[nodiscard]] auto find_again(Find const& find) -> decltype(find()) {
        constexpr unsigned most_tries = 100;
        for (unsigned tries = 1;; ++tries) {
            decltype(find()) found{};
            auto const error = detail::attempt([&] { found = find(); });
            if (!error) return found;
            bool const is_vanished = error->code() == Errc::not_found;
            if (is_vanished && has_ended()) {
                detail::raise(Errc::closed, "the log was closed, and this was removed since",
                              {.path = error->path()});
            }
            if (is_vanished || error->code() == Errc::corrupt) refresh();
            if (!is_vanished || tries == most_tries) detail::raise_again(*error);
            platform().relax(tries);
        }
    }

    /// The offset of the first record whose timestamp is at least `timestamp`, or `end`, which is
    /// what end() has returned: younger records may have come behind it. Throws `corrupt` where
    /// damage hides which it is.
    [[nodiscard]] std::uint64_t offset_at(std::int64_t timestamp, std::uint64_t end);

    /// The epoch of the record with this offset.
    [[nodiscard]] std::uint64_t epoch_of(std::uint64_t offset) const {
        std::uint64_t epoch = 0;
        for (format::Epoch const& each : epochs()) {
            if (epoch == 0 || each.first_offset <= offset) epoch = each.number;
        }
        return epoch;
    }

    /// All epochs, ascending.
    [[nodiscard]] std::vector<format::Epoch> epochs() const {
        if (writer_) return writer_->epochs();
        auto const control = follower_->control();
        if (control && !control->is_damaged(format::epochs_part)) return control->epochs;
        std::vector<format::Epoch> epochs;
        for (SegmentPtr const& segment : segments_.snapshot()) {
            std::uint64_t const number = segment->info().epoch;
            if (epochs.empty() || epochs.back().number < number) {
                epochs.push_back({number, segment->base()});
            }
        }
        return epochs;
    }

    /// Looks for what writers in other processes did since.
    void refresh();

    // The writing life beyond sending.

    /// Keeps up with the senders; waits for no disk. One thread's alone.
    [[nodiscard]] Round track() {
        if (!writer_) return {};
        return tracker_->track([&] { return find_published_end(); });
    }

    /// Does what may wait for the disk, as far as `track` has come. One thread's alone.
    [[nodiscard]] Round keep() {
        if (!writer_) return {};
        return upkeep_->keep(tracked_end(), claimed_end());
    }

    /// Refuses what is sent from now on, and waits for nothing.
    void refuse(Error const& closed) {
        if (writer_) writer_->refuse(closed);
    }

    /// Ends the writing life; reading goes on. Throws what close() of the log must tell.
    void close(Error const& closed) {
        Rollback const say_so{[&] { is_closed_.store(true, std::memory_order_seq_cst); }};
        if (!writer_) return;
        retention_->end();
        Rollback const let_go{[&] {
            writer_->end();
            (void)writer_->spares().close();
        }};
        writer_->close(closed);
        (void)detail::attempt([&] { writer_->spares().keep_one(); });  // or the next opening will
    }

    /// Whether this process's log was closed: nobody waits for it any more.
    [[nodiscard]] bool is_closed() const noexcept {
        return is_closed_.load(std::memory_order_seq_cst);
    }

    /// The futex word that the writer wakes readers of other processes through, and its value.
    [[nodiscard]] std::optional<WaitWord> wait_word(typename Segment<P>::Pin& pin) {
        SegmentPtr const segment = segments_.first_unfinished();
        if (!segment || detail::attempt([&] { pin = segment->pin(); })) return std::nullopt;
        return segment->wait_word(pin);
    }

private:
    /// Whether the writing life has: what comes into the files now is others'.
    [[nodiscard]] bool has_ended() const noexcept { return writer_ && is_closed(); }

    [[nodiscard]] Access access() const noexcept {
        return writer_ && !is_closed() ? Access::write : Access::read;
    }

    /// What `find()` finds; where that is damage it looks again, for another segment may have the
    /// record, such as a copy. Throws `corrupt` where none has.
    template <class Find>
    [[nodiscard]] Location<P> find_undamaged(Find const& find) {
        Location<P> found = find();
        if (!found.is_damaged) return found;
        refresh();
        found = find();
        if (found.is_damaged) found.segment->raise_damage(found.extent);
        return found;
    }

    /// Reading needs descriptors and mappings, too, and may run out of them.
    template <class Work>
    [[nodiscard]] auto with_relief(Work const& work) {
        decltype(work()) result;
        auto const get = [&] { result = work(); };
        if (writer_) {
            writer_->relief().run(get);
        } else if (auto const error = detail::attempt(get)) {
            bool const may_help = is_exhaustion(*error) && files_->recent_mappings().let_go();
            if (!may_help) detail::raise_again(*error);
            get();
        }
        return result;
    }

    void retain_where_due();

    /// The record is there, and nobody knows for how long: no other error would say so.
    [[noreturn, gnu::cold]] void raise_sync_failed(Error const& error) const {
        if (error.code() == Errc::sync_failed) detail::raise_again(error);
        detail::raise(Errc::sync_failed, error.what(),
                      {.path = error.path(), .system_code = error.system_code()});
    }

    void adopt(OpenedPartition<P> const& opened) {
        segments_.assign(opened.segments);
        recovery_ = opened.report;
        recovery_.end = Offset{opened.end};
        if (opened.control.beginning) segments_.begin_at(opened.control.beginning->offset);
        recovery_.beginning = Offset{segments_.beginning()};
    }

    [[nodiscard]] std::uint64_t find_published_end() {
        if (!follower_) return segments_.find_published_end();
        // Recovery may have shut out a segment that a reader has listed already.
        return segments_.find_published_end([&](Segment<P> const& segment) {
            segments_.drop_between(segment.ordinal(), segment.successor());
        });
    }

    /// How far somebody has looked.
    [[nodiscard]] std::uint64_t tracked_end() const {
        SegmentPtr const segment = segments_.first_unfinished();
        if (!segment || !writer_->has_begun()) return writer_->claimed_end();
        return segment->base() + segment->published().count;
    }

    [[nodiscard]] std::uint64_t durable_by(std::optional<format::Watermark> const& mark) const {
        std::uint64_t durable = segments_.beginning();
        if (!mark) return durable;
        for (SegmentPtr const& segment : segments_.snapshot()) {
            if (segment->ordinal() == mark->ordinal) durable = segment->base() + mark->count;
        }
        return durable;
    }

    std::shared_ptr<SegmentFiles<P> const> files_;
    OwnProcess<P> process_{files_->platform()};
    std::shared_ptr<TopicSettings<P> const> settings_;
    std::shared_ptr<Signal<P>> readers_;
    SegmentList<P> segments_;
    Lookup<P> lookup_{*files_, segments_};
    PartitionRecovery recovery_;
    typename P::template Atomic<bool> is_closed_{false};

    std::optional<Follower<P>> follower_;  // of a log that is only read
    std::unique_ptr<Writer<P>> writer_;
    std::unique_ptr<Retention<P>> retention_;
    std::unique_ptr<Upkeep<P>> upkeep_;
    std::unique_ptr<Tracker<P>> tracker_;
};

// Outside of the class, so that whoever links annals::compiled need not compile it.

template <Platform P>
void PartitionState<P>::refresh() {
    if (follower_) follower_->refresh([&](auto& opened) { adopt(opened); });
}

template <Platform P>
Location<P> PartitionState<P>::locate(std::uint64_t offset) {
    auto const find = [&] { return lookup_.locate(offset, access()); };
    return find_undamaged([&] { return with_relief(find); });
}

template <Platform P>
std::uint64_t PartitionState<P>::offset_at(std::int64_t timestamp, std::uint64_t end) {
    auto const find = [&] { return lookup_.find_time(timestamp, access()); };
    auto const found =
        find_undamaged([&] { return find_again([&] { return with_relief(find); }); });
    if (!found.segment) return std::max(end, segments_.beginning());
    return found.segment->base() + found.extent.count;
}

template <Platform P>
void PartitionState<P>::retain_where_due() {
    if (!retention_->is_due()) return;
    (void)detail::attempt([&] { retention_->keep(published_end()); });
}

template <Platform P>
std::uint64_t PartitionState<P>::published_end() {
    return follower_ ? find_again([&] { return find_published_end(); }) : find_published_end();
}

}  // namespace annals::inline v1::storage
