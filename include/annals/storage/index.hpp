// SPDX-License-Identifier: MIT
// The sparse index of one segment in memory: it follows the published frames, and says where to
// begin looking for an offset or a time.
#pragma once

#include <cstdint>
#include <mutex>
#include <utility>

#include <annals/config.hpp>
#include <annals/format/index.hpp>
#include <annals/format/segment.hpp>
#include <annals/platform/platform.hpp>

namespace annals::inline v1::storage {

/// Knows an entry for about every `index_stride` bytes of what it was shown. Any thread may call
/// it.
template <Platform P>
class SegmentIndex {
public:
    using Extent = format::Extent;

    /// What lies from this place on is this process's own, and needs no check.
    void trust_from(std::uint64_t place) {
        std::lock_guard const lock{mutex_};
        trusted_from_ = place;
    }

    /// Looks at the frames between what it knows and `published`, all of which are published. It
    /// goes no further than the first that is damaged: who trusts the index trusts numbers and
    /// times that nobody looks at again.
    void extend(Bytes segment, std::uint64_t salt, Extent published) {
        std::lock_guard const lock{mutex_};
        while (seen_.place < published.place) {
            format::FrameWord const word{detail::load<std::uint64_t>(segment.data() + seen_.place)};
            auto const frame = format::frame_at(segment, seen_.place, word);
            if (!frame || word.state() == format::FrameState::seal) break;
            format::prefetch_behind(segment, frame);
            bool const is_own = seen_.place >= trusted_from_;
            if (!is_own && !format::is_good(segment, frame, seen_.count, salt)) break;
            add_entry_where_due();
            if (word.state() == format::FrameState::data) {
                contents_.max_timestamp = std::max(contents_.max_timestamp, frame.detail);
            }
            seen_ = {seen_.count + frame.records, frame.end};
        }
    }

    /// Takes what a file says about the whole segment, which ends at `end`.
    void assume(format::IndexContents contents, Extent end) {
        std::lock_guard const lock{mutex_};
        contents_ = std::move(contents);
        seen_ = end;
    }

    /// Forgets everything.
    void reset() { assume({}, {}); }

    /// A frame at or before the record with this number, to go on from.
    [[nodiscard]] Extent before_number(std::uint64_t number) const {
        return last_entry([&](format::IndexEntry const& entry) { return entry.number <= number; });
    }

    /// A frame before which all timestamps are below `timestamp`.
    [[nodiscard]] Extent before_time(std::int64_t timestamp) const {
        return last_entry([&](format::IndexEntry const& entry) {
            return entry.max_timestamp_before < timestamp;
        });
    }

    /// The highest timestamp of what was seen, and how far that is.
    [[nodiscard]] std::pair<std::int64_t, Extent> max_timestamp() const {
        std::lock_guard const lock{mutex_};
        return {contents_.max_timestamp, seen_};
    }

    /// All of it, and how far it goes.
    [[nodiscard]] std::pair<format::IndexContents, Extent> contents() const {
        std::lock_guard const lock{mutex_};
        return {contents_, seen_};
    }

private:
    void add_entry_where_due() {
        std::uint64_t const last = contents_.entries.empty()
                                       ? format::first_frame_place
                                       : contents_.entries.back().extent().place;
        if (seen_.place < last + format::index_stride) return;
        contents_.entries.push_back(
            {.number = static_cast<std::uint32_t>(seen_.count),
             .place = static_cast<std::uint32_t>(seen_.place / format::frame_alignment),
             .max_timestamp_before = contents_.max_timestamp});
    }

    /// The last entry for which `holds`, which is true up to some entry and false from there on.
    template <class Predicate>
    [[nodiscard]] Extent last_entry(Predicate const& holds) const {
        std::lock_guard const lock{mutex_};
        std::size_t low = 0;
        std::size_t high = contents_.entries.size();
        while (low < high) {
            std::size_t const middle = low + (high - low) / 2;
            if (holds(contents_.entries[middle])) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low == 0 ? Extent{} : contents_.entries[low - 1].extent();
    }

    mutable typename P::Mutex mutex_;
    format::IndexContents contents_;
    Extent seen_;
    std::uint64_t trusted_from_ = ~std::uint64_t{0};
};

}  // namespace annals::inline v1::storage
