// SPDX-License-Identifier: MIT
// From an offset or a time to a place, through the sparse indexes of a partition's segments.
#pragma once

#include <cstdint>
#include <memory>

#include <annals/config.hpp>
#include <annals/storage/completion.hpp>
#include <annals/storage/segment_files.hpp>
#include <annals/storage/segment_list.hpp>

namespace annals::inline v1::storage {

/// Where a record lies, or where the next one will.
template <Platform P>
struct Location {
    std::shared_ptr<Segment<P>> segment{};  ///< null: there is none
    typename Segment<P>::Pin pin{};         ///< its memory
    format::Extent extent{};
    bool is_damaged = false;  ///< the search ended here, for nobody knows what this is
};

/// Borrows the partition's files and segments. Any thread may call it.
template <Platform P>
class Lookup {
public:
    using Extent = format::Extent;

    Lookup(SegmentFiles<P> const& files, SegmentList<P> const& segments) noexcept
        : files_{files}, segments_{segments} {}

    /// The record with this offset, or where it will be if it is the next; no segment: what has it
    /// is not known yet. With Access::write, here and below, wrong index files are mended.
    [[nodiscard]] Location<P> locate(std::uint64_t offset, Access access) const {
        auto const segment = segments_.find(offset);
        if (!segment) return {};
        auto const pin = segment->pin();
        if (offset <= segment->base()) return {segment, pin, {}};
        std::uint64_t const number = offset - segment->base();
        Extent const published = segment->advance_published();
        if (number > published.count) return {};
        if (number == published.count) return {segment, pin, published};
        Extent at = confirmed(*segment, pin, access,
                              [&](auto& index) { return index.before_number(number); });
        Bytes const bytes = segment->bytes_of(pin);
        while (at.count < number) {
            auto const frame = segment->frame_at(bytes, at.place);
            if (!frame) return {segment, pin, at, true};
            if (at.count + frame.records > number) break;  // in a void
            at = {at.count + frame.records, frame.end};
        }
        return {segment, pin, at};
    }

    /// The first record of the log whose timestamp is at least `timestamp`; no segment: there is
    /// none. Every frame that decides this is checked.
    [[nodiscard]] Location<P> find_time(std::int64_t timestamp, Access access) const {
        std::uint64_t const beginning = segments_.beginning();
        for (auto const& segment : segments_.snapshot()) {
            std::int64_t const known = segment->known_max_timestamp();
            if (known != format::before_all_time && known < timestamp) continue;
            auto found = find_time_in(segment, timestamp, beginning, access);
            if (found.segment) return found;
        }
        return {};
    }

private:
    /// Where the index says to begin, if the frame there says so too; else the first frame.
    template <class Choose>
    [[nodiscard]] Extent confirmed(Segment<P>& segment, typename Segment<P>::Pin const& pin,
                                   Access access, Choose const& choose) const {
        refresh_index(files_, segment, pin, access);
        Extent const at = choose(segment.index());
        if (at == Extent{} || good_frame(segment, pin, at)) return at;
        rebuild_index(files_, segment, pin, access);
        Extent const again = choose(segment.index());
        return good_frame(segment, pin, again) ? again : Extent{};
    }

    [[nodiscard]] static format::FrameAt good_frame(Segment<P> const& segment,
                                                    typename Segment<P>::Pin const& pin,
                                                    Extent at) {
        Bytes const bytes = segment.bytes_of(pin);
        auto const frame = segment.frame_at(bytes, at.place);
        if (!frame || frame.is_assumed) return frame;
        bool const is_good = format::is_good(bytes, frame, at.count, segment.info().salt);
        return is_good ? frame : format::FrameAt{};
    }

    /// The index leads to within a stride of the answer, so little is checked.
    [[nodiscard]] Location<P> find_time_in(std::shared_ptr<Segment<P>> const& segment,
                                           std::int64_t timestamp, std::uint64_t beginning,
                                           Access access) const {
        std::uint64_t const first = beginning - std::min(beginning, segment->base());
        if (segment->is_finished() && segment->published().count <= first) return {};
        auto const pin = segment->pin();
        Extent const published = segment->advance_published();
        std::uint64_t const end = std::min(published.count, segment->limit());
        Extent at = confirmed(*segment, pin, access, [&](auto& index) {
            Extent const by_number = index.before_number(first);
            Extent const by_time = index.before_time(timestamp);
            return by_time.count < by_number.count ? by_number : by_time;
        });
        while (at.count < end) {
            auto const frame = good_frame(*segment, pin, at);
            if (!frame) return {segment, pin, at, true};
            bool const is_data = frame.word.state() == format::FrameState::data;
            if (is_data && at.count >= first && frame.detail >= timestamp) {
                return {segment, pin, at};
            }
            at = {at.count + frame.records, frame.end};
        }
        return {};
    }

    SegmentFiles<P> const& files_;
    SegmentList<P> const& segments_;
};

}  // namespace annals::inline v1::storage
