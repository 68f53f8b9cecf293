// SPDX-License-Identifier: MIT
// The writing life of one partition: the gate before its first claim, claims, rolls, and its close.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/format/segment.hpp>
#include <annals/options.hpp>
#include <annals/storage/copying.hpp>
#include <annals/storage/durability.hpp>
#include <annals/storage/opening.hpp>
#include <annals/storage/populator.hpp>
#include <annals/storage/segment_list.hpp>
#include <annals/storage/signal.hpp>
#include <annals/storage/spare.hpp>

namespace annals::inline v1::storage {

/// What all partitions of a writing log share.
template <Platform P>
struct WriterContext {
    P platform;
    std::uint64_t segment_bytes = 0;
    bool has_keeper = false;
    Signal<P> keeper;  ///< wakes the keeper

    WriterContext(P machine, std::uint64_t bytes, bool keeper_runs)
        : platform{machine}, segment_bytes{bytes}, has_keeper{keeper_runs}, keeper{machine} {}
};

/// What a topic promises, changeable while it is written to.
template <Platform P>
struct TopicSettings {
    typename P::template Atomic<Sync> sync{Sync::interval};
    typename P::template Atomic<std::int64_t> sync_interval{1'000'000'000};  ///< nanoseconds
    typename P::template Atomic<Clock> clock{Clock::precise};
};

/// Claims and everything that makes room for them. Any thread may call any member.
template <Platform P>
class Writer {
public:
    using SegmentPtr = std::shared_ptr<Segment<P>>;
    using Extent = format::Extent;

    struct Claimed {
        Segment<P>* segment;
        Extent at;
    };

    Writer(std::shared_ptr<SegmentFiles<P> const> files, std::shared_ptr<WriterContext<P>> context,
           std::shared_ptr<TopicSettings<P> const> settings, SegmentList<P>& segments,
           OpenedPartition<P>&& opened)
        : files_{std::move(files)},
          context_{std::move(context)},
          settings_{std::move(settings)},
          segments_{segments},
          durability_{files_, segments, opened.durable},
          opened_{std::move(opened)},
          refusal_{opened_.refusal},
          spare_{files_, opened_.spare, opened_.next_ordinal} {
        opened_.segments.clear();  // the list has them
    }

    [[nodiscard]] WriterContext<P> const& context() const noexcept { return *context_; }
    [[nodiscard]] Durability<P>& durability() noexcept { return durability_; }

    /// The timestamp of a record that is sent now, unless the sender gave one.
    [[nodiscard]] Timestamp stamp(std::optional<Timestamp> given) const {
        if (given) return *given;
        bool const is_coarse = settings_->clock.load(std::memory_order_relaxed) == Clock::coarse;
        return is_coarse ? context_->platform.coarse_now() : context_->platform.now();
    }

    /// The largest record or batch that this log takes, as it lies in the file.
    [[nodiscard]] std::uint64_t max_claim_bytes() const noexcept {
        return std::min(format::max_claim_bytes, context_->segment_bytes / 8);
    }

    /// Takes a place for `records` of together `bytes`. Throws, having claimed nothing, where there
    /// can be none: `no_space`, `closed`, `sync_failed` and the like.
    [[nodiscard]] Claimed claim(std::uint64_t records, std::uint64_t bytes) {
        for (;;) {
            Segment<P>* const segment = active_.load(std::memory_order_acquire);
            if (segment) {
                if (auto const at = segment->claim(records, bytes)) {
                    hint_keeper(*segment, *at, bytes);
                    return {segment, *at};
                }
            }
            make_room(segment);
        }
    }

    /// The offset behind all claims that stand now.
    [[nodiscard]] std::uint64_t claimed_end() const {
        Segment<P> const* const active = active_.load(std::memory_order_seq_cst);
        return active ? active->base() + active->claimed(context_->platform).count : opened_.end;
    }

    /// The segment that claims go to; null before the first claim.
    [[nodiscard]] Segment<P>* active() const noexcept {
        return active_.load(std::memory_order_seq_cst);
    }

    [[nodiscard]] bool has_begun() const noexcept { return active() != nullptr; }

    /// Makes the next segment if the active one is half full. For the keeper.
    void make_spare_where_due() {
        Segment<P> const* const active = this->active();
        if (!active || is_refused()) return;
        Extent const tail = active->claimed(context_->platform);
        if (tail.place * 2 < active->info().capacity) return;
        spare_.make_where_missing(next_capacity(*active, 0), blocks());
    }

    /// For the keeper.
    void populate_ahead() {
        if (Segment<P> const* const active = this->active()) {
            populator_.follow(*active, context_->platform);
        }
    }

    /// Syncs and completes what was rolled. By the keeper, or by whoever rolled where there is
    /// none.
    void complete_rolled() {
        if (SegmentPtr const active = segments_.last(); active && has_begun()) {
            refuse_after_failure([&] { durability_.complete_before(active); });
        }
    }

    /// Begins writing what will be synced one day. For the keeper.
    void start_writeback() {
        refuse_after_failure([&] { durability_.start_writeback(); });
    }

    /// Makes everything published durable, unless it is known to be so up to `end` already. Throws
    /// `sync_failed`.
    void make_durable(std::uint64_t end) {
        // What a death left in doubt is copied to a new file; syncing the old one proves nothing.
        if (!has_begun() && durability_.durable_offset() < end) make_room(nullptr);
        refuse_after_failure([&] { durability_.sync(end); });
    }

    /// Refuses all further claims with `error`; those that stand are not touched.
    void refuse(Error const& error) {
        std::lock_guard const lock{roll_mutex_};
        if (!refusal_) refusal_ = error;
        if (Segment<P>* const active = this->active()) active->cross();
    }

    /// Ends this writing life: no more claims, all of it durable, and the control file says so.
    /// `wait_published(offset)` waits for the claims that stand. Throws what must not be swallowed;
    /// then the partition counts as not closed. Call it once.
    template <class Wait>
    void close(Error const& closed, Wait const& wait_published) {
        bool const was_refused = is_refused_after_failure();
        refuse(closed);
        Segment<P>* const active = this->active();
        if (!active) return;
        wait_published(claimed_end());
        make_durable(claimed_end());
        complete_rolled();
        if (was_refused) return;
        Extent const end = active->parked(context_->platform);
        durability_.set_clean({.ordinal = active->ordinal(), .count = end.count, .end = end.place});
        active->stop_writing();
    }

    /// Throws what all claims would throw; nothing while they are taken.
    void require_open() const {
        std::lock_guard const lock{roll_mutex_};
        if (refusal_) detail::raise_again(*refusal_);
    }

    /// All epochs of the partition, ascending.
    [[nodiscard]] std::vector<format::Epoch> epochs() const {
        std::lock_guard const lock{roll_mutex_};
        return opened_.control.epochs;
    }

    [[nodiscard]] bool is_refused() const {
        std::lock_guard const lock{roll_mutex_};
        return refusal_.has_value();
    }

private:
    [[nodiscard]] bool is_refused_after_failure() const {
        std::lock_guard const lock{roll_mutex_};
        return refusal_ && refusal_->code() != Errc::closed;
    }

    /// Nothing is appended to a partition whose sync failed: nobody could tell what of it is kept.
    template <class F>
    void refuse_after_failure(F const& sync) {
        auto const error = detail::attempt(sync);
        if (!error) return;
        if (error->code() == Errc::sync_failed) refuse(*error);
        detail::raise_again(*error);
    }

    /// Half a segment from its end the next one is due.
    void hint_keeper(Segment<P> const& segment, Extent at, std::uint64_t bytes) const noexcept {
        std::uint64_t const half = segment.info().capacity / 2;
        bool const crosses_half = at.place <= half && at.place + bytes > half;
        if (crosses_half && context_->has_keeper) [[unlikely]]
            context_->keeper.notify();
    }

    /// `full` has no room. One thread makes some, the others sleep and find it, or get its error.
    [[gnu::cold, gnu::noinline]] void make_room(Segment<P>* full) {
        {
            std::lock_guard const lock{roll_mutex_};
            if (refusal_) detail::raise_again(*refusal_);
            if (active_.load(std::memory_order_relaxed) != full) return;
            if (full) {
                roll(*full);
            } else {
                open_gate();
            }
        }
        if (!full) return;
        if (context_->has_keeper) {
            context_->keeper.notify();
        } else {
            complete_rolled();
        }
    }

    // The gate: before the first claim of a life.

    void open_gate() {
        bool const goes_on = opened_.resume.has_value();
        bool const begins = segments_.last() == nullptr;
        if (goes_on || begins) {
            begin_clean_life();
        } else {
            begin_epoch();
        }
        ControlFile<P> control{files_->directory(), opened_.control};
        SegmentPtr const active = goes_on ? resume_last() : begin_segment();
        if (opened_.copy_from) control.set_syncing(0);  // what it warned of is in a new file
        durability_.begin(std::move(control), active,
                          opened_.copy_from ? opened_.end : durability_.durable_offset());
        active_.store(active.get(), std::memory_order_seq_cst);
    }

    /// Clears the clean mark, durably: a log that was written to and not closed must say so.
    void begin_clean_life() {
        auto directory = files_->directory();
        bool is_stored = false;
        if (opened_.has_control) {
            is_stored = !detail::attempt([&] {
                ControlFile<P> control{directory, opened_.control};
                control.begin_life(context_->platform);
                control.sync();
            });
        }
        opened_.control.clean.reset();
        if (!is_stored) replace_control(directory, context_->platform, opened_.control);
        opened_.has_control = true;
    }

    /// The writer before died: what is appended now belongs to another epoch, so that positions
    /// committed beyond what was kept are told from what comes in their place.
    void begin_epoch() {
        auto directory = files_->directory();
        format::Control control = opened_.control;
        std::uint64_t const last = control.epochs.back().number;
        if (!began_epoch_) control.epochs.push_back({last + 1, opened_.end});
        control.clean.reset();
        control.syncing = opened_.copy_from ? control.syncing : 0;
        replace_control(directory, context_->platform, control);
        opened_.control = std::move(control);
        began_epoch_ = true;
    }

    [[nodiscard]] SegmentPtr resume_last() {
        SegmentPtr const last = segments_.last();
        auto file = files_->open_segment(last->ordinal(), Access::write);
        auto mapping = file.map(Access::write);
        last->start_writing(std::move(file), std::move(mapping), *opened_.resume);
        return last;
    }

    /// The first segment of the partition, or of the epoch. Where it was made but could not be
    /// opened, the next try goes on with it: a second one would contradict it.
    [[nodiscard]] SegmentPtr begin_segment() {
        if (!first_) first_ = make_first_segment();
        SegmentInfo const& info = first_->info;
        auto file = files_->open_segment(info.ordinal, Access::write);
        auto mapping = file.map(Access::write);
        auto segment = std::make_shared<Segment<P>>(files_, info);
        segment->start_writing(std::move(file), std::move(mapping), first_->end);
        segments_.append(segment);
        return segment;
    }

    /// Complete before it has a name; with what must be copied.
    [[nodiscard]] CopiedTail make_first_segment() {
        SegmentPtr const last = segments_.last();
        SegmentInfo const info{.ordinal = spare_.next_ordinal(),
                               .capacity = last ? last->info().capacity : first_capacity(),
                               .base_offset = opened_.end,
                               .epoch = opened_.control.epochs.back().number,
                               .predecessor = last ? last->ordinal() : 0};
        CopiedTail made;
        if (opened_.copy_from) {
            OffsetRange const range{*opened_.copy_from, opened_.end};
            made = copy_tail(*files_, segments_, info, range, blocks());
        } else {
            made.info = files_->create_active(info, blocks(), [](auto&, auto&) {});
        }
        spare_.used_ordinal(made.info.ordinal);
        return made;
    }

    // The roll: from a full segment to the next.

    /// Activates the successor, seals the old one, swaps. Done again from the start where it failed
    /// half-way; the end was parked once and for all.
    void roll(Segment<P>& full) {
        Extent const end = full.parked(context_->platform);
        SegmentInfo info = spare_.get(next_capacity(full, full.bytes_needed()), blocks());
        info.base_offset = full.base() + end.count;
        info.epoch = full.info().epoch;
        info.predecessor = full.ordinal();
        auto file = files_->open_segment(info.ordinal, Access::write);
        auto mapping = file.map(Access::write);
        auto const activation = format::checked(info.activation(), info.salt);
        detail::store(mapping.data() + format::activation_place, activation);
        P::store_point(mapping.data() + format::activation_place, sizeof activation);
        auto next = std::make_shared<Segment<P>>(files_, info);
        next->start_writing(std::move(file), std::move(mapping), {});
        spare_.used();
        segments_.append(next);  // before the seal: with that stored nothing may fail any more
        store_seal<P>(full.bytes(), full.info().salt, end, info.ordinal);
        active_.store(next.get(), std::memory_order_seq_cst);
    }

    [[nodiscard]] std::uint64_t first_capacity() const noexcept {
        return std::min(format::first_segment_bytes, context_->segment_bytes);
    }

    /// Twice the full one, up to the log's size of segments, or what the claim needs that crossed.
    [[nodiscard]] std::uint64_t next_capacity(Segment<P> const& full,
                                              std::uint64_t needed) const noexcept {
        std::uint64_t const doubled = std::min(2 * full.info().capacity, context_->segment_bytes);
        std::uint64_t const fitting = detail::power_of_two_for(needed + format::first_frame_place +
                                                               format::frame_header_bytes);
        return std::max(std::max(doubled, fitting), format::min_segment_bytes);
    }

    /// A topic that syncs each record wants blocks that need no conversion when they are synced.
    [[nodiscard]] Blocks blocks() const noexcept {
        return settings_->sync.load(std::memory_order_relaxed) == Sync::always ? Blocks::zeroed
                                                                               : Blocks::reserved;
    }

    std::shared_ptr<SegmentFiles<P> const> files_;
    std::shared_ptr<WriterContext<P>> context_;
    std::shared_ptr<TopicSettings<P> const> settings_;
    SegmentList<P>& segments_;
    Durability<P> durability_;

    mutable typename P::Mutex roll_mutex_;  // of the roll, the gate, and what follows
    OpenedPartition<P> opened_;
    std::optional<Error> refusal_;
    bool began_epoch_ = false;
    std::optional<CopiedTail> first_;  // made by the gate

    Spare<P> spare_;
    Populator<P> populator_;

    alignas(64) typename P::template Atomic<Segment<P>*> active_{nullptr};
};

}  // namespace annals::inline v1::storage
