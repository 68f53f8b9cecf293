// SPDX-License-Identifier: MIT
// What may wait for the disk, done for one partition in one round after another.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/options.hpp>
#include <annals/storage/retention.hpp>
#include <annals/storage/round.hpp>
#include <annals/storage/writer.hpp>

namespace annals::inline v1::storage {

/// Borrows its partition's parts. `keep` is the keeper's alone; `sync_if_due` is anybody's.
template <Platform P>
class Upkeep {
public:
    Upkeep(P platform, TopicSettings<P> const& settings, Writer<P>& writer, Retention<P>& retention)
        : platform_{std::move(platform)},
          settings_{settings},
          writer_{writer},
          retention_{retention},
          last_sync_{now()} {}

    [[nodiscard]] Round keep(std::uint64_t published_end, std::uint64_t claimed_end) {
        Round round;
        if (writer_.has_begun()) keep_appended(published_end, claimed_end, round);
        round.attempt([&] {
            if (retention_.is_due()) retention_.keep(published_end);
        });
        if (retention_.due() != Retention<P>::never) round.come_again(retention_.due());
        round.trouble = complaint_.once(std::move(round.trouble));
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

    void keep_appended(std::uint64_t published_end, std::uint64_t claimed_end, Round& round) {
        round.is_busy = published_end != kept_end_ || published_end < claimed_end;
        kept_end_ = published_end;
        round.attempt([&] { make_spare(round); });
        if (writer_.durability().is_poisoned()) {
            round.attempt([&] { move_on(published_end == claimed_end, round); });
        } else {
            round.attempt([&] { writer_.start_writeback(); });
            // Step by step, for the next segment may be due before all of one is written.
            round.attempt([&] { round.is_busy |= writer_.complete_rolled_step(); });
            round.attempt([&] { keep_durable(published_end, round); });
        }
        round.attempt([&] {
            if (auto const incident = writer_.take_incident()) detail::raise_again(*incident);
        });
    }

    [[nodiscard]] std::int64_t now() const { return platform_.steady_now().count(); }

    [[nodiscard]] std::int64_t sync_due() const noexcept {
        std::int64_t const last = last_sync_.load(std::memory_order_relaxed);
        std::int64_t const interval = settings_.sync_interval.load(std::memory_order_relaxed);
        constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
        return last < never - interval ? last + interval : never;
    }

    /// What the topic promises, and once a second the watermark, for whoever opens after a death.
    void keep_durable(std::uint64_t published_end, Round& round) {
        bool const is_interval = settings_.sync.load(std::memory_order_relaxed) == Sync::interval;
        bool const is_behind = published_end > writer_.durability().durable_offset();
        if (is_interval && is_behind && !sync_if_due(published_end)) round.come_again(sync_due());
        if (!writer_.durability().is_control_behind()) return;
        if (now() < control_synced_ + second) return round.come_again(control_synced_ + second);
        control_synced_ = now();
        writer_.durability().sync_control();
    }

    /// After a failed sync. While a claim is open its owner may sleep, and the keeper must not.
    void move_on(bool nothing_is_open, Round& round) {
        if (now() < move_rest_) return round.come_again(move_rest_);
        move_rest_ = now() + rest;
        round.come_again(move_rest_);
        if (nothing_is_open && !writer_.is_refused()) writer_.move_on_after_failure();
    }

    /// Whether the active segment came within a second after the one before it.
    [[nodiscard]] bool is_fast() {
        auto const [tail, active] = writer_.active();
        if (!active || active->ordinal() == active_ordinal_) return is_fast_;
        is_fast_ = active_ordinal_ != 0 && now() < active_since_ + second;
        active_ordinal_ = active->ordinal();
        active_since_ = now();
        return is_fast_;
    }

    /// A full disk is not asked again at once, and told until it has room.
    void make_spare(Round& round) {
        if (!spare_trouble_ || now() >= spare_rest_) {
            spare_trouble_ = detail::attempt([&] { writer_.make_spare_where_due(is_fast()); });
            spare_rest_ = now() + rest;
        }
        if (!spare_trouble_) return;
        round.come_again(spare_rest_);
        detail::raise_again(*spare_trouble_);
    }

    P platform_;
    TopicSettings<P> const& settings_;
    Writer<P>& writer_;
    Retention<P>& retention_;
    typename P::template Atomic<std::int64_t> last_sync_;
    std::uint64_t kept_end_ = 0;
    std::uint64_t active_ordinal_ = 0;
    std::int64_t active_since_ = 0;
    bool is_fast_ = false;
    std::int64_t control_synced_ = 0;
    std::int64_t move_rest_ = 0;
    std::int64_t spare_rest_ = 0;
    std::optional<Error> spare_trouble_;
    Complaint complaint_;
};

}  // namespace annals::inline v1::storage
