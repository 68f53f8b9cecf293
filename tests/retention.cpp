// SPDX-License-Identifier: MIT
// How long a topic keeps its records, as its users see it.
#include <annals/annals.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "numbered.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

template <class P>
format::Retention stored(World<P>& world) {
    auto const file = world.directory("topics", "t").open_file("topic.meta", Access::read);
    return format::decode_topic_meta(as_bytes(content(file)), "topic.meta").retention;
}

}  // namespace

TEMPLATE_TEST_CASE("a limit that is given is stored, and holds until another is given", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto const open = [&](TopicOptions const& options) {
        (void)log.template topic<Bytes, Bytes>("t", options);
        return stored(world);
    };
    CHECK(open({}) == format::Retention{});
    CHECK_FALSE(open({}).is_limited());
    CHECK(open({.retention_age = 8h}) == format::Retention{.age = 8h});
    CHECK(open({.retention_bytes = 1'000'000}) == format::Retention{.age = 8h, .bytes = 1'000'000});
    CHECK(open({}).effective_segment_age() == 2h);
    CHECK(open({.retention_records = 5, .segment_age = 1h}) ==
          format::Retention{.age = 8h, .bytes = 1'000'000, .records = 5, .segment_age = 1h});
    CHECK(open({.retention_age = std::chrono::nanoseconds::max(),
                .retention_bytes = unlimited,
                .retention_records = unlimited})
              .effective_segment_age() == 1h);
}

TEST_CASE("a limit of nothing is refused") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto const refusal = [&](TopicOptions const& options) {
        return code_of([&] { (void)log.topic<Bytes, Bytes>("t", options); });
    };
    CHECK(refusal({.retention_age = 0ns}) == Errc::invalid_argument);
    CHECK(refusal({.retention_age = -1ns}) == Errc::invalid_argument);
    CHECK(refusal({.retention_bytes = 0}) == Errc::invalid_argument);
    CHECK(refusal({.retention_records = 0}) == Errc::invalid_argument);
    CHECK(refusal({.segment_age = 0ns}) == Errc::invalid_argument);
    CHECK(log.topics().empty());
}

TEMPLATE_TEST_CASE("records are deleted before an offset or a time", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = small.segment_bytes, .keeper = false});
    auto const topic = log.template topic<std::string, std::string>("t");
    send(topic, 20, {.timestamp = Timestamp{10s}});
    send(topic, 20, {.timestamp = Timestamp{5s}});
    send(topic, 10, {.timestamp = Timestamp{20s}});
    auto const files = segments_in(world);
    CHECK(topic.delete_records_before(0, Offset{10}) == Offset{10});
    CHECK(topic.beginning_offset() == Offset{10});
    CHECK(segments_in(world) == files - 1);
    CHECK(numbers_of(topic.replay()) == numbers(10, 50));
    CHECK(numbers_of(topic.replay({.from = Offset{3}, .until = Offset{12}})) == numbers(10, 12));
    CHECK(topic.delete_records_before(0, Offset{4}) == Offset{10});
    // By time, too, only what is left counts.
    CHECK(topic.delete_records_before(0, Timestamp{10s}) == Offset{10});
    CHECK(topic.delete_records_before(0, Offset{25}) == Offset{25});
    CHECK(numbers_of(topic.replay({.from = Timestamp{5s}})) == numbers(25, 50));
    CHECK(numbers_of(topic.replay({.from = Timestamp{6s}})) == numbers(40, 50));
    CHECK(topic.delete_records_before(0, Timestamp{20s}) == Offset{40});
    CHECK(topic.delete_records_before(0, Timestamp{21s}) == Offset{50});
    CHECK(topic.delete_records_before(0, Offset{1'000}) == Offset{50});
    CHECK(numbers_of(topic.replay()).empty());
    send(topic, 1);
    CHECK(numbers_of(topic.replay()) == numbers(50, 51));
    log.close();
    auto next = world.open(small);
    auto const again = next.template topic<std::string, std::string>("t");
    CHECK(again.beginning_offset() == Offset{50});
    CHECK(numbers_of(again.replay()) == numbers(50, 51));
}

TEST_CASE("records are deleted by the writer, while its log is open, in a partition there is") {
    World<MemoryPlatform> world;
    auto log = world.open(small);
    auto const topic = log.topic<std::string, std::string>("t");
    send(topic, 20);
    auto const refusal = [](auto const& from, std::uint32_t partition = 0) {
        return code_of([&] { (void)from.delete_records_before(partition, Offset{10}); });
    };
    CHECK(refusal(topic, 1) == Errc::invalid_argument);
    {
        auto reader = world.attach();
        CHECK(refusal(reader.topic<std::string, std::string>("t")) == Errc::read_only);
    }
    log.close();
    CHECK(refusal(topic) == Errc::closed);
    CHECK(numbers_of(topic.replay()) == numbers(0, 20));
}

TEMPLATE_TEST_CASE("who stands before the beginning is told, with what there is, until a seek", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open(small);
    auto const topic = log.template topic<std::string, std::string>("t");
    send(topic, 50);
    {
        auto consumer = topic.consumer({.group = "g"});
        (void)consumer.poll(0ns, 5);
        consumer.commit();
    }
    auto consumer = topic.consumer({.group = "g"});
    auto cursor = topic.partition(0).cursor();
    (void)topic.delete_records_before(0, Offset{30});
    auto const expect_told = [](auto call) {
        auto const error = error_of(call);
        REQUIRE(error);
        CHECK(error->code() == Errc::offset_out_of_range);
        CHECK(error->partition() == 0);
        REQUIRE(error->valid_range());
        CHECK(error->valid_range()->first == 30);
        CHECK(error->valid_range()->end == 50);
    };
    for (int i = 0; i < 3; ++i) {
        expect_told([&] { (void)consumer.poll(0ns); });
        expect_told([&] { (void)cursor.next(); });
    }
    CHECK(consumer.position(0) == Offset{5});
    consumer.seek_to_beginning();
    CHECK(numbers_of(consumer.poll(0ns, 3)) == numbers(30, 33));
    // One that stands in the midst of what goes, too.
    auto other = topic.consumer();
    CHECK(numbers_of(other.poll(0ns, 2)) == numbers(30, 32));
    (void)topic.delete_records_before(0, Offset{33});
    CHECK(code_of([&] { (void)other.poll(0ns); }) == Errc::offset_out_of_range);
    CHECK(numbers_of(consumer.poll(0ns)) == numbers(33, 50));
}

TEMPLATE_TEST_CASE("what a replay covers stays until it is gone, and then the files go", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = small.segment_bytes, .keeper = false});
    auto const topic = log.template topic<std::string, std::string>("t");
    send(topic, 50);
    auto const files = segments_in(world);
    std::optional<Record<std::string, std::string>> kept;
    {
        auto const replay = topic.replay({.from = Offset{10}, .until = Offset{30}});
        auto it = replay.begin();
        ++it;
        CHECK(topic.delete_records_before(0, Offset{45}) == Offset{45});
        CHECK(segments_in(world) == files - 2);  // the first and the sixth
        std::vector<std::uint64_t> rest;
        for (; it != replay.end(); ++it) rest.push_back(number_of(*it));
        CHECK(rest == numbers(11, 30));
        CHECK(numbers_of(replay) == numbers(10, 30));
        kept = *replay.begin();
    }
    CHECK(numbers_of(topic.replay()) == numbers(45, 50));
    CHECK(topic.delete_records_before(0, Offset{45}) == Offset{45});
    CHECK(segments_in(world) == files - 6);
    CHECK(number_of(*kept) == 10);  // and records pin what they show
}

TEST_CASE("without a keeper whoever calls removes what is due") {
    World<MemoryPlatform> world;
    auto log = world.open(small);
    auto const topic =
        log.topic<std::string, std::string>("t", {.sync = Sync::never, .retention_age = 1h});
    send(topic, 10);
    world.machine.platform.advance(2h);
    auto consumer = topic.consumer();
    consumer.seek_to_end();
    (void)consumer.poll(0ns);
    world.machine.platform.advance(5s);
    (void)consumer.poll(0ns);
    CHECK(topic.beginning_offset() == Offset{10});
    CHECK(topic.end_offset() == Offset{10});
}

TEMPLATE_TEST_CASE("a cursor in the midst of what is removed is told at the end of its segment", "",
                   NativePlatform, MemoryPlatform) {
    bool const is_attached = GENERATE(false, true);
    bool const is_refreshed = GENERATE(false, true);
    unsigned const removed = GENERATE(2u, 5u);  // segments
    World<TestType> world;
    auto log = world.open(small);
    auto const written = log.template topic<std::string, std::string>("t", {.sync = Sync::never});
    send(written, 50);
    written.flush();
    auto reader = world.attach();
    auto const topic = is_attached ? reader.template topic<std::string, std::string>("t") : written;
    auto cursor = topic.partition(0).cursor();
    REQUIRE(cursor.next());
    (void)written.delete_records_before(0, Offset{7 * removed + 1});
    if (is_refreshed) CHECK(topic.beginning_offset() == Offset{7 * removed + 1});
    std::uint64_t next = 1;
    auto const error = error_of([&] {
        while (auto const record = cursor.next()) CHECK(record->offset() == Offset{next++});
    });
    REQUIRE(error);
    CHECK(error->code() == Errc::offset_out_of_range);
    REQUIRE(error->valid_range());
    CHECK(error->valid_range()->first == 7 * removed + 1);
    CHECK(error->valid_range()->end == 50);
    CHECK(next % 7 == 0);
}
