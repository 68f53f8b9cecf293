// SPDX-License-Identifier: MIT
// Which segments stay mapped though nobody reads in them: those that were mapped last.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/platform/platform.hpp>

namespace annals::inline v1::storage {

template <Platform P>
class Segment;

/// Mapping a segment costs a hundred times as much as finding a record in it. Shared by the
/// partitions of a topic; a segment that goes, goes with its mapping. Any thread may call it that
/// holds no lock of a segment.
template <Platform P>
class RecentMappings {
public:
    /// The segment was mapped, and keeps that; another one no longer does.
    void add(std::weak_ptr<Segment<P>> segment) {
        {
            std::lock_guard const lock{mutex_};
            if (segments_.size() < most) return segments_.push_back(std::move(segment));
            std::swap(segments_[oldest_], segment);
            oldest_ = (oldest_ + 1) % most;
        }
        if (auto const evicted = segment.lock()) evicted->keep_no_mapping();
    }

    /// None of them keeps its mapping any more, for want of room for others. False: none did.
    bool let_go() {
        std::vector<std::weak_ptr<Segment<P>>> segments;
        {
            std::lock_guard const lock{mutex_};
            segments.swap(segments_);
            oldest_ = 0;
        }
        for (auto const& each : segments) {
            if (auto const segment = each.lock()) segment->keep_no_mapping();
        }
        return !segments.empty();
    }

private:
    static constexpr std::size_t most = 256;

    typename P::Mutex mutex_;
    std::vector<std::weak_ptr<Segment<P>>> segments_;
    std::size_t oldest_ = 0;
};

}  // namespace annals::inline v1::storage
