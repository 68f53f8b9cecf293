// SPDX-License-Identifier: MIT
#include <annals/consumer.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

using Ints = std::vector<int>;

constexpr auto for_ever = std::chrono::nanoseconds::max();

template <class P>
auto ints(BasicLog<P>& log, TopicOptions const& options = {}) {
    return log.template topic<std::string, int>("numbers", options);
}

template <class Topic>
void send(Topic const& topic, int from, int until, SendOptions options = {}) {
    auto producer = topic.producer();
    for (int i = from; i < until; ++i) producer.send("k", i, options);
}

struct Fragile {
    int value;
};

}  // namespace

template <>
struct annals::Codec<Fragile> {
    static constexpr std::string_view name = "fragile";
    static constexpr bool encode_in_place = true;
    static std::size_t size(Fragile const&) { return 4; }
    static void encode(Fragile const& fragile, MutableBytes out) {
        if (fragile.value < 0) throw std::runtime_error{"broken"};
        store_le(out, fragile.value);
    }
    static Fragile decode(Bytes in) { return {load_le<int>(in)}; }
};

// ---- where it starts

TEMPLATE_TEST_CASE("without a committed position it starts where it is told", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = ints(log);
    send(topic, 0, 3);
    auto earliest = topic.consumer();
    auto latest = topic.consumer({.start = Start::latest});
    CHECK(earliest.position(0) == Offset{0});
    CHECK(latest.position(0) == Offset{3});
    CHECK(earliest.lag() == 3);
    CHECK(latest.lag() == 0);
    CHECK(latest.poll(0ns).empty());
    send(topic, 3, 5);
    CHECK(values_of(latest.poll(0ns)) == Ints{3, 4});
    CHECK(values_of(earliest.poll(0ns)) == Ints{0, 1, 2, 3, 4});
}

TEMPLATE_TEST_CASE(
    "latest is the end when the consumer was made, and holds only where nothing was "
    "committed",
    "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = ints(log, {.partitions = 2});
    send(topic, 0, 4, {.partition = 0});
    {
        auto consumer = topic.consumer({.group = "g"});
        auto const polled = consumer.poll(0ns, 2);
        consumer.commit(polled[1]);
        CHECK(consumer.committed(0) == Offset{2});
        CHECK_FALSE(consumer.committed(1));
    }
    send(topic, 4, 7, {.partition = 1});
    auto consumer = topic.consumer({.group = "g", .start = Start::latest});
    CHECK(consumer.position(0) == Offset{2});
    CHECK(consumer.position(1) == Offset{3});
    CHECK(values_of(consumer.poll(0ns)) == Ints{2, 3});
}

// ---- groups

TEMPLATE_TEST_CASE("a group goes on where it has committed, in this life and the next", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    {
        auto log = world.open();
        auto topic = ints(log);
        send(topic, 0, 10);
        {
            auto consumer = topic.consumer({.group = "g"});
            CHECK(values_of(consumer.poll(0ns, 4)).size() == 4);
            consumer.commit();
            CHECK(consumer.committed(0) == Offset{4});
            CHECK(consumer.poll(0ns, 2).size() == 2);  // polled and never committed
        }
        CHECK(values_of(topic.consumer({.group = "g"}).poll(0ns, 1)) == Ints{4});
        CHECK(values_of(topic.consumer({.group = "other"}).poll(0ns, 1)) == Ints{0});
        CHECK(values_of(world.attach()
                            .template topic<std::string, int>("numbers")
                            .consumer({.group = "g"})
                            .poll(0ns, 1)) == Ints{4});
    }
    auto log = world.open();
    auto topic = ints(log);
    auto consumer = topic.consumer({.group = "g"});
    CHECK(consumer.committed(0) == Offset{4});
    CHECK(consumer.lag() == 6);
    CHECK(values_of(consumer.poll(0ns)) == Ints{4, 5, 6, 7, 8, 9});
}

TEMPLATE_TEST_CASE("committing a record covers it and what is before it in its partition", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = ints(log, {.partitions = 2});
    send(topic, 0, 5, {.partition = 0});
    send(topic, 5, 10, {.partition = 1});
    auto consumer = topic.consumer({.group = "g"});
    auto const polled = consumer.poll(0ns);
    auto const with = [&](int value) {
        return *std::find_if(polled.begin(), polled.end(),
                             [&](auto const& record) { return record.value() == value; });
    };
    consumer.commit(with(7));
    CHECK_FALSE(consumer.committed(0));
    CHECK(consumer.committed(1) == Offset{3});
    consumer.commit(with(1));
    CHECK(consumer.committed(0) == Offset{2});
    CHECK(consumer.committed(1) == Offset{3});
    consumer.commit(with(5));  // back
    CHECK(consumer.committed(1) == Offset{1});
    CHECK(consumer.position(1) == Offset{5});
    consumer.commit();
    CHECK(consumer.committed(0) == Offset{5});
    CHECK(consumer.committed(1) == Offset{5});
}

TEMPLATE_TEST_CASE("a group has one live consumer, and is free again behind it", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = ints(log);
    using C = BasicConsumer<std::string, int, TestType>;
    auto first = std::make_unique<C>(topic.consumer({.group = "g"}));
    auto const second = error_of([&] { (void)topic.consumer({.group = "g"}); });
    REQUIRE(second);
    CHECK(second->code() == Errc::group_in_use);
    CHECK(contains(second->what(), ": g"));
    CHECK(code_of([&] { (void)topic.consumer({.group = "h"}); }) == Errc::ok);
    CHECK(code_of([&] { (void)topic.consumer(); }) == Errc::ok);
    auto other = log.template topic<std::string, int>("other");
    CHECK(code_of([&] { (void)other.consumer({.group = "g"}); }) == Errc::ok);

    auto moved = std::make_unique<C>(std::move(*first));
    first.reset();
    CHECK(code_of([&] { (void)topic.consumer({.group = "g"}); }) == Errc::group_in_use);
    moved.reset();
    CHECK(code_of([&] { (void)topic.consumer({.group = "g"}); }) == Errc::ok);

    C one = topic.consumer({.group = "one"});
    one = topic.consumer({.group = "two"});
    CHECK(code_of([&] { (void)topic.consumer({.group = "one"}); }) == Errc::ok);
    CHECK(code_of([&] { (void)topic.consumer({.group = "two"}); }) == Errc::group_in_use);
    static_assert(!std::is_copy_constructible_v<C>);
    static_assert(std::is_nothrow_move_constructible_v<C>);
}

TEMPLATE_TEST_CASE("a group that could not be opened is free", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = ints(log);
    topic.consumer({.group = "g"}).commit();
    auto file = world.directory("groups", "g").open_file("numbers", Access::write);
    flip(file, 30);
    auto const error = error_of([&] { (void)topic.consumer({.group = "g"}); });
    REQUIRE(error);
    CHECK(error->code() == Errc::corrupt);
    CHECK(contains(error->path(), "groups/g/numbers"));
    flip(file, 30);
    CHECK(code_of([&] { (void)topic.consumer({.group = "g"}); }) == Errc::ok);
}

TEMPLATE_TEST_CASE("who may not commit is told why", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = ints(log);
    send(topic, 0, 3);
    auto loner = topic.consumer();
    auto const record = loner.poll(0ns, 1)[0];
    CHECK(code_of([&] { loner.commit(); }) == Errc::invalid_argument);
    CHECK(code_of([&] { loner.commit(record); }) == Errc::invalid_argument);
    CHECK_FALSE(loner.committed(0));

    auto attached = world.attach();
    auto reader = attached.template topic<std::string, int>("numbers");
    auto one = reader.consumer({.group = "g"});
    auto two = reader.consumer({.group = "g"});  // readers disturb nobody, each other included
    CHECK(one.poll(0ns).size() == 3);
    CHECK(two.poll(0ns).size() == 3);
    CHECK(code_of([&] { one.commit(); }) == Errc::read_only);
    CHECK(code_of([&] { one.commit(record); }) == Errc::read_only);
    CHECK_FALSE(one.committed(0));
    CHECK(code_of([&] { reader.consumer().commit(); }) == Errc::invalid_argument);
}

TEST_CASE("a commit that fails commits nothing") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto topic = ints(log);
    send(topic, 0, 5);
    auto consumer = topic.consumer({.group = "g"});
    (void)consumer.poll(0ns, 2);
    consumer.commit();
    (void)consumer.poll(0ns, 2);
    world.machine.platform.fail_next(Operation::rename, EIO);
    CHECK(code_of([&] { consumer.commit(); }) == Errc::io_error);
    CHECK(consumer.committed(0) == Offset{2});
    world.machine.platform.set_free_space(0);
    CHECK(code_of([&] { consumer.commit(); }) == Errc::no_space);
    world.machine.platform.clear_free_space();
    world.machine.platform.fail_next(Operation::sync, EIO);
    CHECK(code_of([&] { consumer.commit(); }) == Errc::sync_failed);
    CHECK(consumer.committed(0) == Offset{2});
    consumer.commit();
    CHECK(consumer.committed(0) == Offset{4});
}

TEST_CASE("a committed position survives the process, and power loss once commit returned") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto topic = ints(log, {.sync = Sync::always});
    send(topic, 0, 5);
    auto consumer = topic.consumer({.group = "g"});
    (void)consumer.poll(0ns, 3);
    consumer.commit();
    for (auto const& machine : {world.machine.platform.after_process_death(),
                                world.machine.platform.after_power_loss()}) {
        MemoryLog next{world.path, {}, machine};
        auto again = ints(next).consumer({.group = "g"});
        CHECK(again.committed(0) == Offset{3});
        CHECK(values_of(again.poll(0ns)) == Ints{3, 4});
    }
}

// ---- moving

TEMPLATE_TEST_CASE("it goes where it is sent", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = ints(log, {.partitions = 2});
    for (int i = 0; i < 10; ++i) {
        send(topic, i, i + 1,
             {.timestamp = Timestamp{1'000s} + i * 1s,
              .partition = static_cast<std::uint32_t>(i % 2)});
    }
    auto consumer = topic.consumer();
    consumer.seek(0, Offset{4});
    consumer.seek(1, Offset{5});
    CHECK(values_of(consumer.poll(0ns)) == Ints{8});
    CHECK(consumer.lag() == 0);
    consumer.seek(Timestamp{1'006s});
    CHECK(consumer.position(0) == Offset{3});
    CHECK(consumer.position(1) == Offset{3});
    CHECK(consumer.lag() == 4);
    consumer.seek(std::chrono::sys_days{});  // any system-clock time
    CHECK(consumer.lag() == 10);
    consumer.seek(Timestamp{5'000s});
    CHECK(consumer.lag() == 0);
    CHECK(consumer.poll(0ns).empty());
    consumer.seek_to_beginning();
    CHECK(consumer.poll(0ns).size() == 10);
    consumer.seek_to_end();
    CHECK(consumer.poll(0ns).empty());
    send(topic, 10, 11, {.partition = 1});
    CHECK(values_of(consumer.poll(0ns)) == Ints{10});
}

TEMPLATE_TEST_CASE("beyond the end it is told so until a seek, with the partition and its range",
                   "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = ints(log, {.partitions = 2});
    send(topic, 0, 3, {.partition = 1});
    auto consumer = topic.consumer({.group = "g"});
    consumer.seek(1, Offset{5});
    for (int i = 0; i < 3; ++i) {
        auto const error = error_of([&] { (void)consumer.poll(i * 1ms); });
        REQUIRE(error);
        CHECK(error->code() == Errc::log_truncated);
        CHECK(error->partition() == 1);
        REQUIRE(error->valid_range());
        CHECK(error->valid_range()->first == 0);
        CHECK(error->valid_range()->end == 3);
        CHECK(contains(error->what(), "valid: 0 up to 3"));
        CHECK(consumer.position(1) == Offset{5});
        CHECK(consumer.lag() == 0);
    }
    consumer.seek(1, Offset{2});
    CHECK(values_of(consumer.poll(0ns)) == Ints{2});
    consumer.seek(1, Offset{3});  // the end itself is in the log
    CHECK(consumer.poll(0ns).empty());
}

TEMPLATE_TEST_CASE("positions go on over voids, and so does having caught up", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<int, Fragile>("t");
    auto producer = topic.producer();
    auto consumer = topic.consumer({.group = "g"});
    auto const fail = [&] { CHECK_THROWS(producer.send(0, Fragile{-1})); };
    fail();
    CHECK(consumer.poll(0ns).empty());
    CHECK(consumer.position(0) == Offset{1});
    CHECK(consumer.lag() == 0);
    producer.send(0, Fragile{1});
    fail();
    fail();
    producer.send(0, Fragile{4});
    fail();
    auto const polled = consumer.poll(0ns, 1);
    CHECK(polled[0].offset() == Offset{1});
    CHECK(consumer.poll(0ns, 1)[0].offset() == Offset{4});
    CHECK(consumer.poll(0ns).empty());
    CHECK(consumer.position(0) == topic.end_offset());
    CHECK(consumer.lag() == 0);
    consumer.commit();
    CHECK(consumer.committed(0) == Offset{6});
    consumer.seek(0, Offset{2});  // onto a void
    CHECK(consumer.poll(0ns)[0].value().value == 4);
}

// ---- waiting

TEMPLATE_TEST_CASE("a poll looks at least once and takes at most what it is told", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = ints(log);
    send(topic, 0, 1200);
    auto consumer = topic.consumer();
    CHECK(consumer.poll(0ns, 0).empty());
    CHECK(consumer.poll(-5s, 1).size() == 1);
    CHECK(consumer.poll(std::chrono::nanoseconds::min(), 1).size() == 1);
    CHECK(consumer.poll(0ns).size() == 500);
    CHECK(consumer.poll(for_ever, 8).size() == 8);
    CHECK(consumer.poll(1h, 100'000).size() == 690);
    CHECK(consumer.poll(0ns).empty());
    CHECK(consumer.position(0) == Offset{1200});
}

TEMPLATE_TEST_CASE("a poll of nothing takes its time and no more", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto const& platform = world.machine.platform;
    auto consumer = ints(log).consumer();
    auto const start = platform.steady_now();
    CHECK(consumer.poll(50ms).empty());
    auto const passed = platform.steady_now() - start;
    CHECK(passed >= 50ms);
    CHECK(passed < 5s);
}

TEST_CASE("on a machine without threads a wait without end is told") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto consumer = ints(log).consumer();
    CHECK(code_of([&] { (void)consumer.poll(for_ever); }) == Errc::invalid_argument);
}

TEST_CASE("a poll sleeps until there is a record") {
    World<NativePlatform> world;
    auto log = world.open();
    auto topic = ints(log, {.partitions = 3});
    for (bool const endless : {false, true}) {
        auto consumer = topic.consumer({.start = Start::latest});
        std::jthread const sender{[&] {
            std::this_thread::sleep_for(20ms);
            send(topic, 7, 8);
        }};
        auto const start = std::chrono::steady_clock::now();
        auto const polled = consumer.poll(endless ? for_ever : 30s);
        CHECK(values_of(polled) == Ints{7});
        CHECK(std::chrono::steady_clock::now() - start < 10s);
    }
}

TEST_CASE("consumers that sleep miss no record, however often") {
    World<NativePlatform> world;
    auto log = world.open();
    auto topic = ints(log);
    constexpr int count = 3000;
    std::array<std::atomic<int>, 2> seen{};
    {
        std::vector<std::jthread> consumers;
        for (auto& mine : seen) {
            consumers.emplace_back([&] {
                auto consumer = topic.consumer();
                while (mine < count) {
                    for (auto const& record : consumer.poll(for_ever, 3)) {
                        if (record.value() != mine++) std::abort();
                    }
                }
            });
        }
        auto producer = topic.producer();
        for (int i = 0; i < count; ++i) {
            producer.send("k", i);
            while (i % 3 == 0 && (seen[0] < i || seen[1] < i)) std::this_thread::yield();
        }
    }
    CHECK((seen[0] == count && seen[1] == count));
}

TEST_CASE("wakeup ends a poll that sleeps, from another thread") {
    World<NativePlatform> world;
    auto log = world.open();
    auto consumer = ints(log).consumer();
    for (int i = 0; i < 20; ++i) {
        std::jthread const waker{[&, i] {
            if (i % 2 != 0) std::this_thread::sleep_for(2ms);
            consumer.wakeup();
        }};
        CHECK(consumer.poll(for_ever).empty());
    }
}

TEMPLATE_TEST_CASE("wakeup before a poll ends that one poll, which looks all the same", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = ints(log);
    auto consumer = topic.consumer();
    consumer.wakeup();
    consumer.wakeup();
    auto const start = world.machine.platform.steady_now();
    CHECK(consumer.poll(1h).empty());
    CHECK(world.machine.platform.steady_now() - start < 30min);
    send(topic, 0, 2);
    consumer.wakeup();
    CHECK(values_of(consumer.poll(0ns, 1)) == Ints{0});
    auto const before = world.machine.platform.steady_now();
    CHECK(values_of(consumer.poll(1h)) == Ints{1});
    CHECK(consumer.poll(10ms).empty());
    CHECK(world.machine.platform.steady_now() - before >= 10ms);
}

TEST_CASE("closing the log ends a poll that waits") {
    World<NativePlatform> world;
    auto log = world.open();
    auto consumer = ints(log).consumer();
    std::jthread const closer{[&] {
        std::this_thread::sleep_for(20ms);
        log.close();
    }};
    CHECK(code_of([&] { (void)consumer.poll(for_ever); }) == Errc::closed);
}

// ---- several partitions

TEMPLATE_TEST_CASE("no partition starves another", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = ints(log, {.partitions = 4});
    for (std::uint32_t p = 0; p < 4; ++p) send(topic, 0, 1000, {.partition = p});
    auto consumer = topic.consumer();
    std::array<int, 4> seen{};
    for (int i = 0; i < 40; ++i) {
        for (auto const& record : consumer.poll(0ns, 7)) ++seen[record.partition()];
        send(topic, 0, 10, {.partition = 0});
    }
    CHECK(seen == std::array<int, 4>{70, 70, 70, 70});
}

TEMPLATE_TEST_CASE("each partition's records come in order, whatever the polls", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = 64u << 10});
    auto topic = log.template topic<std::string, std::string>("t", {.partitions = 3});
    auto producer = topic.producer();
    for (int i = 0; i < 900; ++i) producer.send(std::to_string(i), std::string(300, 'x'));
    auto consumer = topic.consumer();
    std::array<std::uint64_t, 3> next{};
    std::size_t total = 0;
    for (std::size_t i = 0; total < 900; ++i) {
        auto const polled = consumer.poll(0ns, i % 50);
        total += polled.size();
        for (auto const& record : polled) {
            REQUIRE(record.offset() == Offset{next[record.partition()]++});
        }
    }
    CHECK(consumer.lag() == 0);
}

TEMPLATE_TEST_CASE("what is wrong with one partition loses no record of another and is told", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = ints(log, {.partitions = 2});
    send(topic, 0, 3, {.partition = 0});
    auto consumer = topic.consumer();
    consumer.seek(1, Offset{9});
    int told = 0;
    Ints seen;
    for (int i = 0; i < 6; ++i) {
        send(topic, 3 + i, 4 + i, {.partition = 0});
        told += code_of([&] {
                    for (int const value : values_of(consumer.poll(0ns))) seen.push_back(value);
                }) == Errc::log_truncated
                    ? 1
                    : 0;
    }
    CHECK(told >= 3);  // at the latest by every second poll, however busy the other one is
    consumer.seek(1, Offset{0});
    for (int const value : values_of(consumer.poll(0ns))) seen.push_back(value);
    CHECK(seen == Ints{0, 1, 2, 3, 4, 5, 6, 7, 8});
}

TEMPLATE_TEST_CASE("polled records stay, whatever becomes of their consumer", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    Records<std::string, int> polled;
    CHECK(polled.empty());
    {
        auto log = world.open();
        auto topic = ints(log);
        send(topic, 0, 3);
        auto consumer = topic.consumer();
        polled = consumer.poll(0ns);
        consumer.seek_to_beginning();
        CHECK(consumer.poll(0ns).size() == 3);
    }
    CHECK(values_of(polled) == Ints{0, 1, 2});
    CHECK(polled[2].key() == "k");
    auto const copy = polled;
    polled = {};
    CHECK(copy.size() == 3);
    CHECK(copy.end() - copy.begin() == 3);
}

// ---- after power loss

namespace {

/// A group committed at 5 of 6 records; the power fails, and the records from 2 on are lost.
struct Loss {
    World<MemoryPlatform> world{};
    MemoryPlatform machine{2};

    Loss() {
        auto log = world.open();
        auto topic = ints(log, {.sync = Sync::never});
        send(topic, 0, 2);
        topic.flush();
        send(topic, 2, 6);
        auto consumer = topic.consumer({.group = "g"});
        (void)consumer.poll(0ns, 5);
        consumer.commit();
        machine = world.machine.platform.after_power_loss();
    }

    [[nodiscard]] MemoryLog open() const { return MemoryLog{world.path, {}, machine}; }
};

}  // namespace

TEST_CASE("a position beyond what power loss left is told, and repeats until a seek") {
    Loss const loss;
    auto log = loss.open();
    auto topic = ints(log);
    REQUIRE(topic.end_offset() == Offset{2});
    auto consumer = topic.consumer({.group = "g"});
    CHECK(consumer.committed(0) == Offset{5});
    CHECK(consumer.position(0) == Offset{5});
    for (int i = 0; i < 2; ++i) {
        auto const error = error_of([&] { (void)consumer.poll(0ns); });
        REQUIRE(error);
        CHECK(error->code() == Errc::log_truncated);
        CHECK(error->partition() == 0);
        REQUIRE(error->valid_range());
        CHECK(error->valid_range()->end == 2);
    }
    consumer.seek_to_end();
    CHECK(consumer.poll(0ns).empty());
    send(topic, 10, 11);
    CHECK(values_of(consumer.poll(0ns)) == Ints{10});
    consumer.commit();
    CHECK(consumer.committed(0) == Offset{3});
}

TEST_CASE("a position is stale also where other records have taken its offsets") {
    Loss const loss;
    auto log = loss.open();
    auto topic = ints(log);
    SECTION("before the consumer was made") { send(topic, 100, 110); }
    auto consumer = topic.consumer({.group = "g"});
    SECTION("afterwards") {
        CHECK(code_of([&] { (void)consumer.poll(0ns); }) == Errc::log_truncated);
        send(topic, 100, 110);
    }
    for (int i = 0; i < 2; ++i) {
        auto const error = error_of([&] { (void)consumer.poll(0ns); });
        REQUIRE(error);
        CHECK(error->code() == Errc::log_truncated);
        CHECK(error->valid_range()->end == 12);
        CHECK(consumer.position(0) == Offset{5});
    }
    consumer.seek(0, Offset{2});
    CHECK(values_of(consumer.poll(0ns, 1)) == Ints{100});
    consumer.commit();
    log.close();

    auto next = loss.open();
    auto again = ints(next).consumer({.group = "g"});
    CHECK(again.committed(0) == Offset{3});
    CHECK(values_of(again.poll(0ns, 1)) == Ints{101});
}

TEST_CASE("committing the rest does not make a stale position good") {
    World<MemoryPlatform> world;
    {
        auto log = world.open();
        auto topic = ints(log, {.partitions = 2, .sync = Sync::never});
        send(topic, 0, 4, {.partition = 0});
        send(topic, 0, 4, {.partition = 1});
        topic.partition(1).flush();
        auto consumer = topic.consumer({.group = "g"});
        (void)consumer.poll(0ns);
        consumer.commit();
        world.machine.platform = world.machine.platform.after_power_loss();
    }
    auto log = world.open();
    auto topic = ints(log);
    REQUIRE(topic.end_offset(0) == Offset{0});
    REQUIRE(topic.end_offset(1) == Offset{4});
    {
        auto consumer = topic.consumer({.group = "g"});
        CHECK(code_of([&] { (void)consumer.poll(0ns); }) == Errc::log_truncated);
        send(topic, 4, 5, {.partition = 1});
        auto const fresh = *topic.replay({.from = Offset{4}, .partition = 1}).begin();
        SECTION("all of it, before other records come") { consumer.commit(); }
        SECTION("all of it, after other records came") {
            send(topic, 100, 110, {.partition = 0});
            consumer.commit();
        }
        SECTION("a record of another partition") { consumer.commit(fresh); }
        CHECK(consumer.committed(0) == Offset{4});
    }
    send(topic, 110, 120, {.partition = 0});
    auto again = topic.consumer({.group = "g"});
    auto const error = error_of([&] { (void)again.poll(0ns); });
    REQUIRE(error);
    CHECK(error->code() == Errc::log_truncated);
    CHECK(error->partition() == 0);
}

TEST_CASE("positions at what was durable are as good as ever after power loss") {
    World<MemoryPlatform> world;
    {
        auto log = world.open();
        auto topic = ints(log, {.sync = Sync::always});
        send(topic, 0, 6);
        auto consumer = topic.consumer({.group = "g"});
        (void)consumer.poll(0ns, 6);
        consumer.commit();
        world.machine.platform = world.machine.platform.after_power_loss();
    }
    for (int life = 0; life < 3; ++life) {
        auto log = world.open();
        auto topic = ints(log);
        auto consumer = topic.consumer({.group = "g"});
        CHECK(consumer.poll(0ns).empty());
        send(topic, life, life + 1);
        CHECK(values_of(consumer.poll(0ns)) == Ints{life});
        consumer.commit();
        world.machine.platform = world.machine.platform.after_power_loss();
    }
}

TEST_CASE("after the death of the process alone no position is stale") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto topic = ints(log, {.sync = Sync::never});
    send(topic, 0, 6);
    auto consumer = topic.consumer({.group = "g"});
    (void)consumer.poll(0ns, 5);
    consumer.commit();
    MemoryLog next{world.path, {}, world.machine.platform.after_process_death()};
    auto again = ints(next);
    send(again, 6, 8);
    CHECK(values_of(again.consumer({.group = "g"}).poll(0ns)) == Ints{5, 6, 7});
}
