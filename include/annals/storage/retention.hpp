// SPDX-License-Identifier: MIT
// Retention: which segments may go by a topic's limits, and their removal. The log's beginning is
// durable before any file goes, so a death at any step leaves at most files that are removed later.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include <annals/config.hpp>
#include <annals/detail/arithmetic.hpp>
#include <annals/error.hpp>
#include <annals/format/meta.hpp>
#include <annals/storage/completion.hpp>
#include <annals/storage/segment_list.hpp>
#include <annals/storage/writer.hpp>

namespace annals::inline v1::storage {

/// What retention must know of a segment that was ended.
struct EndedSegment {
    std::uint64_t end = 0;    ///< the offset behind its last record
    std::uint64_t bytes = 0;  ///< that its removal would free
    std::int64_t max_timestamp = format::before_all_time;
    std::int64_t completed = format::after_all_time;
};

/// What is to be kept of a partition.
struct Kept {
    std::uint64_t beginning = 0;
    /// So long until more may have to go because of its age, in nanoseconds.
    std::int64_t wait = std::numeric_limits<std::int64_t>::max();
    /// Once the log has come to end there more has to go, for there are too many records then.
    std::uint64_t excess_end = unlimited;
};

/// When a segment's age begins: at its youngest record's stamp. A stamp in the future says nothing,
/// and would pin the segment until then: in its place the time counts when the segment, or one
/// behind it, had been completed, for that was later than its records came.
[[nodiscard]] constexpr std::int64_t age_begins(std::int64_t max_timestamp, std::int64_t completed,
                                                std::int64_t now) noexcept {
    return max_timestamp <= now ? max_timestamp : completed;
}

/// Goes through the ended segments, oldest first; the first that stays ends it. `end` is the log's,
/// and `other_bytes` what its remaining segments take. Reads no file and no clock.
[[nodiscard]] inline Kept apply(format::Retention const& limits, std::uint64_t beginning,
                                std::span<EndedSegment const> ended, std::uint64_t end,
                                std::uint64_t other_bytes, std::int64_t now) {
    constexpr std::int64_t max = std::numeric_limits<std::int64_t>::max();
    std::vector<std::int64_t> completed(ended.size());  // each one or any behind it, the earliest
    std::uint64_t bytes = other_bytes;
    std::int64_t earliest = format::after_all_time;
    for (std::size_t i = ended.size(); i-- > 0;) {
        earliest = completed[i] = std::min(earliest, ended[i].completed);
        bytes = detail::add_saturating(bytes, ended[i].bytes);
    }
    Kept kept{.beginning = beginning};
    for (std::size_t i = 0; i < ended.size(); ++i) {
        std::int64_t const since = age_begins(ended[i].max_timestamp, completed[i], now);
        std::int64_t const age = limits.age.count();
        std::int64_t const due = since > max - age ? max : since + age;
        bool const is_too_old = limits.age != format::Retention::no_age && due < now;
        bool const is_too_large = bytes > limits.bytes && ended[i].bytes != 0;
        bool const is_one_too_many =
            limits.records != unlimited && end - std::min(end, ended[i].end) >= limits.records;
        if (!is_too_old && !is_too_large && !is_one_too_many) {
            bool const is_far = now < 0 && due > max + now;
            if (limits.age != format::Retention::no_age && !is_far) kept.wait = due - now;
            kept.excess_end = detail::add_saturating(ended[i].end, limits.records);
            break;
        }
        bytes -= ended[i].bytes;
        kept.beginning = std::max(kept.beginning, ended[i].end);
    }
    return kept;
}

/// Keeps one partition within its topic's limits. Any thread may call any member; what they do is
/// done one after another.
template <Platform P>
class Retention {
public:
    using SegmentPtr = std::shared_ptr<Segment<P>>;

    static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

    Retention(SegmentFiles<P> const& files, SegmentList<P>& segments,
              TopicSettings<P> const& settings, Writer<P>& writer)
        : files_{files},
          segments_{segments},
          settings_{settings},
          writer_{writer},
          inherited_{ordinal_of(segments.last())},
          pace_{writer.context().has_keeper ? second : 0} {}

    /// When `keep` is to be called next, on the steady clock, unless more is sent.
    [[nodiscard]] std::int64_t due() const {
        std::int64_t const due = due_.load(std::memory_order_relaxed);
        if (!settings_.retention.is_limited()) return due == 0 ? never : due;
        bool const is_changed =
            seen_changes_.load(std::memory_order_relaxed) != settings_.retention.changes() ||
            seen_last_.load(std::memory_order_relaxed) != ordinal_of(segments_.last());
        return is_changed ? std::min(due, looked_.load(std::memory_order_relaxed) + pace_) : due;
    }

    /// Whether it is to be called now.
    [[nodiscard]] bool is_due() const {
        std::uint64_t const excess_end = excess_end_.load(std::memory_order_relaxed);
        if (excess_end != unlimited && writer_.claimed_end() >= excess_end) return true;
        std::int64_t const due = this->due();
        return due != never && due <= now();
    }

    /// Ends the active segment where it is old enough, and removes what the limits do not allow.
    /// Throws what stands in the way; the next call tries again.
    void keep(std::uint64_t published_end) {
        std::lock_guard const lock{mutex_};
        if (is_over_) return;
        looked_.store(now(), std::memory_order_relaxed);
        seen_changes_.store(settings_.retention.changes(), std::memory_order_relaxed);
        seen_last_.store(ordinal_of(segments_.last()), std::memory_order_relaxed);
        come_again_in(second);  // unless all goes well
        excess_end_.store(unlimited, std::memory_order_relaxed);
        std::int64_t wait = never;
        if (settings_.retention.is_limited()) wait = keep_within_limits(published_end);
        remove_old();
        if (!is_waiting_) come_again_in(wait);
    }

    /// Removes the records before `offset`, which must not be beyond the published end: they are
    /// gone, durably, when this returns. Returns where the log begins then.
    std::uint64_t delete_before(std::uint64_t offset) {
        std::lock_guard const lock{mutex_};
        writer_.require_open();
        if (offset > segments_.beginning()) {
            writer_.make_durable(offset);  // a log cannot begin behind what power loss leaves
            begin_at(offset);
        }
        // The files that stay go later, and who waits for that is not here.
        if (detail::attempt([&] { remove_old(); }) || is_waiting_) come_again_in(second);
        return segments_.beginning();
    }

    /// Nothing is removed any more when this returns.
    void end() {
        std::lock_guard const lock{mutex_};
        is_over_ = true;
    }

private:
    static constexpr std::int64_t second = 1'000'000'000;

    [[nodiscard]] static std::uint64_t ordinal_of(SegmentPtr const& segment) noexcept {
        return segment ? segment->ordinal() : 0;
    }
    [[nodiscard]] std::int64_t now() const { return files_.platform().steady_now().count(); }
    [[nodiscard]] std::int64_t system_now() const {
        return files_.platform().now().time_since_epoch().count();
    }

    /// The system clock may be set meanwhile, so that it is looked at every minute at least; and
    /// at whole seconds, so that many partitions wake the keeper together.
    void come_again_in(std::int64_t wait) {
        if (wait == never) return due_.store(never, std::memory_order_relaxed);
        std::int64_t const due = now() + std::min(std::max(wait, second), 60 * second);
        due_.store((due / second + 1) * second, std::memory_order_relaxed);
    }

    /// Returns how long it may take until something is due again.
    [[nodiscard]] std::int64_t keep_within_limits(std::uint64_t published_end) {
        if (!writer_.is_settled()) return second;
        format::Retention const limits = settings_.retention.get();
        std::int64_t const wait = end_active(limits.effective_segment_age().count());
        std::vector<EndedSegment> ended;
        std::uint64_t other_bytes = 0;
        auto const segments = segments_.snapshot();
        for (SegmentPtr const& segment : segments) {
            bool const is_ended = segment->is_finished() && !segment->is_writing();
            if (other_bytes == 0 && is_ended) {
                ended.push_back(facts_of(*segment, limits, segment == segments.back()));
            } else {
                other_bytes += segment->info().capacity;
            }
        }
        Kept const kept =
            apply(limits, segments_.beginning(), ended, published_end, other_bytes, system_now());
        if (kept.beginning > segments_.beginning()) begin_at(kept.beginning);
        excess_end_.store(kept.excess_end, std::memory_order_relaxed);
        bool const is_one_not_ended = ended.size() + 1 < segments.size();
        return is_one_not_ended ? second : std::min(wait, kept.wait);
    }

    /// Ends the active segment that has held records for so long. Returns how long it still takes.
    [[nodiscard]] std::int64_t end_active(std::int64_t segment_age) {
        SegmentPtr const active = segments_.last();
        if (segment_age == never || !active || active->is_finished()) return never;
        if (active->published().count == 0) return segment_age;  // nobody tells of its first record
        if (watched_ != active->ordinal()) {
            watched_ = active->ordinal();
            // How long it has held records is known of those that this process has made.
            std::int64_t const age = std::max<std::int64_t>(
                0, watched_ == inherited_ ? system_now() - active->info().created : 0);
            watched_since_ = now() - age;
        }
        std::int64_t const age = now() - watched_since_;
        if (age < segment_age) return segment_age - age;
        writer_.end_segment();
        (void)active->advance_published();
        writer_.complete_rolled();
        return second;
    }

    [[nodiscard]] EndedSegment facts_of(Segment<P>& segment, format::Retention const& limits,
                                        bool is_last) const {
        format::Extent const end = segment.published();
        std::int64_t max_timestamp = segment.known_max_timestamp();
        if (max_timestamp == format::before_all_time && limits.age != format::Retention::no_age) {
            refresh_index(files_, segment, segment.pin(), Access::write);
            auto const [highest, seen] = segment.index().max_timestamp();
            // A damaged record may have any time.
            max_timestamp = seen == end ? highest : format::after_all_time;
        }
        // The last one stays as a file, whatever becomes of its records.
        std::uint64_t const used =
            detail::align_up(end.place + format::frame_header_bytes, format::page_bytes);
        return {.end = segment.base() + std::min(end.count, segment.limit()),
                .bytes = is_last ? 0 : used,
                .max_timestamp = max_timestamp,
                .completed = segment.completed()};
    }

    void begin_at(std::uint64_t offset) {
        writer_.store_beginning(offset);
        segments_.begin_at(offset);
    }

    /// Removes the files of what lies before the beginning. Those that somebody reads wait.
    void remove_old() {
        is_waiting_ = segments_.drop_old(doomed_);
        if (doomed_.empty()) return;
        // Power loss must not take what says that the segment that stays is part of the log.
        if (writer_.has_begun()) {
            writer_.make_durable(segments_.find(segments_.beginning())->base() + 1);
        } else if (!writer_.is_settled()) {
            is_waiting_ = true;  // for the copy of what stays
            return;
        }
        auto directory = files_.directory();
        while (!doomed_.empty()) {
            files_.remove_segment(directory, doomed_.front());
            doomed_.erase(doomed_.begin());
        }
    }

    SegmentFiles<P> const& files_;
    SegmentList<P>& segments_;
    TopicSettings<P> const& settings_;
    Writer<P>& writer_;
    std::uint64_t const inherited_;  // the last segment when the log was opened
    std::int64_t const pace_;

    template <class T>
    using Atomic = typename P::template Atomic<T>;

    Atomic<std::int64_t> due_{0};
    Atomic<std::int64_t> looked_{0};
    Atomic<std::uint64_t> seen_changes_{0};
    Atomic<std::uint64_t> seen_last_{0};
    Atomic<std::uint64_t> excess_end_{unlimited};

    typename P::Mutex mutex_;            // of what follows, and of the work itself
    std::vector<std::uint64_t> doomed_;  // dropped, and their files not removed yet
    bool is_waiting_ = false;            // for somebody who reads what is to go
    bool is_over_ = false;
    std::uint64_t watched_ = 0;  // the active segment
    std::int64_t watched_since_ = 0;
};

}  // namespace annals::inline v1::storage
