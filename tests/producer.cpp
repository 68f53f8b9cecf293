// SPDX-License-Identifier: MIT
#include <annals/producer.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <ranges>
#include <set>
#include <span>
#include <stdexcept>
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

using Texts = std::vector<std::string>;

struct Large {
    std::array<std::int64_t, 6> numbers;
};

/// Encodes beforehand; what happens meanwhile is the test's to say.
struct Scripted {
    std::string text;
    void (*meanwhile)(Scripted const&) = nullptr;
};

/// Encodes inside the claim.
struct InPlace {
    std::string text;
    void (*meanwhile)() = nullptr;
};

}  // namespace

template <>
struct annals::Codec<Scripted> {
    static constexpr std::string_view name = "scripted";
    static void encode(Scripted const& value, Buffer& out) {
        if (value.meanwhile) value.meanwhile(value);
        out.append(as_bytes(value.text));
    }
    static std::string decode(Bytes in) { return std::string{as_text(in)}; }
};

template <>
struct annals::Codec<InPlace> {
    static constexpr std::string_view name = "in-place";
    static constexpr bool encode_in_place = true;
    static std::size_t size(InPlace const& value) { return value.text.size(); }
    static void encode(InPlace const& value, MutableBytes out) {
        if (value.meanwhile) value.meanwhile();
        copy_bytes(as_bytes(value.text), out);
    }
    static std::string decode(Bytes in) { return std::string{as_text(in)}; }
};

// ---- what send takes

TEMPLATE_TEST_CASE("send takes text of any kind", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, std::string>("t");
    auto producer = topic.producer();
    std::string const text{"string"};
    char const* const pointer = "pointer";
    char const array[] = "array";
    producer.send("literal", "literal");
    producer.send(text, text);
    producer.send(std::string_view{text}, std::string_view{text});
    producer.send(pointer, pointer);
    producer.send(array, array);
    producer.send(std::to_string(1), text + "!");
    producer.send({}, std::string{"a\0b", 3});
    CHECK(values_of(topic.replay()) == Texts{"literal", "string", "string", "pointer", "array",
                                             "string!", std::string{"a\0b", 3}});
}

TEMPLATE_TEST_CASE("send takes an absent key, an absent value, and both", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::uint32_t, double>("t");
    auto producer = topic.producer();
    CHECK(producer.send(std::nullopt, 1.5).offset == Offset{0});
    CHECK(producer.send(7, std::nullopt).offset == Offset{1});
    CHECK(producer.send(std::nullopt, std::nullopt).offset == Offset{2});
    CHECK(producer.send(7, 2.5).offset == Offset{3});
    std::string shape;
    for (auto const& record : topic.replay()) {
        shape += record.has_key() ? 'k' : '-';
        shape += record.has_value() ? 'v' : '-';
    }
    CHECK(shape == "-vk---kv");
}

TEMPLATE_TEST_CASE("send takes a variant's alternatives as they are", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<int, std::variant<std::int32_t, std::string>>("t");
    auto producer = topic.producer();
    producer.send(1, 5);
    producer.send(1, std::string{"five"});
    producer.send_batch(1, std::vector<std::variant<std::int32_t, std::string>>{6, "six"});
    auto const values = values_of(topic.replay());
    CHECK(std::get<0>(values[0]) == 5);
    CHECK(std::get<1>(values[1]) == "five");
    CHECK(std::get<0>(values[2]) == 6);
    CHECK(std::get<1>(values[3]) == "six");
}

TEMPLATE_TEST_CASE("a batch takes a variant's alternatives as they are", "", NativePlatform,
                   MemoryPlatform) {
    using Numbers = std::vector<std::int32_t>;
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<int, std::variant<std::string, Numbers>>("t");
    Texts const texts{std::string(100, 'a'), std::string(100, 'b')};
    std::vector<Numbers> const numbers{Numbers(50, 7), Numbers(50, 8)};
    topic.producer().send_batch(1, texts);
    topic.producer().send_batch(1, numbers);
    auto const values = values_of(topic.replay());
    REQUIRE(values.size() == 4);
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(std::get<0>(values[i]) == texts[i]);
        CHECK(std::get<1>(values[2 + i]) == numbers[i]);
    }
}

TEMPLATE_TEST_CASE("a batch takes the values of an optional as they are", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<int, std::optional<Large>>("t");
    std::vector<Large> const sent{{{1, 2, 3, 4, 5, 6}}, {{7, 8, 9, 10, 11, 12}}};
    topic.producer().send_batch(1, sent);
    auto const values = values_of(topic.replay());
    REQUIRE(values.size() == 2);
    CHECK(values[0].value().numbers == sent[0].numbers);
    CHECK(values[1].value().numbers == sent[1].numbers);
}

TEMPLATE_TEST_CASE("send returns where the record went", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<int, int>("t", {.partitions = 3});
    auto producer = topic.producer();
    std::map<std::uint32_t, std::uint64_t> next;
    for (int i = 0; i < 100; ++i) {
        RecordMetadata const sent = producer.send(i, i, {.timestamp = Timestamp{1s} + i * 1s});
        CHECK(sent.offset == Offset{next[sent.partition]++});
        CHECK(sent.timestamp == Timestamp{1s} + i * 1s);
        auto const replay = topic.replay({.from = sent.offset, .partition = sent.partition});
        CHECK(replay.begin()->value() == i);
    }
    CHECK(next.size() == 3);
}

TEMPLATE_TEST_CASE("a time of any precision is a timestamp", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto producer = log.template topic<int, int>("t").producer();
    std::chrono::sys_seconds const seconds{1'700'000'000s};
    CHECK(producer.send(1, 1, {.timestamp = seconds}).timestamp == seconds);
    auto const now = std::chrono::system_clock::now();
    CHECK(producer.send(1, 1, {.timestamp = now}).timestamp == now);
    std::chrono::sys_days const day = std::chrono::year{2024} / 2 / 29;
    CHECK(producer.send(1, 1, {.timestamp = day}).timestamp == day);
}

// ---- which partition

TEMPLATE_TEST_CASE("a key keeps its partition and its order, whoever sends", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, int>("t", {.partitions = 5});
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 3; ++t) {
            threads.emplace_back([&, t] {
                auto producer = topic.producer();
                for (int i = 0; i < 300; ++i) producer.send(std::to_string(t), i);
            });
        }
    }
    for (int t = 0; t < 3; ++t) {
        std::string const key = std::to_string(t);
        int next = 0;
        for (auto const& record :
             topic.replay({.partition = partition_for_key(as_bytes(key), 5)})) {
            if (record.key() == key) CHECK(record.value() == next++);
        }
        CHECK(next == 300);
    }
}

TEMPLATE_TEST_CASE("records without a key stay together for a while and reach all partitions", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, int>("t", {.partitions = 3});
    auto producer = topic.producer();
    std::uint32_t last = producer.send(std::nullopt, 0).partition;
    int changes = 0;
    for (int i = 0; i < 2000; ++i) {
        auto const partition = producer.send(std::nullopt, i).partition;
        changes += partition != last ? 1 : 0;
        last = partition;
    }
    CHECK(changes < 20);
    for (std::uint32_t p = 0; p < 3; ++p) CHECK(topic.end_offset(p) > Offset{400});
}

TEMPLATE_TEST_CASE("a partition that is given is taken", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, int>("t", {.partitions = 4});
    auto producer = topic.producer(
        {.partitioner = [](std::optional<Bytes>, std::uint32_t) -> std::uint32_t { return 0; }});
    for (std::uint32_t p = 0; p < 4; ++p) {
        CHECK(producer.send("same", 1, {.partition = p}).partition == p);
        CHECK(producer.send(std::nullopt, 1, {.partition = p}).partition == p);
        CHECK(producer.send_batch("same", std::vector{1, 2}, {.partition = p}).partition == p);
        CHECK(topic.end_offset(p) == Offset{4});
    }
}

TEMPLATE_TEST_CASE("a partitioner of one's own sees the key's bytes or none", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, int>("t", {.partitions = 4});
    Texts seen;
    auto producer = topic.producer(
        {.partitioner = [&](std::optional<Bytes> key, std::uint32_t count) -> std::uint32_t {
            seen.emplace_back(key ? as_text(*key) : "(none)");
            CHECK(count == 4);
            if (!key) return 3;
            return key->empty() ? 2 : 9;
        }});
    CHECK(producer.send(std::nullopt, 1).partition == 3);
    CHECK(producer.send("", 1).partition == 2);
    CHECK(producer.send_batch("", std::vector{1}).partition == 2);
    auto const error = error_of([&] { producer.send("far", 1); });
    REQUIRE(error);
    CHECK(error->code() == Errc::invalid_argument);
    CHECK(contains(error->what(), "partition 9"));
    CHECK(seen == Texts{"(none)", "", "", "far"});
    CHECK(topic.end_offset(3) == Offset{1});
    auto copy = producer;
    CHECK(copy.send(std::nullopt, 1).partition == 3);
}

// ---- batches

TEMPLATE_TEST_CASE("a batch has consecutive offsets, one partition, one time, one set of headers",
                   "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, std::string>("t", {.partitions = 3});
    auto producer = topic.producer();
    producer.send("order-1", "before");
    Header const header{"source", as_bytes("till")};
    Texts const events{"ordered", "", "shipped"};
    auto const batch = producer.send_batch("order-1", events,
                                           {.timestamp = Timestamp{5s}, .headers = {&header, 1}});
    CHECK(batch.partition == partition_for_key(as_bytes("order-1"), 3));
    CHECK(batch.first == Offset{1});
    CHECK(batch.count == 3);
    CHECK(batch.timestamp == Timestamp{5s});
    Texts seen;
    for (auto const& record : topic.replay({.from = batch.first, .partition = batch.partition})) {
        CHECK(record.timestamp() == Timestamp{5s});
        CHECK(record.key() == "order-1");
        CHECK(as_text(record.header("source").value()) == "till");
        seen.emplace_back(record.value());
    }
    CHECK(seen == events);
}

TEMPLATE_TEST_CASE("a batch is any range that can be walked twice", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto texts = log.template topic<std::string, std::string>("texts").producer();
    CHECK(texts.send_batch("k", std::vector<std::string>{"a", "b"}).count == 2);
    CHECK(texts.send_batch("k", std::vector<char const*>{"c"}).count == 1);
    CHECK(texts.send_batch("k", std::array<std::string_view, 2>{"d", "e"}).count == 2);
    CHECK(texts.send_batch(std::nullopt, std::list<std::string>{"f"}).count == 1);
    CHECK(texts.send_batch("k", std::set<std::string>{"h", "g"}).count == 2);
    std::string const array[] = {"i", "j"};
    CHECK(texts.send_batch("k", array).count == 2);
    CHECK(texts.send_batch("k", std::span{array}).count == 2);
    CHECK(texts.send_batch("k", {"k", "l"}).count == 2);
    CHECK(texts.send_batch(std::nullopt, {"m"}).count == 1);
    auto const shout = [](std::string const& text) { return text + "!"; };
    CHECK(texts.send_batch("k", array | std::views::transform(shout)).count == 2);
    Texts seen;
    for (auto const& value :
         values_of(log.template topic<std::string, std::string>("texts").replay())) {
        seen.push_back(value);
    }
    CHECK(seen == Texts{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "i", "j", "k", "l", "m",
                        "i!", "j!"});

    auto flags = log.template topic<int, bool>("flags");
    flags.producer().send_batch(1, std::vector<bool>{true, false, true});
    auto const sent = values_of(flags.replay());
    CHECK(std::vector<bool>(sent.begin(), sent.end()) == std::vector<bool>{true, false, true});

    auto optional = log.template topic<int, std::optional<std::string>>("optional");
    optional.producer().send_batch(1, std::vector<std::optional<std::string>>{"x", std::nullopt});
    auto const replay = optional.replay();
    CHECK(replay.begin()->value() == "x");
    CHECK((++replay.begin())->value() == std::nullopt);
}

TEMPLATE_TEST_CASE("an empty batch sends nothing", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, std::string>("t");
    auto producer = topic.producer();
    producer.send("k", "v");
    auto const batch = producer.send_batch("k", Texts{});
    CHECK(batch.count == 0);
    CHECK(batch.first == Offset{1});
    CHECK(topic.end_offset() == Offset{1});
    CHECK(producer.send_batch("k", Texts{"one"}).first == Offset{1});
}

TEMPLATE_TEST_CASE("batches stay whole across the ends of segments", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = 64u << 10});
    auto topic = log.template topic<int, std::string>("t");
    auto producer = topic.producer();
    std::uint64_t next = 0;
    for (std::size_t size = 1; size <= 60; ++size) {
        Texts const values(size, std::string(100, static_cast<char>('a' + size % 26)));
        auto const batch = producer.send_batch(1, values);
        CHECK(batch.first == Offset{next});
        next += size;
        CHECK(topic.end_offset() == Offset{next});
    }
    std::uint64_t count = 0;
    for (auto const& record : topic.replay()) CHECK(record.offset() == Offset{count++});
    CHECK(count == next);
}

TEMPLATE_TEST_CASE("where one value of a batch cannot be encoded nothing is sent", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<int, Scripted>("t");
    auto producer = topic.producer();
    std::vector<Scripted> values(5, Scripted{"fine"});
    values[3].meanwhile = [](Scripted const&) { throw std::runtime_error{"no"}; };
    CHECK_THROWS_AS(producer.send_batch(1, values), std::runtime_error);
    CHECK_THROWS_AS(producer.send(1, values[3]), std::runtime_error);
    CHECK(topic.end_offset() == Offset{0});
    values.resize(3);
    CHECK(producer.send_batch(1, values).first == Offset{0});
}

TEMPLATE_TEST_CASE("while a batch is encoded nothing is claimed", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<int, Scripted>("t");
    auto side = log.template topic<int, int>("side");
    static std::vector<std::uint64_t> ends;
    static BasicTopic<int, Scripted, TestType>* the_topic;
    static BasicTopic<int, int, TestType>* the_side;
    ends.clear();
    the_topic = &topic;
    the_side = &side;
    // Waits for every claim that stands: for ever, if one of them were its own.
    Scripted const value{"text", [](Scripted const&) {
                             ends.push_back(the_topic->end_offset().value());
                             the_side->producer().send(1, 1);
                         }};
    topic.producer().send_batch(1, std::vector{value, value, value});
    topic.producer().send(1, value);
    CHECK(ends == std::vector<std::uint64_t>{0, 0, 0, 3});
    CHECK(values_of(topic.replay()) == Texts(4, "text"));
    CHECK(side.end_offset() == Offset{4});
}

TEMPLATE_TEST_CASE("a range that changes between its two walks sends nothing and harms nothing", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<int, std::string>("t");
    auto producer = topic.producer();
    int walk = 0;
    auto const growing = std::views::iota(0, 3) | std::views::transform([&](int) {
                             return std::string(static_cast<std::size_t>(8 * ++walk), 'x');
                         });
    CHECK(code_of([&] { producer.send_batch(1, growing); }) == Errc::invalid_argument);
    producer.send(1, "after");
    CHECK(values_of(topic.replay()) == Texts{"after"});
    CHECK(topic.consumer().poll(0ns).size() == 1);
}

// ---- limits

TEMPLATE_TEST_CASE("what is too large is refused before anything is claimed", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = 64u << 10});
    auto topic = log.template topic<std::string, std::string>("t");
    auto producer = topic.producer();
    std::size_t const most = (64u << 10) / 8 - 24;  // the frame's header is part of the limit
    CHECK(producer.send({}, std::string(most, 'x')).offset == Offset{0});
    auto const check = [&](auto const& call) {
        auto const error = error_of(call);
        REQUIRE(error);
        CHECK(error->code() == Errc::record_too_large);
        CHECK(contains(error->what(), "limit"));
        CHECK(topic.end_offset() == Offset{1});
    };
    check([&] { producer.send({}, std::string(most + 1, 'x')); });
    check([&] { producer.send(std::string(most, 'k'), "x"); });
    check([&] { producer.send(std::string(65'536, 'k'), "x"); });
    check([&] { producer.send_batch({}, Texts(3, std::string(most / 2, 'x'))); });
    check([&] { producer.send_batch({}, Texts{"small", std::string(most + 1, 'x')}); });
    std::string const huge(most, 'h');
    Header const header{"h", as_bytes(huge)};
    check([&] { producer.send("k", "v", {.headers = {&header, 1}}); });
    CHECK(producer.send({}, std::string(most, 'y')).offset == Offset{1});
}

TEMPLATE_TEST_CASE("keys have at most 65,535 bytes, and so have names of headers", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, std::string>("t");
    auto producer = topic.producer();
    CHECK(producer.send(std::string(65'535, 'k'), "v").offset == Offset{0});
    CHECK(code_of([&] { producer.send(std::string(65'536, 'k'), "v"); }) == Errc::record_too_large);
    std::string const name(65'536, 'n');
    Header const header{name, {}};
    CHECK(code_of([&] {
              producer.send("k", "v", {.headers = {&header, 1}});
          }) == Errc::record_too_large);
    CHECK((*topic.replay().begin()).key().size() == 65'535);
}

TEMPLATE_TEST_CASE("records are at most 16 MiB, however large the segments", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = 256u << 20});
    auto topic = log.template topic<int, std::string>("t", {.sync = Sync::never});
    auto producer = topic.producer();
    std::size_t const most = (16u << 20) - 24 - 4;  // header, key
    CHECK(producer.send(1, std::string(most, 'x')).offset == Offset{0});
    CHECK(code_of([&] { producer.send(1, std::string(most + 1, 'x')); }) == Errc::record_too_large);
    CHECK((*topic.replay().begin()).value().size() == most);
}

// ---- codecs that misbehave

TEMPLATE_TEST_CASE("a codec that fails inside its claim leaves a void and stops nobody", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<int, InPlace>("t");
    auto producer = topic.producer();
    producer.send(1, InPlace{"first"});
    CHECK_THROWS_AS(
        producer.send(1, InPlace{"never", [] { throw std::runtime_error{"broken promise"}; }}),
        std::runtime_error);
    CHECK(producer.send(1, InPlace{"third"}).offset == Offset{2});
    CHECK(values_of(topic.replay()) == Texts{"first", "third"});
    CHECK(topic.end_offset() == Offset{3});
}

TEMPLATE_TEST_CASE("a batch that fails inside its claim leaves one void for all of it", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<int, InPlace>("t");
    auto consumer = topic.consumer();
    std::vector<InPlace> values(5, InPlace{"fine"});
    values[3].meanwhile = [] { throw std::runtime_error{"broken promise"}; };
    CHECK_THROWS_AS(topic.producer().send_batch(1, values), std::runtime_error);
    CHECK(topic.end_offset() == Offset{5});
    CHECK(values_of(topic.replay()).empty());
    CHECK(consumer.poll(0ns).empty());
    CHECK(consumer.position(0) == Offset{5});
    CHECK(consumer.lag() == 0);
    CHECK(topic.producer().send_batch(1, {InPlace{"a"}, InPlace{"b"}}).first == Offset{5});
    CHECK(values_of(topic.replay()) == Texts{"a", "b"});
    log.close();
    auto again = world.open();
    CHECK(again.recovery().was_clean());
    CHECK(values_of(again.template topic<int, InPlace>("t").replay()) == Texts{"a", "b"});
}

TEMPLATE_TEST_CASE("calls into the log from inside a claim are refused", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<int, InPlace>("t");
    static BasicLog<TestType>* the_log;
    static BasicTopic<int, InPlace, TestType>* the_topic;
    static std::vector<Errc> codes;
    the_log = &log;
    the_topic = &topic;
    codes.clear();
    InPlace const nosy{"nosy", [] {
                           codes = {
                               code_of([] { the_topic->producer().send(1, InPlace{"x"}); }),
                               code_of([] { (void)the_topic->end_offset(); }),
                               code_of([] { (void)the_topic->replay(); }),
                               code_of([] { (void)the_topic->consumer(); }),
                               code_of([] { the_topic->flush(); }),
                               code_of([] { the_log->flush(); }),
                               code_of([] { the_log->close(); }),
                               code_of([] { (void)the_log->template topic<int, int>("u"); }),
                           };
                       }};
    topic.producer().send(1, nosy);
    CHECK(codes == std::vector<Errc>(8, Errc::invalid_argument));
    CHECK(values_of(topic.replay()) == Texts{"nosy"});
    CHECK(log.topics() == Texts{"t"});
}

TEST_CASE("a codec that blocks beforehand stops no other producer") {
    World<NativePlatform> world;
    auto log = world.open();
    auto topic = log.topic<int, Scripted>("t");
    static std::atomic<bool> is_encoding;
    static std::atomic<bool> may_go_on;
    is_encoding = false;
    may_go_on = false;
    Scripted const slow{"slow", [](Scripted const&) {
                            is_encoding = true;
                            while (!may_go_on) std::this_thread::yield();
                        }};
    std::jthread sender{[&] { topic.producer().send_batch(1, std::vector{slow, slow}); }};
    while (!is_encoding) std::this_thread::yield();
    for (int i = 0; i < 100; ++i) topic.producer().send(1, Scripted{"quick"});
    CHECK(values_of(topic.replay()).size() == 100);
    CHECK(topic.consumer().poll(0ns).size() == 100);
    may_go_on = true;
    sender.join();
    CHECK(topic.end_offset() == Offset{102});
}

// ---- when the disk does not do its part

TEST_CASE("a full disk is an error from send, with nothing claimed") {
    World<MemoryPlatform> world;
    auto& machine = world.machine.platform;
    auto log = world.open({.segment_bytes = 64u << 10});
    auto topic = log.topic<int, std::string>("t");
    auto producer = topic.producer();
    producer.send(1, "first");
    machine.set_free_space(1000);
    std::uint64_t sent = 1;
    std::optional<Error> error;
    while (!error) {
        error = error_of([&] { producer.send(1, std::string(1000, 'x')); });
        if (!error) ++sent;
    }
    CHECK(error->code() == Errc::no_space);
    CHECK(error->system_code() == ENOSPC);
    CHECK(contains(error->path(), "topics/t/0"));
    CHECK(topic.end_offset() == Offset{sent});
    CHECK(code_of([&] { producer.send(1, "again"); }) == Errc::no_space);
    CHECK(values_of(topic.replay()).size() == sent);
    machine.clear_free_space();
    CHECK(producer.send(1, "room").offset == Offset{sent});
    CHECK(values_of(topic.replay()).back() == "room");
}

TEST_CASE("a limit of the process on the size of files is a full disk, not a signal") {
    World<NativePlatform> world;
    std::vector<Event> events;
    auto log = world.open({.segment_bytes = 128u << 10, .keeper = false});
    auto topic = log.topic<int, std::string>("t");
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    rlimit const low{.rlim_cur = 64u << 10, .rlim_max = before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &low) == 0);
    auto const error = error_of([&] { topic.producer().send(1, "x"); });
    ::setrlimit(RLIMIT_FSIZE, &before);
    REQUIRE(error);
    CHECK(error->code() == Errc::no_space);
    CHECK(topic.producer().send(1, "x").offset == Offset{0});
}

TEST_CASE("a sync that fails is told to its sender, and the next one goes on in a new file") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto topic = log.topic<int, std::string>("t", {.sync = Sync::always});
    auto producer = topic.producer();
    producer.send(1, "durable");
    world.machine.platform.fail_next(Operation::sync, EIO);
    auto const error = error_of([&] { producer.send(1, "open"); });
    REQUIRE(error);
    CHECK(error->code() == Errc::sync_failed);
    CHECK(error->system_code() == EIO);
    CHECK(contains(error->path(), "00000001.seg"));
    CHECK(topic.durable_offset() == Offset{1});
    CHECK(producer.send(1, "later").offset == Offset{2});
    CHECK(topic.durable_offset() == Offset{3});
    CHECK(values_of(topic.replay()) == std::vector<std::string>{"durable", "open", "later"});
    auto lost = world.machine.platform.after_power_loss();
    MemoryLog found{world.path, {}, lost};
    CHECK(values_of(found.topic<int, std::string>("t").replay()) ==
          std::vector<std::string>{"durable", "open", "later"});
}

TEST_CASE("an input or output error before the first claim is told and can pass") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto topic = log.topic<int, std::string>("t");
    world.machine.platform.fail_next(Operation::create, EIO);
    auto const error = error_of([&] { topic.producer().send(1, "x"); });
    REQUIRE(error);
    CHECK(error->code() == Errc::io_error);
    CHECK(error->system_code() == EIO);
    CHECK(topic.producer().send(1, "x").offset == Offset{0});
}

// ---- one sees what one has sent

TEST_CASE("every thread sees all that any send had returned before") {
    World<NativePlatform> world;
    auto log = world.open({.segment_bytes = 64u << 10});
    auto topic = log.topic<std::uint32_t, std::uint64_t>("t");
    std::atomic<std::uint64_t> returned{0};
    std::atomic<bool> is_over{false};
    std::atomic<int> failures{0};
    {
        std::vector<std::jthread> senders;
        for (std::uint32_t t = 0; t < 3; ++t) {
            senders.emplace_back([&, t] {
                auto producer = topic.producer();
                for (std::uint64_t i = 0; i < 3000; ++i) {
                    auto const sent = producer.send(t, i);
                    std::uint64_t const end = sent.offset.value() + 1;
                    std::uint64_t seen = returned.load();
                    while (seen < end && !returned.compare_exchange_weak(seen, end)) {
                    }
                }
            });
        }
        std::jthread const reader{[&] {
            auto consumer = topic.consumer();
            while (!is_over) {
                std::uint64_t const before = returned.load();
                if (topic.end_offset().value() < before) ++failures;
                if (before == 0) continue;
                auto const last = topic.replay({.from = Offset{before - 1}});
                if (last.begin() == last.end()) ++failures;
                auto cursor = topic.partition(0).cursor(Offset{before - 1});
                if (!cursor.next()) ++failures;
                while (consumer.position(0).value() < before) {
                    if (consumer.poll(0ns, 100'000).empty()) {
                        ++failures;
                        break;
                    }
                }
                topic.flush();
                if (topic.durable_offset().value() < before) ++failures;
            }
        }};
        senders.clear();
        is_over = true;
    }
    CHECK(failures == 0);
    CHECK(topic.end_offset() == Offset{9000});
}
