// SPDX-License-Identifier: MIT
// The segments of a partition that make up the log, in order.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <annals/config.hpp>
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

private:
    /// Ends what lies before `copy` at its base.
    std::vector<SegmentPtr> supersede(SegmentPtr const& copy) {
        std::vector<SegmentPtr> replaced;
        std::vector<SegmentPtr> kept;
        replaced.reserve(segments_.size());
        kept.reserve(segments_.size() + 1);  // from here on nothing can fail
        for (SegmentPtr const& each : segments_) {
            std::uint64_t const count = copy->base() - std::min(copy->base(), each->base());
            each->set_limit(std::min(each->limit(), count));
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
    mutable std::size_t unfinished_ = 0;  // all before it are finished
};

}  // namespace annals::inline v1::storage
