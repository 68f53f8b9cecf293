// SPDX-License-Identifier: MIT
// What must keep up with the senders of one partition: pages ahead of them, the index behind them,
// and the wake-up of readers in other processes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <annals/config.hpp>
#include <annals/storage/completion.hpp>
#include <annals/storage/populator.hpp>
#include <annals/storage/round.hpp>
#include <annals/storage/segment_list.hpp>
#include <annals/storage/writer.hpp>

namespace annals::inline v1::storage {

/// Borrows its partition's parts. One thread's alone, which waits for no disk here.
template <Platform P>
class Tracker {
public:
    using SegmentPtr = std::shared_ptr<Segment<P>>;

    Tracker(SegmentFiles<P> const& files, SegmentList<P> const& segments,
            TopicSettings<P> const& settings, Writer<P>& writer)
        : files_{files}, segments_{segments}, settings_{settings}, writer_{writer} {}

    /// `find_published_end()` looks how far everything is published.
    template <class Find>
    [[nodiscard]] Round track(Find const& find_published_end) {
        Round round;
        if (!writer_.has_begun()) return round;
        round.attempt([&] { round.is_behind = follow(); });
        round.attempt([&] {
            std::uint64_t const end = find_published_end();
            round.is_busy = end != tracked_end_ || end < writer_.claimed_end();
            if (end != tracked_end_) wake_other_processes();
            tracked_end_ = end;
            if (!round.is_busy) (void)writer_.spares().close();  // no descriptor while it rests
            if (end < writer_.claimed_end()) segments_.require_passable();
        });
        round.trouble = complaint_.once(std::move(round.trouble));
        return round;
    }

private:
    static constexpr std::uint64_t stride = std::uint64_t{1} << 20;

    /// Then each page that is stored to, for whatever reason, is written with the next record.
    [[nodiscard]] bool syncs_each_record() const noexcept {
        return settings_.sync.load(std::memory_order_relaxed) == Sync::always;
    }

    void populate() {
        if (syncs_each_record()) return;
        auto const [tail, active] = writer_.active();
        if (!active) return;
        populator_.follow(*active, tail->claimed(files_.platform()).place,
                          [&](std::uint64_t bytes) { prepare_spare(bytes); });
    }

    /// A large page is written whole with each sync, however little of it has changed.
    void prepare_spare(std::uint64_t bytes) {
        if (settings_.sync.load(std::memory_order_relaxed) == Sync::never) {
            writer_.spares().prepare(bytes, Spares<P>::most_at_once);
        } else {
            writer_.spares().prepare(std::min(bytes, 2 * stride), 4 * format::page_bytes);
        }
    }

    /// In strides, so that the index finds in the cache what was looked at, and pages are there
    /// however far behind the senders this is. True: so far that others must have their turn.
    [[nodiscard]] bool follow() {
        for (unsigned strides = 0; strides < 16; ++strides) {
            populate();
            SegmentPtr const segment = segments_.first_unfinished();
            if (!segment || !segment->is_writing()) return false;
            std::uint64_t const before = segment->published().place;
            std::uint64_t const end = segment->advance_published(stride).place;
            refresh_index(files_, *segment, segment->pin(), Access::read);
            if (end - before < stride && !segment->is_finished()) return false;
        }
        return true;
    }

    /// Who waits at the end of a segment that was rolled waits on that segment's word.
    void wake_other_processes() {
        SegmentPtr const segment = segments_.first_unfinished();
        if (woken_ && woken_ != segment) wake(*woken_);
        if (woken_ != segment) view_.reset();
        woken_ = segment;
        if (segment) wake(*segment);
    }

    void wake(Segment<P> const& segment) {
        if (!syncs_each_record()) return segment.wake_readers(files_.platform());
        // Without a store, and not through the writable mapping: Linux counts a wake there as one.
        // A reader who was just about to wait is missed, and looks again some milliseconds later;
        // so do all where there is no descriptor for a mapping, or no file any more.
        auto const map = [&] { view_.emplace(files_.map_segment(segment.info())); };
        if (!view_ && detail::attempt(map)) return;
        auto const* const word = view_->data() + format::wait_word_place;
        files_.platform().wake(reinterpret_cast<std::uint32_t const*>(word));
    }

    SegmentFiles<P> const& files_;
    SegmentList<P> const& segments_;
    TopicSettings<P> const& settings_;
    Writer<P>& writer_;
    Populator<P> populator_;
    std::uint64_t tracked_end_ = 0;
    SegmentPtr woken_;
    std::optional<typename SegmentFiles<P>::Mapping> view_;  // of the same
    Complaint complaint_;
};

}  // namespace annals::inline v1::storage
