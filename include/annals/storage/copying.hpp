// SPDX-License-Identifier: MIT
// Copying the end of a log to a new file, frame by frame, where the old file may not hold what the
// page cache shows: after a failed sync, later syncs of the same file return success over lost
// pages.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/storage/recovery.hpp>
#include <annals/storage/segment_files.hpp>
#include <annals/storage/segment_list.hpp>

namespace annals::inline v1::storage {

struct CopiedTail {
    SegmentInfo info{};
    format::Extent end{};
};

/// Calls `visit(segment bytes, info, frame)` for each published frame of the offsets in `range`.
/// Throws `corrupt` at a frame that fails its check.
template <Platform P, class Visit>
void visit_frames(SegmentList<P> const& segments, OffsetRange range, Visit const& visit) {
    std::uint64_t offset = range.first;
    while (offset < range.end) {
        auto const segment = segments.find(offset);
        auto const pin = segment->pin();
        Bytes const bytes = segment->bytes_of(pin);
        format::Extent at;
        while (segment->base() + at.count < range.end && at.count < segment->limit()) {
            auto const frame = segment->frame_at(bytes, at.place);
            if (!frame || frame.word.state() == format::FrameState::seal) break;
            if (!frame.is_assumed &&
                !format::is_good(bytes, frame, at.count, segment->info().salt)) {
                detail::raise(
                    Errc::corrupt, "a record fails its check",
                    {.path = segment->path(), .segment = segment->ordinal(), .place = at.place});
            }
            if (segment->base() + at.count >= offset) visit(bytes, segment->info(), frame);
            at = {at.count + frame.records, frame.end};
        }
        if (segment->base() + at.count <= offset) {
            detail::raise(
                Errc::corrupt, "records are missing",
                {.path = segment->path(), .segment = segment->ordinal(), .place = at.place});
        }
        offset = segment->base() + at.count;
    }
}

/// One frame as it must lie at `end` of the new segment; a void shrinks to its header.
inline void append_copy(std::vector<std::byte>& out, Bytes segment, format::FrameAt const& frame,
                        SegmentInfo const& to, format::Extent end) {
    bool const is_data = frame.word.state() == format::FrameState::data;
    std::uint64_t const length = is_data ? frame.word.length() : format::frame_header_bytes;
    std::size_t const begin = out.size();
    out.resize(begin + format::frame_extent(length));
    std::byte* const copy = out.data() + begin;
    if (is_data) {
        std::memcpy(copy, segment.data() + frame.place, length);
    } else {
        detail::store(copy + offsetof(format::FrameHeader, detail), frame.records);
    }
    detail::store(copy + offsetof(format::FrameHeader, number),
                  static_cast<std::uint32_t>(end.count));
    detail::store(
        copy, format::published_word(copy, frame.word.state(), length, to.salt, end.place).raw());
}

/// Makes a segment that holds the records of `range` again, whole and synced before it has a name,
/// and large enough for them.
template <Platform P>
[[nodiscard]] CopiedTail copy_tail(SegmentFiles<P> const& files, SegmentList<P> const& segments,
                                   SegmentInfo wanted, OffsetRange range, Blocks blocks) {
    std::uint64_t bytes = format::first_frame_place + format::frame_header_bytes;
    visit_frames(segments, range, [&](Bytes, SegmentInfo const&, format::FrameAt const& frame) {
        bytes += frame.end - frame.place;
    });
    wanted.base_offset = range.first;
    wanted.flags |= format::Activation::copy;
    wanted.capacity = std::max(wanted.capacity, detail::power_of_two_for(bytes));
    if (wanted.capacity > format::max_copy_bytes) {
        detail::raise(Errc::sync_failed, "more must be copied to a new file than one can hold",
                      {.path = files.path()});
    }
    constexpr std::size_t chunk = std::size_t{1} << 20;
    format::Extent end;
    wanted = files.create_active(wanted, blocks, [&](auto& file, SegmentInfo const& info) {
        std::vector<std::byte> buffer;
        std::uint64_t written = end.place;
        auto const flush = [&] {
            file.write_at(written, buffer);
            written += buffer.size();
            buffer.clear();
        };
        visit_frames(segments, range,
                     [&](Bytes segment, SegmentInfo const&, format::FrameAt const& frame) {
                         std::size_t const before = buffer.size();
                         append_copy(buffer, segment, frame, info, end);
                         end = {end.count + frame.records, end.place + buffer.size() - before};
                         if (buffer.size() >= chunk) flush();
                     });
        flush();
    });
    return {wanted, end};
}

/// What is told of a copy that was made in a living log.
template <Platform P>
[[nodiscard]] Error incident_of(Segment<P> const& copy) {
    return {Errc::sync_failed, "a sync failed; the records from offset " +
                                   std::to_string(copy.base()) + " on were copied to a new file, " +
                                   copy.path() + ", and the log goes on there"};
}

/// Nothing is written any more to what lies before `next`; what was replaced is not needed, but
/// stays mapped for whoever reads in it still.
template <Platform P>
void let_go(SegmentFiles<P> const& files, SegmentList<P> const& segments, Segment<P> const& next,
            std::vector<std::shared_ptr<Segment<P>>> const& replaced) {
    for (auto const& each : replaced) each->wake_readers(files.platform());
    for (auto const& each : segments.snapshot()) {
        if (each.get() == &next || !each->is_writing()) continue;
        each->wake_readers(files.platform());
        each->stop_writing();
    }
    // Where this fails the files are found to be superseded at the next opening.
    (void)detail::attempt([&] {
        auto directory = files.directory();
        for (auto const& each : replaced) files.remove_segment(directory, each->ordinal());
    });
}

}  // namespace annals::inline v1::storage
