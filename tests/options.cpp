// SPDX-License-Identifier: MIT
#include <annals/options.hpp>

#include <chrono>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;
using namespace std::chrono_literals;

TEST_CASE("a bound is an offset or a time") {
    constexpr Bound offset{Offset{7}};
    static_assert(offset.is_offset() && offset.offset() == Offset{7});
    constexpr Bound time{Timestamp{5s}};
    static_assert(!time.is_offset() && time.timestamp() == Timestamp{5s});
    SUCCEED("checked when compiling");
}

TEST_CASE("a bound takes any system-clock time") {
    CHECK(Bound{std::chrono::sys_days{std::chrono::year{2023} / 11 / 14}}.timestamp() ==
          Timestamp{1'699'920'000s});
    CHECK(Bound{std::chrono::sys_seconds{-3s}}.timestamp() == Timestamp{-3s});
    auto const now = std::chrono::system_clock::now();
    CHECK(Bound{now}.timestamp() == now);
}

TEST_CASE("a time between two nanoseconds is rounded up, so that no earlier record is at it") {
    using Half = std::chrono::duration<double, std::nano>;
    CHECK(Bound{std::chrono::sys_time<Half>{Half{2.5}}}.timestamp().time_since_epoch() == 3ns);
    CHECK(Bound{std::chrono::sys_time<Half>{Half{-2.5}}}.timestamp().time_since_epoch() == -2ns);
    CHECK(Bound{std::chrono::sys_time<Half>{Half{2.0}}}.timestamp().time_since_epoch() == 2ns);
}

TEST_CASE("times beyond what nanoseconds can say are cut, not wrapped") {
    using Years = std::chrono::duration<std::int64_t, std::ratio<31'556'952>>;
    CHECK(Bound{std::chrono::sys_time<Years>{Years{1'000}}}.timestamp() == Timestamp::max());
    CHECK(Bound{std::chrono::sys_time<Years>{Years{-1'000}}}.timestamp() == Timestamp::min());
    CHECK(Bound{std::chrono::sys_days::max()}.timestamp() == Timestamp::max());
    CHECK(Bound{std::chrono::sys_days::min()}.timestamp() == Timestamp::min());
    CHECK(Bound{Timestamp::min()}.timestamp() == Timestamp::min());
    CHECK(Bound{Timestamp::min() + 1'024ns}.timestamp() <= Timestamp::min() + 1'024ns);
}

TEST_CASE("options that are left out mean what is documented") {
    LogOptions const log;
    CHECK_FALSE(log.read_only);
    CHECK(log.segment_bytes == std::uint64_t{128} << 20);
    CHECK(log.lock_timeout == 0ns);
    CHECK(log.keeper);
    CHECK(log.after_death == AfterDeath::detect);
    CHECK_FALSE(log.on_event);
    TopicOptions const topic;
    CHECK((!topic.partitions && !topic.sync && !topic.sync_interval && !topic.clock));
    CHECK((!topic.retention_age && !topic.retention_bytes && !topic.retention_records));
    CHECK_FALSE(topic.segment_age);
    CHECK(ReplayOptions{}.check == Check::first_read);
    CHECK(ConsumerOptions{}.start == Start::earliest);
    CHECK_FALSE(ProducerOptions{}.partitioner);
}

TEST_CASE("the stored numbers of the choices are part of the format") {
    CHECK(static_cast<int>(Sync::never) == 0);
    CHECK(static_cast<int>(Sync::interval) == 1);
    CHECK(static_cast<int>(Sync::always) == 2);
    CHECK(static_cast<int>(Clock::precise) == 0);
    CHECK(static_cast<int>(Clock::coarse) == 1);
}
