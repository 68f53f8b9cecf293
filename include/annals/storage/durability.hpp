// SPDX-License-Identifier: MIT
// How far a partition is safe from power loss: shared syncs, the watermark, and the marks of
// completion that follow from them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/storage/completion.hpp>
#include <annals/storage/control_file.hpp>
#include <annals/storage/file_tools.hpp>
#include <annals/storage/group_commit.hpp>
#include <annals/storage/segment_list.hpp>

namespace annals::inline v1::storage {

/// Syncs what is published, segment by segment: an old one is durable before anything in the next
/// is called so. Any thread may call it.
template <Platform P>
class Durability {
public:
    using SegmentPtr = std::shared_ptr<Segment<P>>;

    Durability(std::shared_ptr<SegmentFiles<P> const> files, SegmentList<P> const& segments,
               std::uint64_t durable)
        : files_{std::move(files)},
          segments_{segments},
          group_{files_->platform()},
          durable_{durable} {}

    /// Records below this offset are durable.
    [[nodiscard]] std::uint64_t durable_offset() const noexcept {
        return durable_.load(std::memory_order_acquire);
    }

    /// The gate is open: from here on `control` tells recovery how far the log was durable.
    void begin(ControlFile<P> control, SegmentPtr first, std::uint64_t durable) {
        std::lock_guard const lock{mutex_};
        control_.emplace(std::move(control));
        unsynced_ = std::move(first);
        durable_.store(durable, std::memory_order_release);
    }

    /// Makes everything published durable, or throws `sync_failed`: then the outcome is open, for
    /// all who wait meanwhile. Records below `enough` are known to be published; where they are
    /// durable already nothing is done.
    void sync(std::uint64_t enough) {
        std::uint64_t const failures = failures_.load(std::memory_order_acquire);
        group_.run([&] { return is_served(enough, failures); },
                   [&] {
                       std::lock_guard const lock{mutex_};
                       sync_segments(SegmentPtr{});
                   });
    }

    /// Syncs and completes segments that were rolled, up to but without `active`; all that were
    /// sealed where that is null. False: there was none.
    bool complete_before(SegmentPtr const& active) {
        std::lock_guard const lock{mutex_};
        if (has_ended_) return false;
        SegmentPtr const before = unsynced_;
        sync_segments(active);
        return unsynced_ != before;
    }

    /// A step of the same, which does not keep the caller from everything else for long: writes a
    /// piece of the first of them, or completes that. False: there was nothing to do.
    bool complete_step_before(SegmentPtr const& active) {
        std::lock_guard const lock{mutex_};
        if (!unsynced_ || unsynced_ == active || is_poisoned() || has_ended_) return false;
        attach_control();
        if (unsynced_->is_writing() && write_piece(*unsynced_)) return true;
        SegmentPtr const before = unsynced_;
        sync_segments(segments_.next(before->ordinal()));
        return unsynced_ != before;
    }

    /// Asks the kernel to begin writing what was published, so that no sync, and no sender held up
    /// by too many dirty pages, finds it all at once. For the keeper.
    void start_writeback() {
        std::lock_guard const lock{mutex_};
        if (!unsynced_ || !unsynced_->is_writing() || is_poisoned() || has_ended_) return;
        if (unsynced_->is_finished()) return;  // what was rolled is written piece by piece
        attach_control();
        // Of a large page that is still stored to, each part would cost its sender an interrupt.
        auto const [begin, length] = release_published(*unsynced_, writeback_stride, large_page);
        if (length == 0) return;
        poison_if_it_fails(*unsynced_, [&] { unsynced_->file().start_writeback(begin, length); });
    }

    /// After the last sync: says that the partition was closed with this end.
    void set_clean(format::CleanMark const& mark) {
        std::lock_guard const lock{mutex_};
        if (is_poisoned()) detail::raise_again(*last_failure_);
        attach_control();
        control_->set_clean(mark);
        auto const error = detail::attempt([&] { store_control(); });
        if (!error) return;
        control_->clear_clean();  // the next writer must not believe it
        detail::raise_again(*error);
    }

    /// The log begins at `offset`, durably when this returns. It may be so already where it throws.
    void store_beginning(std::uint64_t offset) {
        std::lock_guard const lock{mutex_};
        attach_control();
        control_->set_beginning(offset);
        store_control();
    }

    /// Whether the control file says more than is durable of it.
    [[nodiscard]] bool is_control_behind() const {
        std::lock_guard const lock{mutex_};
        return control_ && control_->is_behind();
    }

    /// Makes the watermark durable, so that the other slot may be used. Nobody waits for this.
    void sync_control() {
        std::lock_guard const lock{mutex_};
        if (!control_ || has_ended_) return;
        attach_control();
        store_control();
    }

    /// The writing life is over, whatever is in doubt: no file is touched any more, and whoever
    /// would sync gets `closed`.
    void end() noexcept {
        std::lock_guard const lock{mutex_};
        has_ended_ = true;
        is_poisoned_.store(false, std::memory_order_release);
    }

    /// Whether a sync has failed and what it left in doubt was not moved to another file yet.
    [[nodiscard]] bool is_poisoned() const noexcept {
        return is_poisoned_.load(std::memory_order_acquire);
    }

    /// What was in doubt is durable in `copy`, and the log goes on there.
    void move_to(SegmentPtr copy) noexcept {
        std::lock_guard const lock{mutex_};
        format::Extent const extent = copy->published();
        // A try that failed may have been named, and have readers, before this one replaced it.
        control_->set_repairs(control_->repairs() + 1);
        control_->set_watermark(copy->ordinal(), copy->identity(), extent);
        control_->set_syncing(0);
        durable_.store(copy->base() + extent.count, std::memory_order_release);
        unsynced_ = std::move(copy);
        is_poisoned_.store(false, std::memory_order_release);
    }

private:
    static constexpr std::uint64_t writeback_stride = std::uint64_t{4} << 20;
    static constexpr std::uint64_t piece = 2 * writeback_stride;
    static constexpr std::uint64_t large_page = std::uint64_t{2} << 20;
    static constexpr std::uint64_t release_stride = std::uint64_t{256} << 10;

    struct Stretch {
        std::uint64_t begin = 0;
        std::uint64_t length = 0;
    };

    /// How far something has come in one segment; in another one it begins anew.
    struct Progress {
        std::uint64_t ordinal = 0;
        std::uint64_t place = 0;

        [[nodiscard]] std::uint64_t& in(Segment<P> const& segment) noexcept {
            if (ordinal != segment.ordinal()) *this = {segment.ordinal(), 0};
            return place;
        }
    };

    /// Writes the next piece of a segment that was rolled, and waits for it. False: there is none.
    bool write_piece(Segment<P>& segment) {
        std::uint64_t& written = written_.in(segment);
        std::uint64_t const end = segment.advance_published().place;
        if (written >= end) return false;
        release_published(segment, format::page_bytes);
        std::uint64_t const next = std::min(written + piece, end);
        poison_if_it_fails(segment, [&] {
            // The disk has the next one to do while this one is waited for.
            segment.file().start_writeback(next, std::min(piece, end - next));
            segment.file().write_back(written, next - written);
        });
        written = next;
        return true;
    }

    /// Takes the pages that are full and about to be written out of the mapping, where they are
    /// worth a call: `least` bytes. Returns where they lie.
    Stretch release_published(Segment<P>& segment, std::uint64_t least,
                              std::uint64_t page = format::page_bytes) {
        std::uint64_t& released = released_.in(segment);
        std::uint64_t const end = segment.published().place & ~(page - 1);
        if (end < released + least) return {};
        Stretch const stretch{released, end - released};
        segment.writable()->release(stretch.begin, stretch.length);
        released = end;
        return stretch;
    }

    /// Whether the records below `enough` are durable. Throws what has failed since there were
    /// `failures`, if that was about them.
    [[nodiscard]] bool is_served(std::uint64_t enough, std::uint64_t failures) const {
        if (failures_.load(std::memory_order_acquire) != failures) [[unlikely]] {
            std::lock_guard const lock{mutex_};
            if (enough > safe_) detail::raise_again(*last_failure_);
        }
        return durable_offset() >= enough;
    }

    void sync_segments(SegmentPtr const& stop) {
        if (has_ended_) detail::raise(Errc::closed, "was closed", {.path = files_->path()});
        if (is_poisoned()) detail::raise_again(*last_failure_);
        attach_control();
        while (unsynced_ && unsynced_ != stop) {
            if (unsynced_->is_writing()) {
                if (!sync_segment(*unsynced_)) return;
                complete(*unsynced_);
            }
            SegmentPtr next = segments_.next(unsynced_->ordinal());
            if (!next) return;  // it was sealed, and nothing was appended since
            unsynced_ = std::move(next);
        }
    }

    /// The published prefix is sampled, then synced, then called durable. Whether that was all of
    /// the segment, its seal included.
    bool sync_segment(Segment<P>& segment) {
        format::Extent const extent = segment.advance_published();
        bool const is_finished = segment.is_finished();
        control_->set_syncing(segment.ordinal());
        release_published(segment, release_stride);
        // Where this fails the mark stays: the page cache is no evidence then.
        poison_if_it_fails(segment, [&] { segment.file().sync(); });
        control_->set_syncing(0);
        control_->set_watermark(segment.ordinal(), segment.identity(), extent);
        durable_.store(segment.base() + extent.count, std::memory_order_release);
        return is_finished;
    }

    /// Any failure poisons, whatever it is called: nobody could tell what of the file is kept.
    template <class F>
    void poison_if_it_fails(Segment<P> const& segment, F const& sync) {
        auto error = detail::attempt(sync);
        if (!error) return;
        control_->set_syncing(segment.ordinal());  // whoever opens after a death must know
        last_failure_ = std::move(error);
        safe_ = durable_offset();
        failures_.fetch_add(1, std::memory_order_release);
        is_poisoned_.store(true, std::memory_order_release);
        detail::raise_again(*last_failure_);
    }

    /// A control file whose sync failed is not synced again but replaced.
    void store_control() {
        if (!is_control_lost_)
            is_control_lost_ = detail::attempt([&] { control_->sync(); }).has_value();
        if (!is_control_lost_) return;
        auto directory = files_->directory();
        auto const error = detail::attempt(
            [&] { replace_control(directory, files_->platform(), control_->contents()); });
        is_control_lost_ = error.has_value();
        // Where that failed, the new one may have the name all the same.
        is_control_detached_ = true;
        attach_control();
        if (error) detail::raise_again(*error);
    }

    /// Before anything is set: the marks must be in the file that recovery will find.
    void attach_control() {
        if (!is_control_detached_) return;
        ControlFile<P> named{files_->directory(), control_->contents()};
        if (is_control_lost_ && control_->is_behind()) named.stay_behind();
        control_.emplace(std::move(named));
        is_control_detached_ = false;
    }

    void complete(Segment<P>& segment) {
        auto const mapping = segment.writable();
        // What was not needed of its blocks goes back where the file system can take it.
        std::uint64_t const end = segment.published().place + format::frame_header_bytes;
        std::uint64_t const used = detail::align_up(end, format::page_bytes);
        (void)detail::attempt([&] {
            if (used < mapping->size()) segment.file().punch(used, mapping->size() - used);
        });
        complete_segment(*files_, segment, *mapping);
        segment.stop_writing();
    }

    std::shared_ptr<SegmentFiles<P> const> files_;
    SegmentList<P> const& segments_;
    GroupCommit<P> group_;
    mutable typename P::Mutex mutex_;  // of what follows, and of the syncs themselves
    std::optional<ControlFile<P>> control_;
    SegmentPtr unsynced_;
    Progress released_;  // pages taken out of the mapping
    Progress written_;   // pieces of what was rolled
    bool is_control_lost_ = false;
    bool is_control_detached_ = false;  ///< maybe of another file than the one that has the name
    bool has_ended_ = false;
    std::optional<Error> last_failure_;
    std::uint64_t safe_ = 0;  // what was durable when it happened
    typename P::template Atomic<std::uint64_t> failures_{0};
    typename P::template Atomic<bool> is_poisoned_{false};
    typename P::template Atomic<std::uint64_t> durable_;
};

}  // namespace annals::inline v1::storage
