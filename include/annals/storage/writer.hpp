// SPDX-License-Identifier: MIT
// The writing life of one partition: claims, rolls from one segment to the next, and its close.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/format/segment.hpp>
#include <annals/options.hpp>
#include <annals/storage/capacity.hpp>
#include <annals/storage/copying.hpp>
#include <annals/storage/durability.hpp>
#include <annals/storage/gate.hpp>
#include <annals/storage/round.hpp>
#include <annals/storage/segment_list.hpp>
#include <annals/storage/spares.hpp>
#include <annals/storage/tail.hpp>
#include <annals/storage/writer_context.hpp>

namespace annals::inline v1::storage {

/// Claims and everything that makes room for them. Any thread may call any member.
template <Platform P>
class Writer {
public:
    using SegmentPtr = std::shared_ptr<Segment<P>>;
    using Extent = format::Extent;

    Writer(std::shared_ptr<SegmentFiles<P> const> files, std::shared_ptr<WriterContext<P>> context,
           std::shared_ptr<TopicSettings<P> const> settings, SegmentList<P>& segments,
           OpenedPartition<P>&& opened)
        : files_{std::move(files)},
          context_{std::move(context)},
          settings_{std::move(settings)},
          segments_{segments},
          durability_{files_, segments, opened.durable},
          refusal_{opened.refusal},
          spares_{files_, opened.spare, opened.next_ordinal},
          gate_{files_, segments, std::move(opened)} {
        context_->relief.add(*this);
    }
    Writer(Writer const&) = delete;
    Writer& operator=(Writer const&) = delete;
    ~Writer() {
        // In a forked child another thread may have held what this would wait for.
        if (context_->process.is_this()) context_->relief.remove(*this);
    }

    [[nodiscard]] WriterContext<P> const& context() const noexcept { return *context_; }
    [[nodiscard]] auto& relief() noexcept { return context_->relief; }
    [[nodiscard]] Durability<P>& durability() noexcept { return durability_; }
    [[nodiscard]] Spares<P>& spares() noexcept { return spares_; }

    /// The timestamp of a record that is sent now, unless the sender gave one.
    [[nodiscard]] Timestamp stamp(std::optional<Timestamp> const& given) const {
        return given ? *given : settings_->now(context_->platform);
    }

    /// Takes a place for `records` of together `bytes`. Throws, having claimed nothing, where there
    /// can be none: `no_space`, `closed`, `sync_failed` and the like.
    [[nodiscard, gnu::always_inline]] Claimed<P> claim(std::uint64_t records, std::uint64_t bytes) {
        for (;;) {
            Tail<P>* const tail = tail_.load(std::memory_order_acquire);
            if (auto const taken = tail ? tail->claim(records, bytes) : typename Tail<P>::Taken{}) {
                return {tail->segment(), taken.at, Offset{tail->base() + taken.at.count}};
            }
            if (tail) (void)tail->parked(context_->platform);
            make_room(tail);
        }
    }

    /// The offset behind all claims that stand now.
    [[nodiscard]] std::uint64_t claimed_end() const {
        Tail<P> const* const tail = tail_.load(std::memory_order_seq_cst);
        return tail ? tail->base() + tail->claimed(context_->platform).count : gate_.end();
    }

    /// Waits for the owners of all claims below `offset`; `corrupt`: one of them is damaged.
    void wait_published(std::uint64_t offset) const {
        if (durability_.durable_offset() >= offset) return;  // also what a closed log no longer has
        for (unsigned attempt = 0; segments_.find_published_end() < offset; ++attempt) {
            if (attempt >= yielding_attempt) segments_.require_passable();
            context_->platform.relax(attempt);
        }
    }

    /// Whether anything was claimed in this life.
    [[nodiscard]] bool has_begun() const noexcept {
        return tail_.load(std::memory_order_seq_cst) != nullptr;
    }

    /// Makes a segment in advance if one is due. For the keeper.
    void make_spare_where_due(bool is_fast = false) {
        if (is_refused()) return;
        spares_.make_where_due([&](auto last) { return capacity_due(is_fast, last); }, blocks());
    }

    struct Active {
        Tail<P>* tail = nullptr;
        SegmentPtr segment{};
    };

    /// The segment that claims go to, kept alive, and its tail; nulls before the first claim and
    /// for the moment of a swap.
    [[nodiscard]] Active active() const {
        SegmentPtr last = segments_.last();
        Tail<P>* const tail = tail_.load(std::memory_order_seq_cst);
        if (!tail || !last || &tail->segment() != last.get()) return {};
        return {tail, std::move(last)};
    }

    /// Gives back what can be given back, where the process has run out of something.
    void give_back() {
        if (spares_.close()) context_->relief.count();
        if (files_->recent_mappings().let_go()) context_->relief.count();
        complete_rolled();
    }

    /// Syncs and completes what was rolled. For whoever rolled where there is no keeper.
    void complete_rolled() {
        if (!has_begun()) return;
        end_after_failure([&] {
            if (durability_.complete_before(segments_.last_open())) context_->relief.count();
        });
    }

    /// A step of that, which waits for a piece only. False: all is done. For the keeper.
    bool complete_rolled_step() {
        bool is_more = false;
        end_after_failure(
            [&] { is_more = durability_.complete_step_before(segments_.last_open()); });
        if (is_more) context_->relief.count();
        return is_more;
    }

    /// Begins writing what will be synced one day. For the keeper.
    void start_writeback() {
        end_after_failure([&] { durability_.start_writeback(); });
    }

    /// Makes everything published durable, unless it is known to be so up to `end` already. Throws
    /// `sync_failed`: then the outcome is open, and the next call, like the next claim, begins by
    /// moving what is in doubt to a new file.
    void make_durable(std::uint64_t end);

    /// Where a sync has failed: copies what is in doubt to a new file and goes on there. Waits for
    /// the claims that stand. Throws why it cannot.
    void move_on_after_failure() {
        if (!durability_.is_poisoned()) return;
        std::lock_guard const lock{roll_mutex_};
        if (!durability_.is_poisoned()) return;
        tail_.load(std::memory_order_relaxed)->cross();
        move_on();
    }

    /// Whether the log is in a state to remove records from.
    [[nodiscard]] bool is_settled() const {
        return !is_refused() && !durability_.is_poisoned() && (has_begun() || !gate_.must_copy());
    }

    /// The log begins at `offset`, durably when this returns. Throws what all claims would throw.
    void store_beginning(std::uint64_t offset) {
        std::lock_guard const lock{roll_mutex_};
        if (refusal_) detail::raise_again(*refusal_);
        has_begun() ? durability_.store_beginning(offset) : gate_.store_beginning(offset);
    }

    /// Seals what is appended to, if anything is; the next append makes the successor.
    void end_segment() {
        std::lock_guard const lock{roll_mutex_};
        if (refusal_ || durability_.is_poisoned()) return;
        if (!has_begun() && gate_.goes_on()) begin();
        Tail<P>* const tail = tail_.load(std::memory_order_relaxed);
        if (!tail || tail == sealed_ || tail->claimed(context_->platform).count == 0) return;
        tail->cross();
        store_seal<P>(tail->segment().bytes(), tail->segment().info().salt,
                      tail->parked(context_->platform), spares_.lowest_next());
        sealed_ = tail;
    }

    /// Told once: a sync has failed, and what was in doubt was moved.
    [[nodiscard]] std::optional<Error> take_incident() { return incident_.take(); }

    /// Refuses all further claims with `error`; those that stand are not touched.
    void refuse(Error const& error) {
        std::lock_guard const lock{roll_mutex_};
        if (!refusal_) refusal_ = error;
        cross_active();
    }

    /// Ends this writing life: waits for all claims, makes all durable, and says so in the control
    /// file; where it throws, the partition counts as not closed. Call it once.
    void close(Error const& closed) {
        refuse(closed);
        if (!has_begun()) return;
        wait_published(claimed_end());
        make_durable(std::max(claimed_end(), segments_.last()->base() + 1));  // also an empty one
        complete_rolled();
        auto const [tail, active] = this->active();
        Extent const end = tail->claimed(context_->platform);
        durability_.set_clean({.ordinal = active->ordinal(), .count = end.count, .end = end.place});
        active->stop_writing();
    }

    /// However `close` went: from here on nothing of this life touches a file, for the next writer
    /// may have them.
    void end() noexcept {
        std::lock_guard const lock{roll_mutex_};
        durability_.end();
    }

    /// Throws what all claims would throw; nothing while they are taken.
    void require_open() const {
        std::lock_guard const lock{roll_mutex_};
        if (refusal_) detail::raise_again(*refusal_);
    }

    /// All epochs of the partition, ascending.
    [[nodiscard]] std::vector<format::Epoch> epochs() const {
        std::lock_guard const lock{roll_mutex_};
        return gate_.epochs();
    }

    [[nodiscard]] bool is_refused() const {
        std::lock_guard const lock{roll_mutex_};
        return refusal_.has_value();
    }

private:
    [[nodiscard]] Blocks blocks() const { return settings_->blocks(); }
    /// Of the segment that it is time to make; 0: of none. That is the next one once the active one
    /// is half full; at speed it is at once, and then the one behind a spare of `last` bytes, too.
    [[nodiscard]] std::uint64_t capacity_due(bool is_fast, std::uint64_t last) const {
        auto const [tail, active] = this->active();
        if (!active || active->is_finished()) return 0;
        std::uint64_t const full = active->info().capacity;
        if (!is_fast && (last || tail->claimed(context_->platform).place * 2 < full)) return 0;
        return next_capacity(last ? last : full, context_->segment_bytes, 0);
    }

    void cross_active() noexcept {
        if (Tail<P>* const tail = tail_.load(std::memory_order_relaxed)) tail->cross();
    }

    /// After a failed sync nothing more is appended to the segments that it concerns.
    template <class F>
    void end_after_failure(F const& sync) {
        auto const error = detail::attempt(sync);
        if (!error) return;
        if (durability_.is_poisoned()) {
            std::lock_guard const lock{roll_mutex_};
            if (durability_.is_poisoned()) cross_active();
        }
        detail::raise_again(*error);
    }

    /// `full` has no room. One thread makes some, the others sleep and find it, or get its error.
    [[gnu::cold, gnu::noinline]] void make_room(Tail<P>* full);

    void try_to_make_room(Tail<P>* full) {
        std::lock_guard const lock{roll_mutex_};
        if (refusal_) detail::raise_again(*refusal_);
        if (tail_.load(std::memory_order_relaxed) != full) return;
        if (!full) return begin();
        if (durability_.is_poisoned()) return move_on();
        roll(*full);
    }

    // All of these under the mutex of the roll.

    void begin() {
        auto life = gate_.open(spares_, *context_, blocks());
        Tail<P>& tail = make_tail(*life.active, life.resume);
        if (segments_.last() != life.active) segments_.append(life.active);
        durability_.begin(std::move(life.control), life.active, life.durable);
        tail_.store(&tail, std::memory_order_seq_cst);
    }

    [[nodiscard]] Tail<P>& make_tail(Segment<P>& segment, Extent resume) {
        tails_.push_back(std::make_unique<Tail<P>>(segment, resume));
        if (refusal_) tails_.back()->cross();
        return *tails_.back();
    }

    /// From a full segment to the next: activates the successor, seals the old one, swaps. Done
    /// again from the start where it failed half-way; the end was parked once and for all.
    void roll(Tail<P>& full) {
        SegmentPtr const held = segments_.last();  // not for long: then retention may drop it
        Segment<P>& old = *held;
        Extent const end = full.parked(context_->platform);
        // Only full ones double, not what was sealed or ended for a claim that could not be had.
        std::uint64_t const needed = full.bytes_needed();
        std::uint64_t most = context_->segment_bytes;
        if (needed == 0) most = std::min(most, old.info().capacity);
        SegmentInfo info = spares_.get(next_capacity(old.info().capacity, most, needed), blocks());
        info.base_offset = old.base() + end.count;
        info.epoch = old.info().epoch;
        info.predecessor = old.ordinal();
        auto next = std::make_shared<Segment<P>>(files_, info);
        next->start_writing({}, spares_.take_open());
        Tail<P>& tail = make_tail(*next, {});
        segments_.append(next);
        // From here on nothing can fail.
        auto const activation = format::checked(info.activation(), info.salt);
        detail::store(next->bytes() + format::activation_place, activation);
        P::store_point(next->bytes() + format::activation_place, sizeof activation);
        if (sealed_ != &full) store_seal<P>(old.bytes(), old.info().salt, end, info.ordinal);
        spares_.used();
        tail_.store(&tail, std::memory_order_seq_cst);
    }

    /// After a failed sync: what the disk is not known to hold is copied to a new file, durable
    /// before it has a name, and the log goes on there. The old files are not synced again: Linux
    /// would report success over lost pages.
    void move_on() {
        Tail<P>& lost = *tail_.load(std::memory_order_relaxed);
        SegmentPtr const held = segments_.last();  // as in a roll
        Segment<P>& old = *held;
        Extent const end = lost.parked(context_->platform);
        wait_published(old.base() + end.count);
        if (!copied_) copied_ = copy_doubtful(old, old.base() + end.count);
        auto next = std::make_shared<Segment<P>>(files_, copied_->info);
        next->start_writing(copied_->end);
        Tail<P>& tail = make_tail(*next, copied_->end);
        auto const replaced = segments_.append(next);
        store_seal<P>(old.bytes(), old.info().salt, end, next->ordinal());
        durability_.move_to(next);
        tail_.store(&tail, std::memory_order_seq_cst);
        copied_.reset();
        let_go(*files_, segments_, *next, replaced);
        incident_.set(incident_of(*next));
    }

    [[nodiscard]] CopiedTail copy_doubtful(Segment<P> const& old, std::uint64_t end) {
        SegmentInfo const info{.ordinal = spares_.take_ordinal(),
                               .capacity = std::min(context_->segment_bytes, old.info().capacity),
                               .epoch = old.info().epoch,
                               .predecessor = old.ordinal()};
        CopiedTail copied;
        OffsetRange const range{durability_.durable_offset(), end};
        auto const error =
            detail::attempt([&] { copied = copy_tail(*files_, segments_, info, range, blocks()); });
        if (error) {
            // What is damaged stays so: nothing may be appended behind it.
            if (error->code() == Errc::corrupt) refusal_ = error;
            detail::raise_again(*error);
        }
        spares_.used_ordinal();
        return copied;
    }

    std::shared_ptr<SegmentFiles<P> const> files_;
    std::shared_ptr<WriterContext<P>> context_;
    std::shared_ptr<TopicSettings<P> const> settings_;
    SegmentList<P>& segments_;
    Durability<P> durability_;

    mutable typename P::Mutex roll_mutex_;  // of the roll, the gate, and what follows
    std::optional<Error> refusal_;
    Incident<P> incident_;
    std::optional<CopiedTail> copied_;  // after a failed sync, and not yet appended to
    std::vector<std::unique_ptr<Tail<P>>> tails_;
    Tail<P>* sealed_ = nullptr;  // the active one that has a seal and no successor yet

    Spares<P> spares_;
    Gate<P> gate_;

    alignas(64) typename P::template Atomic<Tail<P>*> tail_{nullptr};
};

// Outside of the class, so that whoever links annals::compiled need not compile it.

template <Platform P>
void Writer<P>::make_room(Tail<P>* full) {
    context_->process.require(files_->path());
    auto const error =
        detail::attempt([&] { context_->relief.run([&] { try_to_make_room(full); }); });
    if (error && full) full->forget_bytes_needed();
    if (error) detail::raise_again(*error);
    if (!full) return;
    context_->has_keeper ? context_->keeper.notify() : complete_rolled();
}

template <Platform P>
void Writer<P>::make_durable(std::uint64_t end) {
    if (durability_.durable_offset() >= end) return;
    // What a death left in doubt is copied to a new file; syncing the old one proves nothing.
    if (!has_begun()) make_room(nullptr);
    move_on_after_failure();
    end_after_failure([&] { durability_.sync(end); });
}

}  // namespace annals::inline v1::storage
