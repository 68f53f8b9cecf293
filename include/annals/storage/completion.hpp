// SPDX-License-Identifier: MIT
// The end of a segment's life as a file that changes: its mark of completion and its index file.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/format/index.hpp>
#include <annals/storage/segment.hpp>
#include <annals/storage/segment_files.hpp>

namespace annals::inline v1::storage {

/// Leaves the index beside the segment. It is derived: it need not be durable, and a failure costs
/// the next process a scan and nothing else. False: it was not written.
template <Platform P>
bool write_index(SegmentFiles<P> const& files, Segment<P>& segment) {
    auto const [contents, seen] = segment.index().contents();
    if (seen != segment.published()) return false;  // another thread has let go of it
    auto const error = detail::attempt([&] {
        auto directory = files.directory();
        replace_file(directory, format::ordinal_name(segment.ordinal(), format::index_suffix),
                     [&](auto& file) {
                         file.write_at(0, format::encode_index(segment.info().salt, contents));
                     });
    });
    return !error;
}

/// Stores that the whole segment and its seal are durable, which the caller has made sure of, and
/// writes the index.
template <Platform P>
void complete_segment(SegmentFiles<P> const& files, Segment<P>& segment,
                      typename Segment<P>::Mapping& mapping) {
    format::Extent const end = segment.published();
    segment.index().extend({mapping.data(), mapping.size()}, segment.info().salt, end);
    auto const [highest, seen] = segment.index().max_timestamp();
    bool const is_known = seen == end;  // otherwise a frame is damaged, and its time with it
    auto const completion = format::checked(
        format::Completion{.count = end.count,
                           .end = end.place,
                           .max_timestamp = is_known ? highest : format::before_all_time,
                           .completed = files.platform().now().time_since_epoch().count()},
        segment.info().salt);
    detail::store(mapping.data() + format::completion_place, completion);
    P::store_point(mapping.data() + format::completion_place, sizeof completion);
    segment.set_completion(completion);
    // Who looks for something reads it again: a log may have many.
    if (is_known && write_index(files, segment)) segment.index().reset();
}

/// Looks at the frames as far as they are published. A writer who knows all of a finished segment
/// then leaves an index file for others, in place of one that is missing or wrong.
template <Platform P>
void extend_index(SegmentFiles<P> const& files, Segment<P>& segment,
                  typename Segment<P>::Pin const& pin, Access access) {
    format::Extent const end = segment.published();
    segment.index().extend(segment.bytes_of(pin), segment.info().salt, end);
    bool const is_whole = segment.is_finished() && segment.index().max_timestamp().second == end;
    if (is_whole && access == Access::write) (void)write_index(files, segment);
}

/// Brings the index up to what is published: from its file where that is good, else from the
/// frames.
template <Platform P>
void refresh_index(SegmentFiles<P> const& files, Segment<P>& segment,
                   typename Segment<P>::Pin const& pin, Access access) {
    format::Extent const end = segment.published();
    auto const seen = segment.index().max_timestamp().second;
    if (seen.place >= end.place) return;
    if (segment.is_finished() && seen.place == format::first_frame_place) {
        std::optional<format::IndexContents> contents;
        (void)detail::attempt([&] {
            auto const directory = files.directory();
            auto const file =
                read_file(directory, format::ordinal_name(segment.ordinal(), format::index_suffix));
            if (file) {
                contents =
                    format::decode_index(*file, segment.info().salt, segment.info().capacity);
            }
        });
        if (contents) return segment.index().assume(std::move(*contents), end);
    }
    extend_index(files, segment, pin, access);
}

/// The index did not agree with the frames: it is made anew from them.
template <Platform P>
void rebuild_index(SegmentFiles<P> const& files, Segment<P>& segment,
                   typename Segment<P>::Pin const& pin, Access access) {
    segment.index().reset();
    extend_index(files, segment, pin, access);
}

}  // namespace annals::inline v1::storage
