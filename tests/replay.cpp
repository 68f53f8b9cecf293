// SPDX-License-Identifier: MIT
#include <annals/replay.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

using Ints = std::vector<int>;

constexpr Timestamp noon{1'700'000'000s};

constexpr std::chrono::seconds noon_seconds() { return 1'700'000'000s; }

/// A topic of one partition with the values 0 to 9, a second apart from noon.
template <class P>
auto ten(BasicLog<P>& log) {
    auto topic = log.template topic<std::string, int>("ten");
    auto producer = topic.producer();
    for (int i = 0; i < 10; ++i) producer.send("k", i, {.timestamp = noon + i * 1s});
    return topic;
}

Ints range(int from, int until) {
    Ints values;
    for (int i = from; i < until; ++i) values.push_back(i);
    return values;
}

}  // namespace

TEST_CASE("a replay is a range of records for the standard library") {
    using R = Replay<std::string, int>;
    static_assert(std::ranges::input_range<R>);
    static_assert(std::ranges::input_range<R const>);
    static_assert(std::input_iterator<R::Iterator>);
    static_assert(std::sentinel_for<std::default_sentinel_t, R::Iterator>);
    static_assert(
        std::is_same_v<std::ranges::range_reference_t<R>, Record<std::string, int> const&>);
    static_assert(std::copyable<R> && std::copyable<R::Iterator>);
    World<NativePlatform> world;
    auto log = world.open();
    auto const topic = ten(log);
    auto const replay = topic.replay();
    CHECK(std::ranges::count_if(replay, [](auto const& r) { return r.value() % 2 == 0; }) == 5);
    CHECK(std::ranges::find_if(replay, [](auto const& r) { return r.value() == 7; })->offset() ==
          Offset{7});
    CHECK(std::ranges::distance(replay) == 10);
    Ints doubled;
    auto const twice = [](auto const& record) { return 2 * record.value(); };
    for (int const value : replay | std::views::transform(twice) | std::views::take(3)) {
        doubled.push_back(value);
    }
    CHECK(doubled == Ints{0, 2, 4});
}

TEMPLATE_TEST_CASE("every pair of offsets gives what lies between them", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto const topic = ten(log);
    auto const cut = [](int bound) { return std::min(bound, 10); };
    for (int from = 0; from <= 12; ++from) {
        for (int until = 0; until <= 12; ++until) {
            ReplayOptions const options{.from = Offset{static_cast<std::uint64_t>(from)},
                                        .until = Offset{static_cast<std::uint64_t>(until)}};
            CHECK(values_of(topic.replay(options)) == range(cut(from), cut(until)));
        }
    }
    CHECK(values_of(topic.replay({.from = Offset{~0ull}})).empty());
    CHECK(values_of(topic.replay({.until = Offset{~0ull}})) == range(0, 10));
    CHECK(values_of(topic.replay({.from = Offset{~0ull}, .until = Offset{~0ull}})).empty());
}

TEMPLATE_TEST_CASE("every pair of times gives what lies between them", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto const topic = ten(log);
    // Half seconds: on the records and between them, before the first and behind the last.
    auto const first_from = [](int half) { return std::clamp((half + 1) / 2, 0, 10); };
    for (int from = -3; from <= 22; ++from) {
        for (int until = -3; until <= 22; ++until) {
            auto const replay =
                topic.replay({.from = noon + from * 500ms, .until = noon + until * 500ms});
            CHECK(values_of(replay) == range(first_from(from), first_from(until)));
        }
    }
    CHECK(values_of(topic.replay({.from = noon + 3s + 1ns})) == range(4, 10));
    CHECK(values_of(topic.replay({.from = Timestamp::min(), .until = Timestamp::max()})) ==
          range(0, 10));
    CHECK(values_of(topic.replay({.from = Timestamp::max()})).empty());
    CHECK(values_of(topic.replay({.until = Timestamp::min()})).empty());
}

TEMPLATE_TEST_CASE("bounds may be of different kinds", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto const topic = ten(log);
    CHECK(values_of(topic.replay({.from = Offset{3}, .until = noon + 5s})) == Ints{3, 4});
    CHECK(values_of(topic.replay({.from = noon + 3s, .until = Offset{5}})) == Ints{3, 4});
    CHECK(values_of(topic.replay({.from = noon + 5s, .until = Offset{3}})).empty());
    CHECK(values_of(topic.replay({.from = std::chrono::sys_seconds{noon_seconds()}})) ==
          range(0, 10));
}

TEMPLATE_TEST_CASE("an empty topic replays as nothing, with any bounds", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto const topic = log.template topic<std::string, int>("t", {.partitions = 2});
    CHECK(values_of(topic.replay()).empty());
    CHECK(values_of(topic.replay({.from = noon})).empty());
    CHECK(values_of(topic.replay({.until = noon})).empty());
    CHECK(values_of(topic.replay({.from = Offset{5}, .partition = 1})).empty());
    CHECK(topic.replay().begin() == topic.replay().end());
}

TEMPLATE_TEST_CASE("where stamps are out of order, the first that is late enough counts", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, int>("t");
    auto producer = topic.producer();
    int const seconds[] = {5, 1, 3, 9, 2, 9, 4, 20, 6};
    for (int const second : seconds) {
        producer.send("k", second, {.timestamp = noon + second * 1s});
    }
    auto const first_at_least = [&](int bound) {
        return std::find_if(std::begin(seconds), std::end(seconds),
                            [&](int s) { return s >= bound; }) -
               std::begin(seconds);
    };
    for (int from = 0; from <= 21; ++from) {
        for (int until = 0; until <= 21; ++until) {
            auto const begin = first_at_least(from);
            auto const end = first_at_least(until);
            Ints const expected = begin < end ? Ints{seconds + begin, seconds + end} : Ints{};
            CHECK(values_of(topic.replay({.from = noon + from * 1s, .until = noon + until * 1s})) ==
                  expected);
        }
    }
}

TEMPLATE_TEST_CASE("one stamp far ahead ends every later until, and hides nothing from a from", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, int>("t");
    auto producer = topic.producer();
    producer.send("k", 0, {.timestamp = noon});
    producer.send("k", 1, {.timestamp = noon + 24h * 365});
    producer.send("k", 2, {.timestamp = noon + 1s});
    producer.send("k", 3, {.timestamp = noon + 2s});
    CHECK(values_of(topic.replay({.until = noon + 2s})) == Ints{0});
    CHECK(values_of(topic.replay({.from = noon + 2s})) == Ints{1, 2, 3});
    CHECK(values_of(topic.replay({.from = noon + 1s, .until = noon + 2s})).empty());
    CHECK(values_of(topic.replay({.from = noon + 24h * 366})).empty());
}

TEMPLATE_TEST_CASE("times find their way through many segments", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    std::vector<std::int64_t> stamps;
    std::minstd_rand random{7};
    std::int64_t clock = 0;
    auto const check = [&](auto const& topic) {
        for (int i = 0; i < 60; ++i) {
            std::int64_t const bound =
                static_cast<std::int64_t>(random() % static_cast<unsigned>(clock + 400)) - 200;
            auto const first = std::find_if(stamps.begin(), stamps.end(),
                                            [&](std::int64_t stamp) { return stamp >= bound; });
            auto const expected = static_cast<std::uint64_t>(std::distance(stamps.begin(), first));
            auto const replay = topic.replay({.from = Timestamp{std::chrono::seconds{bound}}});
            auto const it = replay.begin();
            if (it == replay.end()) {
                CHECK(expected == stamps.size());
            } else {
                CHECK(it->offset() == Offset{expected});
            }
        }
    };
    for (int life = 0; life < 3; ++life) {
        auto log = world.open({.segment_bytes = 64u << 10});
        auto topic = log.template topic<std::string, std::string>("t");
        auto producer = topic.producer();
        for (int i = 0; i < 400; ++i) {
            clock += static_cast<std::int64_t>(random() % 3);
            auto const jitter = static_cast<std::int64_t>(random() % 200) - 100;
            stamps.push_back(clock + jitter);
            producer.send("k", std::string(random() % 2000, 'x'),
                          {.timestamp = Timestamp{std::chrono::seconds{stamps.back()}}});
        }
        check(topic);
        check(world.attach().template topic<std::string, std::string>("t"));
    }
    check(world.attach().template topic<std::string, std::string>("t"));
}

TEMPLATE_TEST_CASE("bounds are fixed when replay is called", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto const topic = ten(log);
    auto const all = topic.replay();
    auto const later = topic.replay({.from = noon + 20s});
    auto const last = topic.replay({.from = Offset{9}, .until = Offset{100}});
    auto producer = topic.producer();
    for (int i = 10; i < 5000; ++i) producer.send("k", i, {.timestamp = noon + i * 1s});
    CHECK(values_of(all) == range(0, 10));
    CHECK(values_of(later).empty());
    CHECK(values_of(last) == Ints{9});
}

TEMPLATE_TEST_CASE("each begin() is a walk of its own", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto const topic = ten(log);
    auto const replay = topic.replay();
    auto one = replay.begin();
    auto two = replay.begin();
    ++one;
    ++one;
    CHECK(one->value() == 2);
    CHECK(two->value() == 0);
    auto three = one;
    ++one;
    ++two;
    CHECK(three->value() == 2);
    CHECK(one->value() == 3);
    CHECK(two->value() == 1);
    CHECK((++three)->value() == 3);
    one = two;
    CHECK(one->value() == 1);
    CHECK(values_of(replay) == range(0, 10));
    auto const copy = replay;
    CHECK(values_of(copy) == range(0, 10));
}

TEMPLATE_TEST_CASE("an iterator overwrites its record when it moves, and a copy stays", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = 64u << 10});
    auto topic = log.template topic<std::string, std::string>("t");
    for (int i = 0; i < 300; ++i) {
        topic.producer().send(std::to_string(i), std::string(1000, 'x'));
    }
    auto const replay = topic.replay();
    auto it = replay.begin();
    auto const& alias = *it;
    auto const copy = *it;
    while (it->key() != "299") ++it;
    CHECK(alias.key() == "299");
    CHECK(copy.key() == "0");
    ++it;
    CHECK(it == replay.end());
    CHECK(it == std::default_sentinel);
}

// ---- several partitions

TEMPLATE_TEST_CASE("partitions merge by time, then by number, each in its own order", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, int>("t", {.partitions = 3});
    auto producer = topic.producer();
    auto const send = [&](std::uint32_t partition, int second) {
        producer.send("k", static_cast<int>(partition) * 100 + second,
                      {.timestamp = noon + second * 1s, .partition = partition});
    };
    for (int const second : {1, 5, 3, 9}) send(2, second);
    for (int const second : {1, 2, 2, 8}) send(0, second);
    for (int const second : {7, 1}) send(1, second);
    CHECK(values_of(topic.replay()) == Ints{1, 201, 2, 2, 205, 203, 107, 101, 8, 209});
    CHECK(values_of(topic.replay({.from = noon + 3s, .until = noon + 9s})) ==
          Ints{205, 203, 107, 101, 8});
    CHECK(values_of(topic.replay({.partition = 2})) == Ints{201, 205, 203, 209});
    CHECK(values_of(topic.replay({.from = Offset{1}, .until = Offset{3}, .partition = 2})) ==
          Ints{205, 203});
}

TEMPLATE_TEST_CASE("a merge agrees with a sort of heads, whatever the stamps", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    constexpr std::uint32_t count = 7;
    auto topic = log.template topic<int, int>("t", {.partitions = count});
    auto producer = topic.producer();
    std::vector<std::vector<std::pair<int, int>>> model(count);  // (stamp, value)
    std::minstd_rand random{3};
    for (int i = 0; i < 700; ++i) {
        auto const partition =
            static_cast<std::uint32_t>(random() % (count - 1));  // one stays empty
        int const stamp = static_cast<int>(random() % 50);
        producer.send(0, i, {.timestamp = Timestamp{stamp * 1s}, .partition = partition});
        model[partition].emplace_back(stamp, i);
    }
    Ints expected;
    std::vector<std::size_t> heads(count);
    for (int i = 0; i < 700; ++i) {
        std::optional<std::size_t> best;
        for (std::size_t p = 0; p < count; ++p) {
            if (heads[p] == model[p].size()) continue;
            if (!best || model[p][heads[p]].first < model[*best][heads[*best]].first) best = p;
        }
        expected.push_back(model[*best][heads[*best]++].second);
    }
    CHECK(values_of(topic.replay()) == expected);
}

TEMPLATE_TEST_CASE("an offset says nothing about several partitions", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<int, int>("t", {.partitions = 2});
    ReplayOptions const bad[] = {{.from = Offset{0}},
                                 {.until = Offset{5}},
                                 {.from = noon, .until = Offset{5}},
                                 {.from = Offset{0}, .until = noon}};
    for (auto const& options : bad) {
        auto const error = error_of([&] { (void)topic.replay(options); });
        REQUIRE(error);
        CHECK(error->code() == Errc::invalid_argument);
        CHECK(contains(error->what(), ".partition"));
    }
    CHECK(code_of([&] { (void)topic.replay({.from = Offset{0}, .partition = 1}); }) == Errc::ok);
    auto single = log.template topic<int, int>("single");
    CHECK(code_of([&] { (void)single.replay({.from = Offset{0}}); }) == Errc::ok);
}

// ---- damage

namespace {

/// Ten records of a kilobyte, closed, with a byte of the value of record 5 damaged. Where its frame
/// begins in the file.
template <class P>
std::uint64_t damage_record_5(World<P>& world) {
    {
        auto log = world.open();
        auto producer = log.template topic<std::string, std::string>("t").producer();
        for (int i = 0; i < 10; ++i) {
            producer.send("key", "value-" + std::to_string(i) + std::string(993, 'x'));
        }
    }
    auto file = world.directory("topics", "t", "0").open_file("00000001.seg", Access::write);
    std::uint64_t const value = place_of(file, "value-5");
    flip(file, value + 500);
    return value - 24 - 3;
}

}  // namespace

TEMPLATE_TEST_CASE("damage is told with its place when it is reached, and not before", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    std::uint64_t const place = damage_record_5(world);
    auto log = world.open();
    auto reader = world.attach();
    for (auto* each : {&log, &reader}) {
        auto const topic = each->template topic<std::string, std::string>("t");
        for (auto const check : {Check::first_read, Check::always}) {
            auto const replay = topic.replay({.check = check});
            int seen = 0;
            auto const error = error_of([&] {
                for (auto const& record : replay) {
                    CHECK(record.value().starts_with("value-" + std::to_string(seen)));
                    ++seen;
                }
            });
            CHECK(seen == 5);
            REQUIRE(error);
            CHECK(error->code() == Errc::corrupt);
            CHECK(error->segment() == 1);
            CHECK(error->place() == place);
            CHECK(error->partition() == 0);
            CHECK(contains(error->path(), "topics/t/0/00000001.seg"));
            CHECK(contains(error->what(), "offset 5"));
            CHECK(contains(error->what(), std::to_string(place)));
        }
        CHECK(values_of(topic.replay({.until = Offset{5}})).size() == 5);
        CHECK(values_of(topic.replay({.from = Offset{6}})).size() == 4);
        CHECK(code_of([&] { (void)topic.replay({.from = Offset{5}}).begin(); }) == Errc::corrupt);
        auto const unchecked = values_of(topic.replay({.check = Check::never}));
        CHECK(unchecked.size() == 10);
        CHECK(unchecked[5] != "value-5" + std::string(993, 'x'));
        CHECK(unchecked[6] == "value-6" + std::string(993, 'x'));
    }
}

TEMPLATE_TEST_CASE("damage is met by cursors and consumers too, and again each time", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    std::uint64_t const place = damage_record_5(world);
    auto log = world.open();
    auto topic = log.template topic<std::string, std::string>("t");
    auto cursor = topic.partition(0).cursor();
    for (int i = 0; i < 5; ++i) CHECK(cursor.next());
    for (int i = 0; i < 3; ++i) {
        auto const error = error_of([&] { (void)cursor.next(); });
        REQUIRE(error);
        CHECK(error->code() == Errc::corrupt);
        CHECK(error->place() == place);
        CHECK(cursor.offset() == Offset{5});
    }
    cursor.seek(Offset{6});
    CHECK(cursor.next());

    auto consumer = topic.consumer();
    CHECK(consumer.poll(0ns).size() == 5);  // what is good comes first
    CHECK(consumer.position(0) == Offset{5});
    for (int i = 0; i < 3; ++i) {
        CHECK(code_of([&] { (void)consumer.poll(0ns); }) == Errc::corrupt);
    }
    consumer.seek(0, Offset{6});
    CHECK(consumer.poll(0ns).size() == 4);
}

TEMPLATE_TEST_CASE("by default a process checks each record once, with always each time", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, std::string>("t");
    for (int i = 0; i < 10; ++i) topic.producer().send("key", "value-" + std::to_string(i));
    CHECK(values_of(topic.replay()).size() == 10);
    topic.flush();  // beside a writer, what is not known to be durable may still be on its way
    auto file = world.directory("topics", "t", "0").open_file("00000001.seg", Access::write);
    flip(file, place_of(file, "value-3") + 2);
    CHECK(values_of(topic.replay()).size() == 10);
    CHECK(code_of([&] { (void)values_of(topic.replay({.check = Check::always})); }) ==
          Errc::corrupt);
    CHECK(code_of([&] {
              (void)values_of(
                  world.attach().template topic<std::string, std::string>("t").replay());
          }) == Errc::corrupt);
}

TEMPLATE_TEST_CASE("damage to any byte of a record is seen", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    {
        auto log = world.open();
        auto producer = log.template topic<std::string, std::string>("t").producer();
        Header const header{"h", as_bytes("x")};
        for (int i = 0; i < 3; ++i) producer.send("key", "value!", {.headers = {&header, 1}});
    }
    auto file = world.directory("topics", "t", "0").open_file("00000001.seg", Access::write);
    std::uint64_t const extent = (24 + 3 + 4 + 8 + 6 + 7) / 8 * 8;
    for (std::uint64_t i = 0; i < extent; ++i) {
        std::uint64_t const place = 4096 + extent + i;
        flip(file, place);
        auto log = world.attach();
        auto const topic = log.template topic<std::string, std::string>("t");
        int seen = 0;
        auto const error = error_of([&] {
            for (auto const& record : topic.replay()) seen += record.key() == "key" ? 1 : 0;
        });
        INFO("byte " << i << " of the frame");
        CHECK(seen == 1);
        REQUIRE(error);
        CHECK(error->code() == Errc::corrupt);
        CHECK(error->place() == 4096 + extent);
        flip(file, place);
    }
    CHECK(values_of(world.attach().template topic<std::string, std::string>("t").replay()).size() ==
          3);
}

TEMPLATE_TEST_CASE("a damaged partition of a merge is told when its turn comes", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    {
        auto log = world.open();
        auto topic = log.template topic<int, std::string>("t", {.partitions = 2});
        for (int i = 0; i < 20; ++i) {
            topic.producer().send(
                i, "value-" + std::to_string(i),
                {.timestamp = noon + i * 1s, .partition = static_cast<std::uint32_t>(i % 2)});
        }
    }
    auto file = world.directory("topics", "t", "1").open_file("00000001.seg", Access::write);
    flip(file, place_of(file, "value-9"));
    auto log = world.open();
    auto topic = log.template topic<int, std::string>("t");
    std::size_t seen = 0;
    auto const error = error_of([&] {
        for (auto const& record : topic.replay()) {
            CHECK(record.value() == "value-" + std::to_string(seen));
            ++seen;
        }
    });
    REQUIRE(error);
    CHECK(error->partition() == 1);
    CHECK(seen >= 8);  // the damaged one is the next head once its forerunner was handed out
    CHECK(seen <= 9);
    CHECK(values_of(topic.replay({.partition = 0})).size() == 10);
}
