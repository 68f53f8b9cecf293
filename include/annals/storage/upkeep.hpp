// SPDX-License-Identifier: MIT
// What the keeper does for one partition, one round after another.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/options.hpp>
#include <annals/storage/completion.hpp>
#include <annals/storage/retention.hpp>
#include <annals/storage/segment_list.hpp>
#include <annals/storage/writer.hpp>

namespace annals::inline v1::storage {

/// Borrows its partition's parts. `keep` is the keeper's alone; `sync_if_due` is anybody's.
template <Platform P>
class Upkeep {
public:
    using SegmentPtr = std::shared_ptr<Segment<P>>;

    /// Whether anything moved since the last round, when the next must come for what is not durable
    /// yet (nanoseconds on the steady clock), and what went wrong, told once until it has gone
    /// away.
    struct Round {
        bool is_busy = false;
        std::optional<std::int64_t> due{};
        std::optional<Error> trouble{};
    };

    Upkeep(SegmentFiles<P> const& files, SegmentList<P> const& segments,
           TopicSettings<P> const& settings, Writer<P>& writer, Retention<P>& retention)
        : files_{files},
          segments_{segments},
          settings_{settings},
          writer_{writer},
          retention_{retention},
          last_sync_{files.platform().steady_now().count()} {}

    /// One duty that fails does not keep the others from being done.
    [[nodiscard]] Round keep(std::uint64_t published_end, std::uint64_t claimed_end) {
        Round round;
        std::optional<Error> trouble;
        auto const duty = [&](auto const& work) {
            auto error = detail::attempt(work);
            if (error && !trouble) trouble = std::move(error);
        };
        if (writer_.has_begun()) keep_appended(published_end, claimed_end, round, duty);
        duty([&] { retention_.keep_if_due(published_end); });
        come_again(round, retention_.due());
        std::string const said = trouble ? trouble->what() : "";
        if (said != told_) round.trouble = std::move(trouble);
        told_ = said;
        return round;
    }

    /// Whether the interval was over; then everything published is durable. Throws `sync_failed`.
    bool sync_if_due(std::uint64_t published_end) {
        if (now() < sync_due()) return false;
        last_sync_.store(now(), std::memory_order_relaxed);
        writer_.make_durable(published_end);
        return true;
    }

private:
    static constexpr std::int64_t second = 1'000'000'000;
    static constexpr std::int64_t rest = second / 10;  // before what failed is tried again

    template <class Duty>
    void keep_appended(std::uint64_t published_end, std::uint64_t claimed_end, Round& round,
                       Duty const& duty) {
        round.is_busy = published_end != kept_end_ || published_end < claimed_end;
        duty([&] { writer_.populate_ahead(); });
        duty([&] {
            if (published_end != kept_end_) wake_other_processes();
        });
        kept_end_ = published_end;
        duty([&] { index_published(); });
        if (writer_.durability().is_poisoned()) {
            duty([&] { move_on(published_end == claimed_end, round); });
        } else {
            duty([&] { writer_.start_writeback(); });
            duty([&] { writer_.complete_rolled(); });
            duty([&] { keep_durable(published_end, round); });
        }
        duty([&] { make_spare(round); });
        duty([&] {
            if (auto const incident = writer_.take_incident()) detail::raise_again(*incident);
        });
    }

    [[nodiscard]] std::int64_t now() const { return files_.platform().steady_now().count(); }

    [[nodiscard]] std::int64_t sync_due() const noexcept {
        std::int64_t const last = last_sync_.load(std::memory_order_relaxed);
        std::int64_t const interval = settings_.sync_interval.load(std::memory_order_relaxed);
        constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
        return last < never - interval ? last + interval : never;
    }

    static void come_again(Round& round, std::int64_t due) {
        if (due != Retention<P>::never) round.due = std::min(round.due.value_or(due), due);
    }

    /// What the topic promises, and once a second the watermark, for whoever opens after a death.
    void keep_durable(std::uint64_t published_end, Round& round) {
        bool const is_interval = settings_.sync.load(std::memory_order_relaxed) == Sync::interval;
        bool const is_behind = published_end > writer_.durability().durable_offset();
        if (is_interval && is_behind && !sync_if_due(published_end)) come_again(round, sync_due());
        if (!writer_.durability().is_control_behind()) return;
        if (now() < control_synced_ + second) return come_again(round, control_synced_ + second);
        control_synced_ = now();
        writer_.durability().sync_control();
    }

    /// After a failed sync. While a claim is open its owner may sleep, and the keeper must not.
    void move_on(bool nothing_is_open, Round& round) {
        if (now() < move_rest_) return come_again(round, move_rest_);
        move_rest_ = now() + rest;
        come_again(round, move_rest_);
        if (nothing_is_open) writer_.move_on_after_failure();
    }

    /// A full disk is not asked again at once, and told until it has room.
    void make_spare(Round& round) {
        if (!spare_trouble_ || now() >= spare_rest_) {
            spare_trouble_ = detail::attempt([&] { writer_.make_spare_where_due(); });
            spare_rest_ = now() + rest;
        }
        if (!spare_trouble_) return;
        come_again(round, spare_rest_);
        detail::raise_again(*spare_trouble_);
    }

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
    TopicSettings<P> const& settings_;
    Writer<P>& writer_;
    Retention<P>& retention_;
    typename P::template Atomic<std::int64_t> last_sync_;
    std::uint64_t kept_end_ = 0;
    SegmentPtr woken_;
    std::int64_t control_synced_ = 0;
    std::int64_t move_rest_ = 0;
    std::int64_t spare_rest_ = 0;
    std::optional<Error> spare_trouble_;
    std::string told_;
};

}  // namespace annals::inline v1::storage
