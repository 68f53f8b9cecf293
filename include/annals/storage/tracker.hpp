// SPDX-License-Identifier: MIT
// What must keep up with the senders of one partition: pages ahead of them, the index behind them,
// and the wake-up of readers in other processes.
#pragma once

#include <cstdint>
#include <memory>

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

    Tracker(SegmentFiles<P> const& files, SegmentList<P> const& segments, Writer<P> const& writer)
        : files_{files}, segments_{segments}, writer_{writer} {}

    /// `find_published_end()` looks how far everything is published.
    template <class Find>
    [[nodiscard]] Round track(Find const& find_published_end) {
        Round round;
        if (!writer_.has_begun()) return round;
        auto const [active, tail] = writer_.active();
        if (active) populator_.follow(*active, tail);
        round.attempt([&] {
            std::uint64_t const end = find_published_end();
            round.is_busy = end != tracked_end_ || end < writer_.claimed_end();
            if (end != tracked_end_) wake_other_processes();
            tracked_end_ = end;
        });
        round.attempt([&] { index_published(); });
        round.trouble = complaint_.once(std::move(round.trouble));
        return round;
    }

private:
    void index_published() {
        SegmentPtr const segment = segments_.first_unfinished();
        if (segment && segment->is_writing()) {
            refresh_index(files_, *segment, segment->pin(), Access::read);
        }
    }

    /// Who waits at the end of a segment that was rolled waits on that segment's word.
    void wake_other_processes() {
        SegmentPtr const segment = segments_.first_unfinished();
        if (woken_ && woken_ != segment) woken_->wake_readers(files_.platform());
        if (segment) segment->wake_readers(files_.platform());
        woken_ = segment;
    }

    SegmentFiles<P> const& files_;
    SegmentList<P> const& segments_;
    Writer<P> const& writer_;
    Populator<P> populator_;
    std::uint64_t tracked_end_ = 0;
    SegmentPtr woken_;
    Complaint complaint_;
};

}  // namespace annals::inline v1::storage
