// SPDX-License-Identifier: MIT
// Sending, replaying and polling allocate nothing for each record. A program of its own: it counts
// every allocation.
#include <annals/annals.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "allocation_hook.hpp"
#include "catch.hpp"
#include "platform/machines.hpp"

namespace {

thread_local std::uint64_t allocations = 0;

}  // namespace

void annals::test::before_allocation(std::size_t) { ++allocations; }

using namespace annals;

namespace {

/// How many times this thread allocates in `call`.
template <class Call>
std::uint64_t allocations_in(Call const& call) {
    std::uint64_t const before = allocations;
    call();
    return allocations - before;
}

struct Fixture {
    test::Machine<NativePlatform> machine{};
    Log log{machine.path + "/log"};
};

constexpr int count = 2000;  // stays in the first segment, so that nothing rolls

struct Point {
    std::int64_t x;
    std::int64_t y;
};

struct Named {
    std::string name;
};

}  // namespace

template <>
struct annals::Codec<Named> {
    static constexpr std::string_view name = "named";
    static void encode(Named const& named, Buffer& out) { out.append(as_bytes(named.name)); }
    static std::string_view decode(Bytes in) { return as_text(in); }
};

TEST_CASE("allocations are counted") {
    auto const allocate = [] {
        int* volatile seen_by_others = new int{1};  // or the compiler may leave it out
        delete seen_by_others;
    };
    CHECK(allocations_in(allocate) == 1);
}

TEST_CASE_METHOD(Fixture, "sending strings allocates nothing for each record") {
    auto producer = log.topic<std::string, std::string>("t", {.partitions = 3}).producer();
    std::string const value(100, 'v');
    std::array const headers{Header{"trace", as_bytes("1")}};
    producer.send("key", value);
    for (std::uint32_t p = 0; p < 3; ++p) producer.send("key", value, {.partition = p});
    CHECK(allocations_in([&] {
              for (int i = 0; i < count; ++i) {
                  producer.send("key", value);
                  producer.send(std::nullopt, value);
                  producer.send("key", std::nullopt, {.headers = headers});
              }
          }) == 0);
}

TEST_CASE_METHOD(Fixture,
                 "sending values of other kinds allocates nothing for each record either") {
    auto points = log.topic<std::uint32_t, Point>("points").producer();
    auto named = log.topic<std::uint32_t, Named>("named").producer();
    Named const who{std::string(40, 'n')};
    points.send(1, Point{1, 2});
    named.send(1, who);
    CHECK(allocations_in([&] {
              for (std::uint32_t i = 0; i < count; ++i) points.send(i, Point{1, 2});
          }) == 0);
    CHECK(allocations_in([&] {
              for (std::uint32_t i = 0; i < count; ++i) named.send(i, who);
          }) == 0);
    auto const batches = allocations_in([&] {
        std::array const values{Point{1, 2}, Point{3, 4}, Point{5, 6}};
        for (std::uint32_t i = 0; i < count; ++i) points.send_batch(i, values);
    });
    CHECK(batches == 0);
}

TEST_CASE_METHOD(Fixture, "a replay allocates for itself and not for its records") {
    auto topic = log.topic<std::string, std::string>("t", {.partitions = 2});
    auto producer = topic.producer();
    std::string const value(100, 'v');
    auto const replay_all = [&] {
        std::size_t bytes = 0;
        for (auto const& record : topic.replay()) bytes += record.value().size();
        return bytes;
    };
    for (int i = 0; i < 10; ++i) producer.send(std::to_string(i), value);
    auto const few = allocations_in([&] { CHECK(replay_all() == 1000); });
    for (int i = 0; i < count; ++i) producer.send(std::to_string(i), value);
    (void)replay_all();  // the index grows while it is looked at for the first time
    auto const many = allocations_in([&] { CHECK(replay_all() == 100u * (count + 10)); });
    CHECK(many <= few + 5);
}

TEST_CASE_METHOD(Fixture, "a cursor allocates nothing for each record") {
    auto partition = log.topic<Bytes, Bytes>("t").partition(0);
    for (int i = 0; i < count; ++i) partition.append(as_bytes("key"), as_bytes("value"));
    auto cursor = partition.cursor();
    (void)cursor.next();
    std::size_t seen = 0;
    CHECK(allocations_in([&] {
              while (auto const record = cursor.next()) seen += record->value().size();
          }) <= 5);
    CHECK(seen == 5u * (count - 1));
}

TEST_CASE_METHOD(Fixture, "a poll allocates for its list alone") {
    auto topic = log.topic<std::string, std::string>("t");
    auto producer = topic.producer();
    for (int i = 0; i < count; ++i) producer.send("key", "value");
    auto consumer = topic.consumer();
    (void)consumer.poll(std::chrono::nanoseconds{0}, 1);
    CHECK(allocations_in([&] {
              CHECK(consumer.poll(std::chrono::nanoseconds{0}, count).size() == count - 1);
          }) < 20);
}
