// SPDX-License-Identifier: MIT
// Readers beside a living writer that has not repaired, or not begun, what a dead one left: they
// see what recovery keeps, all of it and nothing else, and never less than they saw before.
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <annals/annals.hpp>

#include "numbered.hpp"
#include "processes/looked_at.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

/// A writer died between the claim of record 50 and its publication; 51 to 59 had been sent.
struct DiedWithHole {
    World<MemoryPlatform> world{};
    std::optional<MemoryPlatform> dead{};

    DiedWithHole() {
        auto log = world.open(small);
        send_numbers(log, 0, 50);
        dead = die_in_claim(world, log, 50, 60);
    }
};

std::vector<std::int64_t> kept() {
    auto all = range(0, 50);
    for (std::int64_t i = 51; i < 60; ++i) all.push_back(i);
    return all;
}

}  // namespace

TEST_CASE("who attaches beside a successor that must copy sees all that was sent") {
    DiedWithHole log;
    REQUIRE(log.dead);
    // As after a death in the midst of a sync: nothing is repaired in the file any more.
    log.dead->fail_next(Operation::sync, EIO);
    MemoryLog successor{log.world.path, small, *log.dead};
    CHECK(numbers_topic(successor).end_offset() == Offset{60});
    CHECK(values_of(numbers_topic(successor).replay()) == kept());

    MemoryLog reader{log.world.path, {.read_only = true}, *log.dead};
    auto read = numbers_topic(reader);
    CHECK(read.end_offset() == Offset{60});
    CHECK(values_of(read.replay()) == kept());
}

TEST_CASE("who reads since before the successor came never finds the log shorter while it copies") {
    DiedWithHole log;
    REQUIRE(log.dead);
    LookedAtPlatform machine{*log.dead};
    BasicLog<LookedAtPlatform> reader{log.world.path, {.read_only = true}, machine};
    auto read = numbers_topic(reader);
    auto consumer = read.consumer();
    CHECK(values_of(consumer.poll(0ns)) == kept());
    machine.fail_next(Operation::sync, EIO);
    BasicLog<LookedAtPlatform> successor{log.world.path, small, machine};
    CHECK(consumer.poll(0ns).empty());
    unsigned looks = 0;
    std::vector<Errc> codes;
    std::vector<std::uint64_t> ends;
    LookedAtPlatform::look = [&] {
        ++looks;
        codes.push_back(code_of([&] { (void)consumer.poll(0ns); }));
        ends.push_back(read.end_offset().value());
    };
    numbers_topic(successor).producer().send("k", 60);
    LookedAtPlatform::look = nullptr;
    CHECK(looks > 0);
    for (Errc const code : codes) CHECK(code == Errc::ok);
    for (std::uint64_t const end : ends) CHECK(end == 60);
    CHECK(values_of(consumer.poll(0ns)) == range(60, 61));
}

TEST_CASE(
    "who reads since before the successor came never finds the log shorter while it repairs") {
    DiedWithHole log;
    REQUIRE(log.dead);
    MemoryLog reader{log.world.path, {.read_only = true}, *log.dead};
    auto read = numbers_topic(reader);
    auto consumer = read.consumer();
    CHECK(values_of(consumer.poll(0ns)) == kept());
    unsigned looks = 0;
    unsigned truncated = 0;
    std::uint64_t lowest_end = 60;
    bool is_looking = false;
    {
        MemoryPlatform::StoreHook const after{[&](std::byte const*, std::size_t) {
            if (std::exchange(is_looking, true)) return;
            ++looks;
            if (code_of([&] { (void)consumer.poll(0ns); }) != Errc::ok) ++truncated;
            lowest_end = std::min(lowest_end, read.end_offset().value());
            is_looking = false;
        }};
        MemoryLog const successor{log.world.path, small, *log.dead};
    }
    CHECK(looks > 3);
    CHECK(truncated == 0);
    CHECK(lowest_end == 60);
}

TEST_CASE("what power loss took stays lost where the copy of the rest was cut short") {
    World<MemoryPlatform> world;
    auto log = world.open(small);
    auto topic = log.topic<std::string, std::string>("t", {.sync = Sync::never});
    topic.producer().send("k", "first");
    std::string const to_the_page(format::page_bytes - 32 - 25, 'v');
    topic.producer().send_batch("k", std::vector<std::string>{to_the_page, to_the_page});
    unsigned cut = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        CAPTURE(seed);
        LookedAtPlatform machine{world.machine.platform.after_power_loss(seed)};
        machine.fail_next(Operation::sync, EIO);
        BasicLog<LookedAtPlatform> writer{world.path, small, machine};
        auto const decided = writer.topic<std::string, std::string>("t").end_offset();
        std::optional<MemoryPlatform> dead;
        LookedAtPlatform::look = [&] {
            MemoryLog reader{world.path, {.read_only = true}, machine};
            CHECK(reader.topic<std::string, std::string>("t").end_offset() == decided);
            dead = machine.after_process_death();
        };
        (void)error_of(
            [&] { writer.topic<std::string, std::string>("t").producer().send("k", "n"); });
        LookedAtPlatform::look = nullptr;
        REQUIRE(dead);
        MemoryLog next{world.path, small, *dead};
        CHECK(next.topic<std::string, std::string>("t").end_offset() == decided);
        if (decided < Offset{3}) ++cut;
    }
    CHECK(cut > 0);
}

TEST_CASE("beside a writer that has not recovered yet no reader gets a part of a torn batch") {
    World<MemoryPlatform> world;
    auto log = world.open(small);
    auto topic = log.topic<std::string, std::string>("t", {.sync = Sync::never});
    topic.producer().send("k", "first");
    std::string const value(2'500, 'v');
    topic.producer().send_batch("k", std::vector<std::string>{value, value, value});
    unsigned torn = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        CAPTURE(seed);
        MemoryPlatform machine = world.machine.platform.after_power_loss(seed);
        auto lock = std::optional{
            machine.open_directory(world.path, Access::read).open_file("lock", Access::write)};
        REQUIRE(lock->try_lock());  // the next writer has the log, and is about to open this topic
        MemoryLog reader{world.path, {.read_only = true}, machine};
        auto const seen = reader.topic<std::string, std::string>("t").consumer().poll(0ns).size();
        lock.reset();
        MemoryLog writer{world.path, small, machine};
        auto const left = writer.topic<std::string, std::string>("t").end_offset().value();
        if (seen > left) ++torn;
    }
    CHECK(torn == 0);
}
