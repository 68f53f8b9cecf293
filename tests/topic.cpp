// SPDX-License-Identifier: MIT
#include <annals/topic.hpp>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

struct Deposited {
    std::int64_t cents;
};
struct Withdrawn {
    std::int64_t cents;
};
struct Closed {
    std::int64_t at;
};
using Early = std::variant<Deposited, Withdrawn>;
using Late = std::variant<Deposited, Withdrawn, Closed>;
using Other = std::variant<Withdrawn, Deposited>;

struct Celsius {
    double degrees;
};

}  // namespace

template <>
struct annals::Codec<Celsius> {
    static constexpr std::string_view name = "celsius.v2";
    static bool accepts(std::string_view stored) { return stored == "celsius.v1"; }
    static std::size_t size(Celsius const&) { return 8; }
    static void encode(Celsius const& value, MutableBytes out) { store_le(out, value.degrees); }
    static Celsius decode(Bytes in) { return {load_le<double>(in)}; }
};

namespace {

struct OldCelsius {
    double degrees;
};

}  // namespace

template <>
struct annals::Codec<OldCelsius> : annals::Codec<double> {
    static std::string name() { return "celsius.v1"; }
    static std::size_t size(OldCelsius const&) { return 8; }
    static void encode(OldCelsius const& value, MutableBytes out) { store_le(out, value.degrees); }
    static OldCelsius decode(Bytes in) { return {load_le<double>(in)}; }
};

// ---- names

TEMPLATE_TEST_CASE("names of topics and groups are plain and short", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<int, int>("t");
    std::vector<std::string> const bad{
        "",           ".",     "..", ".hidden",   "../up", "a/b",    "/",
        "with space", "tab\t", "ü",  "a\nb",      "a:b",   "a\\b",   "a*",
        "a\"b",       "a|b",   "~",  {"a\0b", 3}, "\x7f",  "a/../b", std::string(250, 'x')};
    for (auto const& name : bad) {
        auto const error = error_of([&] { (void)log.template topic<int, int>(name); });
        REQUIRE(error);
        CHECK(error->code() == Errc::invalid_name);
        CHECK(std::string_view{error->what()}.find_first_of("\n\t\0") == std::string_view::npos);
        if (name.empty()) continue;  // no group at all
        CHECK(code_of([&] { (void)topic.consumer({.group = name}); }) == Errc::invalid_name);
    }
    std::vector<std::string> const good{"a",
                                        "A.b_c-9",
                                        "-",
                                        "_",
                                        "a..b",
                                        "0",
                                        "con",
                                        "lock",
                                        "log.meta",
                                        "topics",
                                        std::string(249, 'x')};
    for (auto const& name : good) {
        CHECK(log.template topic<int, int>(name).name() == name);
        auto consumer = topic.consumer({.group = name});
        consumer.commit();
    }
    CHECK(log.topics().size() == good.size() + 1);
}

// ---- options

TEMPLATE_TEST_CASE("a new topic has one partition and syncs every second", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto const topic = log.template topic<int, int>("t");
    CHECK(topic.partition_count() == 1);
    CHECK(topic.name() == "t");
    CHECK(topic.beginning_offset() == Offset{0});
    CHECK(topic.end_offset() == Offset{0});
    CHECK(topic.durable_offset() == Offset{0});
    auto const file = world.directory("topics", "t").open_file("topic.meta", Access::read);
    auto const meta = format::decode_topic_meta(storage::read_whole(file), file.path());
    CHECK(meta.sync == Sync::interval);
    CHECK(meta.sync_interval == 1s);
    CHECK(meta.clock == Clock::precise);
}

TEMPLATE_TEST_CASE("the partition count is fixed when the topic is made", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    {
        auto log = world.open();
        CHECK(log.template topic<int, int>("t", {.partitions = 3}).partition_count() == 3);
        CHECK(log.template topic<int, int>("t").partition_count() == 3);
    }
    auto log = world.open();
    auto reader = world.attach();
    for (auto* each : {&log, &reader}) {
        CHECK(each->template topic<int, int>("t", {.partitions = 3}).partition_count() == 3);
        CHECK(each->template topic<int, int>("t").partition_count() == 3);
        auto const error =
            error_of([&] { (void)each->template topic<int, int>("t", {.partitions = 4}); });
        REQUIRE(error);
        CHECK(error->code() == Errc::partition_count_mismatch);
        CHECK(contains(error->what(), "3"));
        CHECK(contains(error->what(), "4"));
        CHECK(contains(error->path(), "topics/t"));
    }
}

TEMPLATE_TEST_CASE("options outside what a topic takes make no topic", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    TopicOptions const bad[] = {
        {.partitions = 0}, {.partitions = 65'537}, {.sync_interval = 0ns}, {.sync_interval = -1s}};
    for (auto const& options : bad) {
        CHECK(code_of([&] { (void)log.template topic<int, int>("t", options); }) ==
              Errc::invalid_argument);
    }
    CHECK(log.topics().empty());
}

TEMPLATE_TEST_CASE("a partition that is not there is an invalid argument", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<int, int>("t", {.partitions = 2});
    auto consumer = topic.consumer({.group = "g"});
    auto const calls = {
        error_of([&] { (void)topic.partition(2); }),
        error_of([&] { (void)topic.beginning_offset(2); }),
        error_of([&] { (void)topic.end_offset(2); }),
        error_of([&] { (void)topic.durable_offset(2); }),
        error_of([&] { (void)topic.replay({.partition = 2}); }),
        error_of([&] { topic.producer().send(1, 1, {.partition = 2}); }),
        error_of([&] { topic.producer().send_batch(1, std::vector{1}, {.partition = 2}); }),
        error_of([&] { consumer.seek(2, Offset{}); }),
        error_of([&] { (void)consumer.position(2); }),
        error_of([&] { (void)consumer.committed(2); }),
    };
    for (auto const& error : calls) {
        REQUIRE(error);
        CHECK(error->code() == Errc::invalid_argument);
        CHECK(contains(error->what(), "partition 2"));
    }
    CHECK(topic.partition(1).id() == 1);
}

TEMPLATE_TEST_CASE("a sync that is given is stored and holds for all handles", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    {
        auto log = world.open();
        auto topic = log.template topic<int, int>("t", {.sync = Sync::never});
        auto producer = topic.producer();
        producer.send(1, 1);
        CHECK(topic.durable_offset() == Offset{0});
        (void)log.template topic<int, int>("t", {.sync = Sync::always});
        producer.send(1, 2);
        CHECK(topic.durable_offset() == Offset{2});
        (void)log.template topic<int, int>("t");
        producer.send(1, 3);
        CHECK(topic.durable_offset() == Offset{3});
    }
    auto log = world.open();
    auto topic = log.template topic<int, int>("t");
    topic.producer().send(1, 4);
    CHECK(topic.durable_offset() == Offset{4});
}

TEST_CASE("an interval that is given holds at once and is kept") {
    World<MemoryPlatform> world;
    auto& machine = world.machine.platform;
    auto const durable_after = [&](auto& topic, std::chrono::nanoseconds wait) {
        topic.producer().send(1, 1);
        machine.advance(wait);
        topic.producer().send(1, 1);
        return topic.durable_offset() == topic.end_offset();
    };
    {
        auto log = world.open();
        auto topic = log.topic<int, int>("t");
        CHECK_FALSE(durable_after(topic, 300ms));
        (void)log.topic<int, int>("t", {.sync_interval = 200ms});
        CHECK(durable_after(topic, 300ms));
    }
    auto log = world.open();
    auto topic = log.topic<int, int>("t");
    CHECK_FALSE(durable_after(topic, 10ms));
    CHECK(durable_after(topic, 300ms));
}

TEST_CASE("the keeper syncs at the interval by itself") {
    World<NativePlatform> world;
    auto log = world.open();
    auto topic = log.topic<int, int>("t", {.sync_interval = 20ms});
    topic.producer().send(1, 1);
    for (int i = 0; i < 500 && topic.durable_offset() < Offset{1}; ++i) {
        std::this_thread::sleep_for(10ms);
    }
    CHECK(topic.durable_offset() == Offset{1});
}

TEST_CASE("options that cannot be stored change nothing") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto topic = log.topic<int, int>("t", {.sync = Sync::never});
    world.machine.platform.fail_next(Operation::rename, EIO);
    CHECK(code_of([&] { (void)log.topic<int, int>("t", {.sync = Sync::always}); }) ==
          Errc::io_error);
    topic.producer().send(1, 1);
    CHECK(topic.durable_offset() == Offset{0});
    (void)log.topic<int, int>("t", {.sync = Sync::always});
    topic.producer().send(1, 1);
    CHECK(topic.durable_offset() == Offset{2});
}

TEMPLATE_TEST_CASE("the coarse clock is the system clock's last tick", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto const& platform = world.machine.platform;
    auto log = world.open();
    auto topic = log.template topic<int, int>("t", {.clock = Clock::coarse});
    auto const before = platform.coarse_now();
    auto const sent = topic.producer().send(1, 1);
    CHECK(sent.timestamp >= before);
    CHECK(sent.timestamp <= platform.coarse_now());
    CHECK(platform.now() - sent.timestamp < 1s);
}

TEMPLATE_TEST_CASE("a precise timestamp lies between now before and now after", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto const& platform = world.machine.platform;
    auto log = world.open();
    auto producer = log.template topic<int, int>("t").producer();
    for (int i = 0; i < 1000; ++i) {
        auto const before = platform.now();
        auto const sent = i % 2 == 0 ? producer.send(1, 1).timestamp
                                     : producer.send_batch(1, std::vector{1, 2}).timestamp;
        REQUIRE(before <= sent);
        REQUIRE(sent <= platform.now());
    }
}

TEST_CASE("what was sent after a system_clock::now() is found from then on") {
    World<NativePlatform> world;
    auto log = world.open();
    auto topic = log.topic<int, int>("t");
    topic.producer().send(1, 1);
    std::this_thread::sleep_for(1ms);
    auto const between = std::chrono::system_clock::now();
    topic.producer().send(1, 2);
    CHECK(values_of(topic.replay({.from = between})) == std::vector{2});
    CHECK(values_of(topic.replay({.until = between})) == std::vector{1});
}

// ---- types

TEMPLATE_TEST_CASE("a topic of other types is a mismatch, told before anything is read", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    log.template topic<std::string, std::int64_t>("t").producer().send("k", 1);
    auto reader = world.attach();
    for (auto* each : {&log, &reader}) {
        auto const values =
            error_of([&] { (void)each->template topic<std::string, std::int32_t>("t"); });
        REQUIRE(values);
        CHECK(values->code() == Errc::codec_mismatch);
        CHECK(contains(values->what(), "value"));
        CHECK(contains(values->what(), "i64"));
        CHECK(contains(values->what(), "i32"));
        CHECK(contains(values->path(), "topics/t"));
        auto const keys = error_of([&] { (void)each->template topic<int, std::int64_t>("t"); });
        REQUIRE(keys);
        CHECK(keys->code() == Errc::codec_mismatch);
        CHECK(contains(keys->what(), "key"));
        CHECK(code_of([&] { (void)each->template topic<int, Bytes>("t"); }) ==
              Errc::codec_mismatch);
    }
    CHECK(values_of(log.template topic<std::string, std::int64_t>("t").replay()) ==
          std::vector<std::int64_t>{1});
}

TEMPLATE_TEST_CASE("absence is no other type", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    (void)log.template topic<std::string, int>("t");
    auto topic = log.template topic<std::optional<std::string>, std::optional<int>>("t");
    topic.producer().send(std::nullopt, std::nullopt);
    CHECK(topic.end_offset() == Offset{1});
    CHECK_FALSE((*topic.replay().begin()).key());
    auto const strict = log.template topic<std::string, int>("t").replay();
    CHECK(code_of([&] { (void)strict.begin()->key(); }) == Errc::no_value);
}

TEMPLATE_TEST_CASE("as bytes any topic opens for reading, and only its own kind for writing", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    log.template topic<std::string, std::int32_t>("typed").producer().send("k", 1);
    auto raw = log.template topic<Bytes, Bytes>("typed");
    auto const record = *raw.replay().begin();
    CHECK(as_text(record.key()) == "k");
    CHECK(record.value().size() == 4);
    CHECK(raw.consumer().poll(0ns).size() == 1);
    CHECK(raw.partition(0).cursor().next());
    auto const error = error_of([&] { (void)raw.producer(); });
    REQUIRE(error);
    CHECK(error->code() == Errc::codec_mismatch);
    CHECK(contains(error->what(), "i32"));
    CHECK(code_of([&] { raw.partition(0).append({}, {}); }) == Errc::codec_mismatch);
    auto half = log.template topic<std::string, Bytes>("typed");
    CHECK(code_of([&] { (void)half.producer(); }) == Errc::codec_mismatch);
    CHECK((*half.replay().begin()).key() == "k");
    auto optional = log.template topic<std::optional<Bytes>, std::optional<Bytes>>("typed");
    CHECK(optional.replay().begin()->value());

    auto own = log.template topic<Bytes, Bytes>("raw");
    own.producer().send(as_bytes("k"), as_bytes("v"));
    CHECK(own.end_offset() == Offset{1});
    CHECK(code_of([&] { (void)log.template topic<std::string, Bytes>("raw"); }) ==
          Errc::codec_mismatch);
}

TEMPLATE_TEST_CASE("a variant that gained alternatives opens the topic and extends its name", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    {
        auto log = world.open();
        auto early = log.template topic<std::string, Early>("t");
        early.producer().send("a", Deposited{5});
        auto late = log.template topic<std::string, Late>("t");
        late.producer().send("a", Closed{7});
        early.producer().send("a", Withdrawn{2});
        CHECK(values_of(late.replay()).size() == 3);
        CHECK(std::get<Closed>((*late.replay({.from = Offset{1}}).begin()).value()).at == 7);

        auto const replay = early.replay();
        auto it = replay.begin();
        CHECK(std::get<Deposited>(it->value()).cents == 5);
        ++it;
        auto const error = error_of([&] { (void)it->value(); });
        REQUIRE(error);
        CHECK(error->code() == Errc::decode_failed);
        ++it;
        CHECK(std::get<Withdrawn>(it->value()).cents == 2);
    }
    auto log = world.open();
    CHECK(code_of([&] { (void)log.template topic<std::string, Other>("t"); }) ==
          Errc::codec_mismatch);
    CHECK(code_of([&] { (void)log.template topic<std::string, Early>("t"); }) == Errc::ok);
    auto const file = world.directory("topics", "t").open_file("topic.meta", Access::read);
    CHECK(contains(content(file), "Closed"));  // a stored name is never shortened
    CHECK(log.template topic<std::string, Late>("t").end_offset() == Offset{3});
}

TEMPLATE_TEST_CASE("a reader without a lock extends nothing", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    world.open().template topic<std::string, Early>("t").producer().send("a", Deposited{5});
    auto late = world.attach().template topic<std::string, Late>("t", {.sync = Sync::always});
    CHECK(std::get<Deposited>((*late.replay().begin()).value()).cents == 5);
    auto const file = world.directory("topics", "t").open_file("topic.meta", Access::read);
    CHECK_FALSE(contains(content(file), "Closed"));
}

TEMPLATE_TEST_CASE("a codec opens topics of the older names that it accepts", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    log.template topic<int, OldCelsius>("t").producer().send(1, OldCelsius{21.5});
    auto topic = log.template topic<int, Celsius>("t");
    topic.producer().send(2, Celsius{22.5});
    double sum = 0;
    for (auto const& record : topic.replay()) sum += record.value().degrees;
    CHECK(sum == 44.0);
    (void)log.template topic<int, Celsius>("new");
    CHECK(code_of([&] { (void)log.template topic<int, OldCelsius>("new"); }) ==
          Errc::codec_mismatch);
}

// ---- reading without writing

TEMPLATE_TEST_CASE("a log that is only read says so to whoever would write", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    world.open().template topic<std::string, int>("t").producer().send("k", 1);
    auto log = world.attach();
    auto topic = log.template topic<std::string, int>("t");
    auto producer = topic.producer();
    auto consumer = topic.consumer({.group = "g"});
    auto const errors = {
        error_of([&] { producer.send("k", 2); }),
        error_of([&] { producer.send_batch("k", std::vector{2}); }),
        error_of([&] { producer.flush(); }),
        error_of([&] { topic.flush(); }),
        error_of([&] { topic.partition(0).append({}, {}); }),
        error_of([&] { consumer.commit(); }),
        error_of([&] { log.remove_topic("t"); }),
    };
    for (auto const& error : errors) {
        REQUIRE(error);
        CHECK(error->code() == Errc::read_only);
        CHECK(contains(error->path(), world.path));
    }
    CHECK(code_of([&] { (void)log.template topic<std::string, int>("none"); }) == Errc::not_found);
    CHECK(log.topics() == std::vector<std::string>{"t"});
    CHECK(values_of(topic.replay()) == std::vector{1});
    CHECK(consumer.poll(0ns).size() == 1);
    CHECK(topic.durable_offset() == Offset{1});
    CHECK(log.recovery().was_clean());
    CHECK(code_of([&] { log.close(); }) == Errc::ok);
}

TEMPLATE_TEST_CASE("a topic's handles are one topic, from any threads", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto const topic = log.template topic<std::uint32_t, std::uint32_t>("t", {.partitions = 2});
    {
        std::vector<std::jthread> threads;
        for (std::uint32_t t = 0; t < 4; ++t) {
            threads.emplace_back([&, t] {
                auto mine = log.template topic<std::uint32_t, std::uint32_t>("t");
                for (std::uint32_t i = 0; i < 500; ++i) {
                    auto const sent = (i % 2 != 0 ? mine : topic).producer().send(t, i);
                    if (topic.end_offset(sent.partition) <= sent.offset) std::abort();
                }
            });
        }
    }
    CHECK(topic.end_offset(0).value() + topic.end_offset(1).value() == 2000);
}
