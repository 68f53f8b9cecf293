// SPDX-License-Identifier: MIT
#include <annals/record.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;

namespace {

/// The only record of a topic.
template <class Topic>
auto only_record(Topic const& topic) {
    auto const replay = topic.replay();
    return *replay.begin();
}

struct Point {
    std::int32_t x;
    std::int32_t y;
};

}  // namespace

TEMPLATE_TEST_CASE("a record gives back what was sent", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, Point>("t", {.partitions = 2});
    auto const sent = topic.producer().send("origin", Point{3, -4}, {.partition = 1});
    auto const record = only_record(topic);
    CHECK(record.offset() == sent.offset);
    CHECK(record.partition() == 1);
    CHECK(record.timestamp() == sent.timestamp);
    CHECK(record.has_key());
    CHECK(record.has_value());
    CHECK(record.key() == "origin");
    CHECK(record.value().x == 3);
    CHECK(record.value().y == -4);
    RecordView const bytes = record;
    CHECK(as_text(bytes.key()) == "origin");
    CHECK(bytes.value().size() == 8);
}

TEST_CASE("keys and values come as what the codec decodes") {
    static_assert(std::is_same_v<decltype(Record<std::string, int>{}.key()), std::string_view>);
    static_assert(std::is_same_v<decltype(Record<std::string, int>{}.value()), int>);
    static_assert(std::is_same_v<decltype(Record<Bytes, Point>{}.key()), Bytes>);
    static_assert(std::is_same_v<decltype(Record<Bytes, Point>{}.value()), Point>);
    static_assert(
        std::is_same_v<decltype(Record<Bytes, std::vector<int>>{}.value()), std::vector<int>>);
    static_assert(std::is_same_v<decltype(Record<std::optional<std::string>, int>{}.key()),
                                 std::optional<std::string_view>>);
    static_assert(
        std::is_same_v<decltype(Record<int, std::optional<int>>{}.value()), std::optional<int>>);
    SUCCEED("checked when compiling");
}

TEMPLATE_TEST_CASE("what is absent is not empty, and asking for it is told", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, std::string>("t");
    auto producer = topic.producer();
    producer.send("", "");
    producer.send(std::nullopt, "v");
    producer.send("k", std::nullopt);
    producer.send(std::nullopt, std::nullopt);
    std::vector<Record<std::string, std::string>> all;
    for (auto const& record : topic.replay()) all.push_back(record);
    REQUIRE(all.size() == 4);
    CHECK((all[0].has_key() && all[0].has_value()));
    CHECK((all[0].key().empty() && all[0].value().empty()));
    CHECK((!all[1].has_key() && all[1].value() == "v"));
    CHECK((all[2].key() == "k" && !all[2].has_value()));
    CHECK((!all[3].has_key() && !all[3].has_value()));

    auto const no_key = error_of([&] { (void)all[1].key(); });
    REQUIRE(no_key);
    CHECK(no_key->code() == Errc::no_value);
    CHECK(contains(no_key->what(), "offset 1 of partition 0 has no key"));
    auto const no_value = error_of([&] { (void)all[2].value(); });
    REQUIRE(no_value);
    CHECK(no_value->code() == Errc::no_value);
    CHECK(contains(no_value->what(), "no value"));
    RecordView const bytes = all[3];
    CHECK(code_of([&] { (void)bytes.key(); }) == Errc::no_value);
    CHECK(code_of([&] { (void)bytes.value(); }) == Errc::no_value);
}

TEMPLATE_TEST_CASE("where the type is an optional, nullopt is the absent one", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::optional<std::string>, std::optional<std::int32_t>>("t");
    auto producer = topic.producer();
    producer.send("k", 7);
    producer.send(std::nullopt, 8);
    producer.send(std::optional<std::string>{"o"}, std::optional<std::int32_t>{});
    producer.send(std::optional<std::string_view>{}, std::nullopt);
    std::vector<std::optional<std::string>> keys;
    std::vector<std::optional<std::int32_t>> values;
    for (auto const& record : topic.replay()) {
        keys.emplace_back(record.key());
        values.push_back(record.value());
        CHECK(record.has_key() == record.key().has_value());
        CHECK(record.has_value() == record.value().has_value());
    }
    CHECK(keys == std::vector<std::optional<std::string>>{"k", std::nullopt, "o", std::nullopt});
    CHECK(values == std::vector<std::optional<std::int32_t>>{7, 8, std::nullopt, std::nullopt});
}

TEMPLATE_TEST_CASE("headers come back by name and in order", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, std::string>("t");
    std::string const longer(70'000, 'h');
    std::vector<Header> const headers{{"trace", as_bytes("1")},
                                      {"empty", {}},
                                      {"", as_bytes("no name")},
                                      {"trace", as_bytes("2")},
                                      {std::string_view{longer}.substr(0, 65'535), {}},
                                      {"long", as_bytes(longer)}};
    topic.producer().send("k", "v", {.headers = headers});
    auto const record = only_record(topic);
    CHECK(record.key() == "k");
    CHECK(record.value() == "v");
    REQUIRE(record.header("trace"));
    CHECK(as_text(*record.header("trace")) == "1");
    REQUIRE(record.header("empty"));
    CHECK(record.header("empty")->empty());
    CHECK(as_text(record.header("").value()) == "no name");
    CHECK(as_text(record.header("long").value()) == longer);
    CHECK_FALSE(record.header("none"));
    CHECK_FALSE(record.header("trac"));
    std::size_t count = 0;
    record.for_each_header([&](Header const& header) {
        CHECK(header.name == headers[count].name);
        CHECK(as_text(header.value) == as_text(headers[count].value));
        ++count;
    });
    CHECK(count == headers.size());

    topic.producer().send("k", "v");
    auto const plain = topic.replay({.from = Offset{1}});
    plain.begin()->for_each_header([&](Header const&) { ++count; });
    CHECK(count == headers.size());
    CHECK_FALSE(plain.begin()->header("trace"));
}

TEMPLATE_TEST_CASE("headers stay beside an absent key and value", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, std::string>("t");
    Header const header{"why", as_bytes("expired")};
    topic.producer().send(std::nullopt, std::nullopt, {.headers = {&header, 1}});
    auto const record = only_record(topic);
    CHECK_FALSE(record.has_key());
    CHECK_FALSE(record.has_value());
    CHECK(as_text(record.header("why").value()) == "expired");
}

TEMPLATE_TEST_CASE("bytes that the codec cannot read are told when they are asked for", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, std::int32_t>("t");
    auto partition = topic.partition(0);
    partition.append(as_bytes("k"), as_bytes("abc"));
    topic.producer().send("k", 5);
    auto const replay = topic.replay();
    auto it = replay.begin();
    CHECK(it->key() == "k");
    auto const error = error_of([&] { (void)it->value(); });
    REQUIRE(error);
    CHECK(error->code() == Errc::decode_failed);
    CHECK(contains(error->what(), "i32"));
    ++it;
    CHECK(it->value() == 5);
}

TEMPLATE_TEST_CASE("a copy of a record keeps its views, whatever goes", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = std::make_unique<BasicLog<TestType>>(world.open({.segment_bytes = 64u << 10}));
    auto topic = std::make_unique<BasicTopic<std::string, std::string, TestType>>(
        log->template topic<std::string, std::string>("t"));
    auto producer = topic->producer();
    for (int i = 0; i < 300; ++i) producer.send(std::to_string(i), std::string(1000, 'x'));

    std::vector<Record<std::string, std::string>> kept;
    std::vector<std::string_view> keys;
    for (auto const& record : topic->replay()) {
        if (record.offset().value() % 50 != 0) continue;
        kept.push_back(record);
        keys.push_back(kept.back().key());
    }
    topic.reset();
    log->remove_topic("t");
    log.reset();
    REQUIRE(kept.size() == 6);
    for (std::size_t i = 0; i < kept.size(); ++i) {
        CHECK(keys[i] == std::to_string(50 * i));
        CHECK(kept[i].key().data() == keys[i].data());
        CHECK(kept[i].value() == std::string(1000, 'x'));
        auto const moved = std::move(kept[i]);
        CHECK(moved.key().data() == keys[i].data());
    }
}

TEST_CASE("a record that was read from nowhere has nothing") {
    Record<std::string, int> const none;
    CHECK_FALSE(none.has_key());
    CHECK_FALSE(none.has_value());
    CHECK_FALSE(none.header("x"));
    CHECK(none.offset() == Offset{0});
    CHECK(code_of([&] { (void)none.key(); }) == Errc::no_value);
}

TEMPLATE_TEST_CASE("timestamps of any sign and size come back", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<int, int>("t");
    using namespace std::chrono_literals;
    std::vector<Timestamp> const stamps{
        Timestamp{0ns}, Timestamp{-1ns},       Timestamp{1ns},        Timestamp::max(),
        Timestamp{-1h}, Timestamp{1'000'000h}, Timestamp::min() + 1ns};
    for (auto const stamp : stamps) {
        CHECK(topic.producer().send(1, 1, {.timestamp = stamp}).timestamp == stamp);
    }
    std::vector<Timestamp> seen;
    for (auto const& record : topic.replay()) seen.push_back(record.timestamp());
    CHECK(seen == stamps);
}
