// SPDX-License-Identifier: MIT
// A segment in the memory of one process: its mapping and its published prefix.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/format/segment.hpp>
#include <annals/platform/platform.hpp>
#include <annals/storage/index.hpp>
#include <annals/storage/recovery.hpp>
#include <annals/storage/segment_files.hpp>

namespace annals::inline v1::storage {

/// One segment of a partition. A writer keeps it mapped until it is complete, readers for as long
/// as they hold a pin. Threads: all members may be called from any thread, but `start_writing` and
/// `stop_writing` by one.
template <Platform P>
class Segment : public std::enable_shared_from_this<Segment<P>> {
public:
    using File = typename P::Directory::File;
    using Mapping = typename File::Mapping;
    using Pin = std::shared_ptr<Mapping const>;
    using Extent = format::Extent;

    static constexpr std::uint64_t no_limit = ~std::uint64_t{0};

    Segment(std::shared_ptr<SegmentFiles<P> const> files, SegmentInfo const& info)
        : files_{std::move(files)}, info_{info} {}

    [[nodiscard]] SegmentInfo const& info() const noexcept { return info_; }
    [[nodiscard]] std::uint64_t ordinal() const noexcept { return info_.ordinal; }
    [[nodiscard]] std::uint64_t base() const noexcept { return info_.base_offset; }
    [[nodiscard]] std::uint64_t claimable_end() const noexcept {
        return format::claimable_end(info_.capacity);
    }
    [[nodiscard]] std::string path() const { return files_->segment_path(info_.ordinal); }
    [[nodiscard]] SegmentIndex<P>& index() noexcept { return index_; }

    // Appending. Only in the writing process, between start_writing and stop_writing.

    /// Takes the file, or opens it; what lies before `resume` is known to be published. Throws what
    /// opening and mapping do.
    void start_writing(Extent resume, std::optional<WritableSegment<P>> opened = {}) {
        if (!opened) opened.emplace(*files_, info_.ordinal);
        std::lock_guard const lock{mutex_};
        identity_ = opened->file.identity();
        file_.emplace(std::move(opened->file));
        writing_ = std::move(opened->mapping);
        reading_ = writing_;
        kept_.reset();
        bytes_ = writing_->data();
        index_.trust_from(resume.place);
        raise_published(resume);
    }

    /// Lets go of the descriptor and the writable mapping; nothing is open in the segment any more.
    void stop_writing() {
        std::lock_guard const lock{mutex_};
        writing_.reset();
        file_.reset();
    }

    [[nodiscard]] bool is_writing() const {
        std::lock_guard const lock{mutex_};
        return writing_ != nullptr;
    }

    /// The segment's memory. Good for whoever holds a claim, for until that is published the
    /// segment is not complete.
    [[nodiscard]] std::byte* bytes() const noexcept { return bytes_; }
    [[nodiscard]] File& file() noexcept { return *file_; }
    /// Of that file. It was asked once: Linux gives a file that somebody has looked at a new time
    /// of change at the next store, and writes that with the next sync, too.
    [[nodiscard]] FileIdentity const& identity() const noexcept { return identity_; }
    [[nodiscard]] std::shared_ptr<Mapping> writable() const {
        std::lock_guard const lock{mutex_};
        return writing_;
    }

    /// The futex word in the first page on which readers of other processes wait, and its value.
    [[nodiscard]] WaitWord wait_word(Pin const& pin) const noexcept {
        auto const* const word =
            reinterpret_cast<std::uint32_t const*>(pin->data() + format::wait_word_place);
        typename P::template AtomicRef<std::uint32_t> const shared{
            *const_cast<std::uint32_t*>(word)};
        return {word, shared.load(std::memory_order_seq_cst)};
    }

    /// Ends these waits.
    void wake_readers(P const& platform) const {
        auto const mapping = writable();
        if (!mapping) return;
        auto* const word =
            reinterpret_cast<std::uint32_t*>(mapping->data() + format::wait_word_place);
        typename P::template AtomicRef<std::uint32_t>{*word}.fetch_add(1,
                                                                       std::memory_order_seq_cst);
        platform.wake(word);
    }

    // Reading.

    /// Keeps the segment mapped for as long as it is held, and some time longer. Maps it where it
    /// is not. Throws what opening and mapping do, and `corrupt` where another file has taken its
    /// name.
    [[nodiscard]] Pin pin() {
        Pin pin;
        {
            std::lock_guard const lock{mutex_};
            if ((pin = reading_.lock())) return pin;
            pin = std::make_shared<Mapping>(files_->map_segment(info_));
            reading_ = kept_ = pin;
        }
        files_->recent_mappings().add(this->weak_from_this());
        return pin;
    }

    /// Stays mapped only while somebody holds a pin.
    void keep_no_mapping() noexcept {
        std::lock_guard const lock{mutex_};
        kept_.reset();
        if (is_finished()) index_.reset();  // its file has it, or a look at the frames
    }

    /// The whole segment, for as long as the pin is held.
    [[nodiscard]] Bytes bytes_of(Pin const& pin) const noexcept {
        return {pin->data(), info_.capacity};
    }

    /// The published frame at this place of the segment's bytes, and what its owner stored before
    /// publishing it. False: there is none yet.
    [[nodiscard, gnu::always_inline]] format::FrameAt frame_at(Bytes bytes,
                                                               std::uint64_t place) const noexcept {
        format::FrameAt frame;
        if (place > format::claimable_end(bytes.size())) return frame;
        // Loads alone never write, but an atomic reference wants what could be written.
        auto* const word = const_cast<std::uint64_t*>(
            reinterpret_cast<std::uint64_t const*>(bytes.data() + place));
        format::FrameWord const loaded{
            typename P::template AtomicRef<std::uint64_t>{*word}.load(std::memory_order_acquire)};
        frame = format::frame_at(bytes, place, loaded);
        if (frame) [[likely]]
            return frame;
        if (Gap const* const gap = find_gap(place)) {
            frame.word = format::FrameWord{format::FrameState::voided, gap->bytes, 0};
            frame.place = place;
            frame.end = place + gap->bytes;
            frame.records = gap->records;
            frame.is_assumed = true;
        }
        return frame;
    }

    /// How far every frame is published, as far as somebody has looked.
    [[nodiscard]] Extent published() const noexcept {
        return Extent::unpacked(published_.load(std::memory_order_acquire));
    }

    /// Whether the published prefix ends at a seal, or where another segment takes over.
    [[nodiscard]] bool is_finished() const noexcept {
        return finished_.load(std::memory_order_acquire);
    }

    /// The lowest ordinal that the next segment may have, once this one is finished.
    [[nodiscard]] std::uint64_t successor() const noexcept {
        return successor_.load(std::memory_order_relaxed);
    }

    /// Looks how far frames are published by now, over at most about so many bytes.
    Extent advance_published(std::uint64_t most = no_limit) {
        if (is_finished()) return published();
        Extent const before = published();
        if (before.count >= limit()) {  // needs no look, and no mapping
            finish(info_.ordinal + 1);
            return before;
        }
        Pin const pin = this->pin();
        Extent extent = before;
        std::optional<std::uint64_t> successor;
        Bytes const bytes = bytes_of(pin);
        std::uint64_t const stop = detail::add_saturating(extent.place, most);
        while (extent.count < limit() && extent.place < stop && !successor) {
            auto const frame = frame_at(bytes, extent.place);
            if (!frame) break;
            format::prefetch_behind(bytes, frame);
            if (!may_be_passed(bytes, frame, extent.count)) break;
            if (frame.word.state() == format::FrameState::seal) {
                successor = static_cast<std::uint64_t>(frame.detail);
            } else {
                extent = {extent.count + frame.records, frame.end};
            }
        }
        if (extent != before) raise_published(extent);
        if (extent.count >= limit()) successor = info_.ordinal + 1;
        // Whoever finds it finished must find all of it published.
        if (successor) finish(*successor);
        return extent;
    }

    /// Throws `corrupt` where what comes next was published and is damaged: advance_published()
    /// will never pass it.
    void require_passable() {
        Pin const pin = this->pin();
        Extent const at = published();
        auto const frame = frame_at(bytes_of(pin), at.place);
        bool const is_due = frame && at.count < limit() && !is_finished();
        if (is_due && !may_be_passed(bytes_of(pin), frame, at.count)) raise_damage(at);
    }

    [[noreturn, gnu::cold]] void raise_damage(Extent at) const {
        detail::raise(
            Errc::corrupt,
            "the record at offset " + std::to_string(base() + at.count) + " fails its check",
            {.path = path(),
             .segment = ordinal(),
             .place = at.place,
             .partition = files_->partition()});
    }

    /// Known without looking: everything up to here is published.
    void raise_published(Extent extent) noexcept {
        std::uint64_t seen = published_.load(std::memory_order_relaxed);
        while (seen < extent.packed() &&
               !published_.compare_exchange_weak(seen, extent.packed(), std::memory_order_release,
                                                 std::memory_order_relaxed)) {
        }
    }

    /// Known without looking: the segment is complete and ends here.
    void set_finished(Extent end, std::uint64_t successor) noexcept {
        raise_published(end);
        finish(successor);
    }

    /// In memory: whatever lies behind `end` is no part of the log.
    void cut_at(Extent end) noexcept {
        set_limit(std::min(limit(), end.count));
        set_finished(end, info_.ordinal + 1);
    }

    /// Records from this number on are not this segment's: a later segment holds them, or a cut
    /// took them. `no_limit`: there is none.
    [[nodiscard]] std::uint64_t limit() const noexcept {
        return limit_.load(std::memory_order_acquire);
    }
    void set_limit(std::uint64_t count) noexcept { limit_.store(count, std::memory_order_release); }

    /// From that number on the records are the copy's, which is held by whoever holds this segment.
    /// One call at a time.
    void hand_over(std::shared_ptr<Segment> copy, std::uint64_t count) noexcept {
        copy_ = std::move(copy);
        set_limit(count);
    }

    /// The highest timestamp of a complete segment, as its first page says; `before_all_time`: the
    /// index must tell.
    [[nodiscard]] std::int64_t known_max_timestamp() const noexcept {
        return max_timestamp_.load(std::memory_order_relaxed);
    }
    /// When it was completed, by the system clock; `after_all_time`: it is not, or nobody knows.
    [[nodiscard]] std::int64_t completed() const noexcept {
        return completed_.load(std::memory_order_relaxed);
    }
    /// What the first page of a complete segment says.
    void set_completion(format::Completion const& completion) noexcept {
        max_timestamp_.store(completion.max_timestamp, std::memory_order_relaxed);
        completed_.store(completion.completed, std::memory_order_relaxed);
    }

    /// What recovery found dead and did not write into the file: read as voids. Before the segment
    /// is shared with other threads.
    void set_gaps(std::vector<Gap> gaps) { gaps_ = std::move(gaps); }

    /// What this process has checked, from the first frame on.
    [[nodiscard]] std::uint64_t verified_place() const noexcept {
        return verified_.load(std::memory_order_relaxed);
    }
    void set_verified_place(std::uint64_t place) noexcept {
        verified_.store(place, std::memory_order_relaxed);
    }

private:
    /// Whether what the frame says of itself is believed. A void skips offsets, and a seal ends the
    /// segment: neither is believed unchecked.
    [[nodiscard, gnu::always_inline]] bool may_be_passed(Bytes bytes, format::FrameAt const& frame,
                                                         std::uint64_t number) const noexcept {
        return frame.word.state() == format::FrameState::data
                   ? format::has_number(bytes, frame, number)
                   : frame.is_assumed || format::is_good(bytes, frame, number, info_.salt);
    }

    [[nodiscard, gnu::cold]] Gap const* find_gap(std::uint64_t place) const noexcept {
        for (Gap const& gap : gaps_) {
            if (gap.place == place) return &gap;
        }
        return nullptr;
    }

    void finish(std::uint64_t successor) noexcept {
        successor_.store(successor, std::memory_order_relaxed);
        finished_.store(true, std::memory_order_release);
    }

    template <class T>
    using Atomic = typename P::template Atomic<T>;

    std::shared_ptr<SegmentFiles<P> const> files_;
    SegmentInfo const info_;
    std::vector<Gap> gaps_;
    std::shared_ptr<Segment> copy_;
    std::byte* bytes_ = nullptr;
    FileIdentity identity_;

    mutable typename P::Mutex mutex_;  // of the four below
    std::optional<File> file_;
    std::shared_ptr<Mapping> writing_;
    std::weak_ptr<Mapping const> reading_;
    Pin kept_;
    SegmentIndex<P> index_;

    Atomic<std::uint64_t> published_{Extent{}.packed()};
    Atomic<std::uint64_t> verified_{format::first_frame_place};
    Atomic<std::uint64_t> limit_{no_limit};
    Atomic<std::uint64_t> successor_{0};
    Atomic<std::int64_t> max_timestamp_{format::before_all_time};
    Atomic<std::int64_t> completed_{format::after_all_time};
    Atomic<bool> finished_{false};
};

}  // namespace annals::inline v1::storage
