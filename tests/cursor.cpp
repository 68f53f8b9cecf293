// SPDX-License-Identifier: MIT
#include <annals/cursor.hpp>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;

namespace {

template <class P>
BasicPartition<P> partition_of(BasicLog<P>& log) {
    return log.template topic<Bytes, Bytes>("raw").partition(0);
}

}  // namespace

TEMPLATE_TEST_CASE("a partition takes bytes and gives bytes", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto partition = partition_of(log);
    CHECK(partition.id() == 0);
    CHECK(partition.append(as_bytes("k"), as_bytes("v")) == Offset{0});
    CHECK(partition.append({}, as_bytes("v")) == Offset{1});
    CHECK(partition.append(as_bytes("k"), {}) == Offset{2});
    CHECK(partition.append({}, {}) == Offset{3});
    CHECK(partition.append(as_bytes(""), as_bytes("")) == Offset{4});
    Header const header{"h", as_bytes("x")};
    CHECK(partition.append({}, {}, {.timestamp = Timestamp{}, .headers = {&header, 1}}) ==
          Offset{5});
    CHECK(partition.append({}, {}, {.partition = 0}) == Offset{6});
    CHECK(code_of([&] { partition.append({}, {}, {.partition = 1}); }) == Errc::invalid_argument);
    CHECK(partition.beginning_offset() == Offset{0});
    CHECK(partition.end_offset() == Offset{7});
    CHECK(partition.durable_offset() <= Offset{7});
    partition.flush();
    CHECK(partition.durable_offset() == Offset{7});

    std::string shape;
    auto cursor = partition.cursor();
    while (auto const record = cursor.next()) {
        shape += record->has_key() ? 'k' : '-';
        shape += record->has_value() ? 'v' : '-';
    }
    CHECK(shape == "kv-vk---kv----");
    cursor.seek(Offset{5});
    auto const record = cursor.next();
    CHECK(record->timestamp() == Timestamp{});
    CHECK(as_text(record->header("h").value()) == "x");
}

TEMPLATE_TEST_CASE("a cursor at the end goes on when there is more", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = 64u << 10});
    auto partition = partition_of(log);
    auto cursor = partition.cursor();
    std::string const filler(1000, 'x');
    CHECK_FALSE(cursor.next());
    for (std::uint64_t i = 0; i < 500; ++i) {
        partition.append(as_bytes(std::to_string(i)), as_bytes(filler));
        auto const record = cursor.next();
        REQUIRE(record);
        REQUIRE(record->offset() == Offset{i});
        REQUIRE(as_text(record->key()) == std::to_string(i));
        REQUIRE(cursor.offset() == Offset{i + 1});
        REQUIRE_FALSE(cursor.next());
    }
}

TEMPLATE_TEST_CASE("a cursor begins anywhere and goes anywhere", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = 64u << 10});
    auto partition = partition_of(log);
    std::string const filler(500, 'x');
    for (int i = 0; i < 400; ++i) partition.append(as_bytes(std::to_string(i)), as_bytes(filler));
    for (std::uint64_t const from : {0u, 1u, 117u, 399u}) {
        auto cursor = partition.cursor(Offset{from});
        CHECK(cursor.offset() == Offset{from});
        CHECK(as_text(cursor.next()->key()) == std::to_string(from));
    }
    auto cursor = partition.cursor();
    for (std::uint64_t i = 0; i < 400; ++i) {
        std::uint64_t const to = i * 7919 % 400;
        cursor.seek(Offset{to});
        REQUIRE(as_text(cursor.next()->key()) == std::to_string(to));
    }
    cursor.seek(partition.end_offset());
    CHECK_FALSE(cursor.next());
    cursor.seek(Offset{402});
    CHECK_FALSE(cursor.next());
    partition.append(as_bytes("400"), {});
    CHECK_FALSE(cursor.next());
    partition.append(as_bytes("401"), {});
    CHECK_FALSE(cursor.next());
    partition.append(as_bytes("402"), {});
    CHECK(as_text(cursor.next()->key()) == "402");
}

TEMPLATE_TEST_CASE("a copy of a cursor goes its own way", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto partition = partition_of(log);
    for (int i = 0; i < 4; ++i) partition.append(as_bytes(std::to_string(i)), {});
    auto one = partition.cursor();
    (void)one.next();
    auto two = one;
    CHECK(as_text(two.next()->key()) == "1");
    CHECK(as_text(two.next()->key()) == "2");
    CHECK(as_text(one.next()->key()) == "1");
}

TEMPLATE_TEST_CASE("records outlive their cursor, the partition and the log", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    std::optional<RecordView> record;
    {
        auto log = world.open();
        auto partition = partition_of(log);
        partition.append(as_bytes("k"), as_bytes("v"));
        record = partition.cursor().next();
        log.remove_topic("raw");
    }
    REQUIRE(record);
    CHECK(as_text(record->key()) == "k");
    CHECK(as_text(record->value()) == "v");
}

TEMPLATE_TEST_CASE("after closing a cursor reads what was published", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = 64u << 10});
    auto partition = partition_of(log);
    std::string const filler(1000, 'x');
    for (int i = 0; i < 200; ++i) partition.append({}, as_bytes(filler));
    auto cursor = partition.cursor();
    (void)cursor.next();
    log.close();
    int rest = 0;
    while (cursor.next()) ++rest;
    CHECK(rest == 199);
    CHECK_FALSE(cursor.next());
    CHECK(partition.cursor(Offset{150}).next()->offset() == Offset{150});
}

TEMPLATE_TEST_CASE("before the beginning there is nothing to wait for", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    {
        auto log = world.open();
        auto partition = partition_of(log);
        for (int i = 0; i < 10; ++i) partition.append(as_bytes(std::to_string(i)), {});
    }
    // As if records had been removed from the front: the control file says where the log begins.
    auto directory = world.directory("topics", "raw", "0");
    auto control = *storage::read_control(directory).control;
    control.beginning = format::Beginning{.offset = 4};
    storage::replace_control(directory, world.machine.platform, control);

    auto log = world.open();
    auto partition = partition_of(log);
    CHECK(partition.beginning_offset() == Offset{4});
    auto cursor = partition.cursor();
    for (int i = 0; i < 2; ++i) {
        auto const error = error_of([&] { (void)cursor.next(); });
        REQUIRE(error);
        CHECK(error->code() == Errc::offset_out_of_range);
        CHECK(error->partition() == 0);
        REQUIRE(error->valid_range());
        CHECK(error->valid_range()->first == 4);
        CHECK(error->valid_range()->end == 10);
    }
    cursor.seek(Offset{4});
    CHECK(as_text(cursor.next()->key()) == "4");

    auto topic = log.template topic<Bytes, Bytes>("raw");
    auto const replay = topic.replay({.from = Offset{0}, .until = Offset{6}});
    CHECK(replay.begin()->offset() == Offset{4});  // bounds are cut to the log
    auto consumer = topic.consumer({.group = "g"});
    CHECK(consumer.position(0) == Offset{4});
    consumer.seek(0, Offset{3});
    for (int i = 0; i < 2; ++i) {
        auto const error = error_of([&] { (void)consumer.poll(std::chrono::nanoseconds{0}); });
        REQUIRE(error);
        CHECK(error->code() == Errc::offset_out_of_range);
        REQUIRE(error->valid_range());
        CHECK(error->valid_range()->first == 4);
    }
    consumer.seek_to_beginning();
    CHECK(consumer.poll(std::chrono::nanoseconds{0}).size() == 6);
}

TEST_CASE("cursors follow many appenders and miss nothing") {
    World<NativePlatform> world;
    auto log = world.open({.segment_bytes = 64u << 10});
    auto partition = partition_of(log);
    constexpr std::uint64_t each = 4000;
    std::vector<std::jthread> appenders;
    for (int t = 0; t < 2; ++t) {
        appenders.emplace_back([partition, t]() mutable {
            std::string const key = std::to_string(t);
            for (std::uint64_t i = 0; i < each; ++i) {
                partition.append(as_bytes(key), as_bytes(std::to_string(i)));
            }
        });
    }
    auto cursor = partition.cursor();
    std::uint64_t next[2] = {0, 0};
    std::uint64_t offset = 0;
    while (offset < 2 * each) {
        auto const record = cursor.next();
        if (!record) continue;
        REQUIRE(record->offset() == Offset{offset++});
        auto& due = next[record->key()[0] == std::byte{'1'} ? 1 : 0];
        REQUIRE(as_text(record->value()) == std::to_string(due++));
    }
    CHECK_FALSE(cursor.next());
}
