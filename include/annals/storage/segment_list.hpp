// SPDX-License-Identifier: MIT
// The segments of a partition that make up the log, in order.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/format/control.hpp>
#include <annals/storage/segment.hpp>

namespace annals::inline v1::storage {

/// Ascending by ordinal, and so by base offset. Any thread may call it.
template <Platform P>
class SegmentList {
public:
    using SegmentPtr = std::shared_ptr<Segment<P>>;

    /// A copy takes over from its base on, in one step: nobody finds the log shorter meanwhile.
    /// Returns the segments that it replaces.
    std::vector<SegmentPtr> append(SegmentPtr const& segment) {
        std::lock_guard const lock{mutex_};
        if (segment->info().is_copy()) return supersede(segment);
        segments_.push_back(segment);
        return {};
    }

    /// Drops the segments behind `ordinal` whose own lies below `successor`.
    void drop_between(std::uint64_t ordinal, std::uint64_t successor) {
        std::lock_guard const lock{mutex_};
        bool const has_dropped =
            std::erase_if(segments_, [&](SegmentPtr const& segment) {
                return segment->ordinal() > ordinal && segment->ordinal() < successor;
            }) != 0;
        if (has_dropped) unfinished_ = 0;
    }

    void assign(std::vector<SegmentPtr> segments) {
        std::lock_guard const lock{mutex_};
        segments_ = std::move(segments);
        unfinished_ = 0;
    }

    /// The first offset of the log; what lies before it is gone, for all who come to read it.
    [[nodiscard]] std::uint64_t beginning() const {
        std::lock_guard const lock{mutex_};
        return segments_.empty() ? beginning_ : std::max(beginning_, segments_.front()->base());
    }

    /// The log begins at `offset` or where it begins already, whatever is higher.
    void begin_at(std::uint64_t offset) {
        std::lock_guard const lock{mutex_};
        beginning_ = std::max(beginning_, offset);
    }

    /// Drops segments that lie before the beginning, but for the last and those that somebody
    /// holds, and appends their ordinals to `dropped`. Whether any such is left.
    bool drop_old(std::vector<std::uint64_t>& dropped) {
        std::lock_guard const lock{mutex_};
        std::size_t old = 0;
        while (old + 1 < segments_.size() && segments_[old + 1]->base() <= beginning_) ++old;
        dropped.reserve(dropped.size() + old);
        auto const end = segments_.begin() + static_cast<std::ptrdiff_t>(old);
        auto kept = segments_.begin();
        for (auto each = segments_.begin(); each != end; ++each) {
            // Nobody comes to hold it meanwhile: that goes through the list.
            if (each->use_count() == 1) {
                dropped.push_back((*each)->ordinal());
                each->reset();  // and with it its hold on a copy behind it
            } else {
                *kept++ = std::move(*each);
            }
        }
        bool const is_some_left = kept != segments_.begin();
        unfinished_ -= std::min(unfinished_, static_cast<std::size_t>(end - kept));
        segments_.erase(kept, end);
        return is_some_left;
    }

    /// The segments that hold the offsets of a range, which stay in the list for as long as
    /// somebody has what this returns.
    [[nodiscard]] std::vector<SegmentPtr> hold(OffsetRange range) const {
        std::lock_guard const lock{mutex_};
        std::vector<SegmentPtr> held;
        for (std::size_t i = 0; i < segments_.size(); ++i) {
            bool const ends_before =
                i + 1 < segments_.size() && segments_[i + 1]->base() <= range.first;
            if (!ends_before && segments_[i]->base() < range.end) held.push_back(segments_[i]);
        }
        return held;
    }

    [[nodiscard]] std::vector<SegmentPtr> snapshot() const {
        std::lock_guard const lock{mutex_};
        return segments_;
    }

    [[nodiscard]] SegmentPtr first() const {
        std::lock_guard const lock{mutex_};
        return segments_.empty() ? nullptr : segments_.front();
    }

    [[nodiscard]] SegmentPtr last() const {
        std::lock_guard const lock{mutex_};
        return segments_.empty() ? nullptr : segments_.back();
    }

    /// The last one, unless it is finished.
    [[nodiscard]] SegmentPtr last_open() const {
        SegmentPtr last = this->last();
        return last && !last->is_finished() ? last : nullptr;
    }

    /// The segment to read `offset` in: a base offset supersedes what lower ordinals hold from that
    /// offset on, so it is the last that does not begin behind it. The first where all do; null
    /// where there is none.
    [[nodiscard]] SegmentPtr find(std::uint64_t offset) const {
        std::lock_guard const lock{mutex_};
        if (segments_.empty()) return nullptr;
        std::size_t const index =
            first_with([&](auto& segment) { return segment.base() > offset; });
        return segments_[index == 0 ? 0 : index - 1];
    }

    /// The segment behind this one; null: there is none.
    [[nodiscard]] SegmentPtr next(std::uint64_t ordinal) const {
        std::lock_guard const lock{mutex_};
        std::size_t const index = first_with([&](auto& s) { return s.ordinal() > ordinal; });
        return index < segments_.size() ? segments_[index] : nullptr;
    }

    /// The first segment whose published prefix has not been seen to its end, or the last one.
    [[nodiscard]] SegmentPtr first_unfinished() const {
        std::lock_guard const lock{mutex_};
        if (segments_.empty()) return nullptr;
        while (unfinished_ + 1 < segments_.size() && segments_[unfinished_]->is_finished()) {
            ++unfinished_;
        }
        return segments_[unfinished_];
    }

    /// Looks how far everything is published: the offset behind that. `on_finished(segment)` is
    /// called for each segment that it goes on from.
    template <class OnFinished>
    [[nodiscard]] std::uint64_t find_published_end(OnFinished const& on_finished) const {
        SegmentPtr segment = first_unfinished();
        if (!segment) return beginning();
        for (;;) {
            format::Extent const extent = segment->advance_published();
            if (!segment->is_finished()) return segment->base() + extent.count;
            on_finished(*segment);
            SegmentPtr following = next(segment->ordinal());
            // A copied directory may say that it begins behind what was copied of it.
            std::uint64_t const end = segment->base() + std::min(extent.count, segment->limit());
            if (!following) return std::max(end, beginning());
            segment = std::move(following);
        }
    }
    [[nodiscard]] std::uint64_t find_published_end() const {
        return find_published_end([](Segment<P> const&) {});
    }

    /// Throws `corrupt` where damage keeps the published end from rising, however long one waits.
    void require_passable() const {
        if (SegmentPtr const segment = first_unfinished()) segment->require_passable();
    }

private:
    /// Ends what lies before `copy` at its base.
    std::vector<SegmentPtr> supersede(SegmentPtr const& copy) {
        std::vector<SegmentPtr> replaced;
        std::vector<SegmentPtr> kept;
        replaced.reserve(segments_.size());
        kept.reserve(segments_.size() + 1);  // from here on nothing can fail
        for (SegmentPtr const& each : segments_) {
            std::uint64_t const count = copy->base() - std::min(copy->base(), each->base());
            if (count < each->limit()) each->hand_over(copy, count);
            (count == 0 ? replaced : kept).push_back(each);
        }
        kept.push_back(copy);
        segments_ = std::move(kept);
        unfinished_ = 0;
        return replaced;
    }

    /// The first index for which `holds`, which is false up to some segment and true from there on.
    template <class Predicate>
    [[nodiscard]] std::size_t first_with(Predicate const& holds) const {
        std::size_t low = 0;
        std::size_t high = segments_.size();
        while (low < high) {
            std::size_t const middle = low + (high - low) / 2;
            if (holds(*segments_[middle])) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        return low;
    }

    mutable typename P::Mutex mutex_;
    std::vector<SegmentPtr> segments_;
    std::uint64_t beginning_ = 0;
    mutable std::size_t unfinished_ = 0;  // all before it are finished
};

/// What the segments say of the partition's epochs completes what the control file says, which may
/// be missing. `end` is the log's.
template <Platform P>
void add_epochs(std::vector<format::Epoch>& epochs,
                std::vector<std::shared_ptr<Segment<P>>> const& segments, std::uint64_t end) {
    for (auto const& segment : segments) {
        format::Epoch const epoch{segment->info().epoch, segment->base()};
        if (epochs.empty() || epochs.back().number < epoch.number) epochs.push_back(epoch);
    }
    if (epochs.empty()) epochs.push_back({1, end});
}

}  // namespace annals::inline v1::storage
