// SPDX-License-Identifier: MIT
// Damage that comes while a writer lives: it is told to him and to whoever reads beside him, and
// never taken for the end of what is published.
#include <chrono>
#include <cstddef>
#include <string>

#include "catch.hpp"
#include "damage/small_log.hpp"
#include "numbered.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

/// A writer, and a reader that has read two durable records and then goes on.
struct Beside {
    MemoryPlatform machine{};
    MemoryLog writer{small_log_path, {.segment_bytes = small_segment}, machine};
    BasicTopic<std::string, std::string, MemoryPlatform> topic =
        writer.topic<std::string, std::string>("t", {.sync = Sync::never});
    MemoryLog attached{small_log_path, {.read_only = true}, machine};
    BasicTopic<std::string, std::string, MemoryPlatform> read =
        attached.topic<std::string, std::string>("t");
    BasicCursor<MemoryPlatform> cursor = read.partition(0).cursor();
    std::uint64_t count = 0;  // that were read

    Beside() {
        send(2);
        writer.flush();
        CHECK_FALSE(read_on());
        CHECK(count == 2);
    }
    void send(int records) {
        for (int i = 0; i < records; ++i) topic.producer().send("k", std::string(7'000, 'v'));
    }
    /// To the end, or to an error.
    std::optional<Error> read_on() {
        return error_of([&] {
            while (cursor.next()) ++count;
        });
    }
    void require_damage_in(std::uint64_t segment) {
        auto const error = read_on();
        REQUIRE(error);
        CHECK(error->code() == Errc::corrupt);
        CHECK(error->segment() == segment);
        CHECK(error->place());
    }
};

/// Zeros, which look like what nobody has written yet, over the header of a frame of a segment.
void lose_header(MemoryPlatform const& machine, std::string const& path, unsigned number) {
    auto const bytes = files_of(machine).at(path);
    std::uint64_t place = format::first_frame_place;
    for (unsigned i = 0; i < number; ++i) {
        format::FrameWord const word{
            annals::detail::load<std::uint64_t>(as_bytes(bytes).data() + place)};
        place += format::frame_extent(word.length());
    }
    patch(machine, path, place, std::string(format::frame_header_bytes, '\0'));
}

std::string const first_segment = "topics/t/0/00000001.seg";

}  // namespace

TEST_CASE("a reader that was there before is told of damage among what was flushed") {
    Beside log;
    log.send(4);
    log.writer.flush();
    unsigned const lost = GENERATE(2u, 3u, 5u);
    lose_header(log.machine, first_segment, lost);
    log.require_damage_in(1);
    CHECK(log.count == lost);
}

TEST_CASE("a reader that was there before is told of damage before a segment that was flushed") {
    Beside log;
    log.send(12);
    log.writer.flush();
    REQUIRE(directory_of(log.machine, "topics/t/0").find_file("00000002.seg", Access::read));
    unsigned const lost = GENERATE(2u, 5u, 7u);
    lose_header(log.machine, first_segment, lost);
    log.require_damage_in(1);
    CHECK(log.count == lost);
}

TEST_CASE("a damaged time that was flushed is told to whoever looks for one") {
    Beside log;
    log.send(4);
    log.writer.flush();
    lose_header(log.machine, first_segment, 3);
    Bound const never{Timestamp{std::chrono::hours{24 * 365 * 200}}};
    auto const error = error_of([&] { (void)log.read.replay({.from = never}).begin(); });
    REQUIRE(error);
    CHECK(error->code() == Errc::corrupt);
}

TEST_CASE("a header that was lost among what was not flushed looks like an open claim, and ends") {
    Beside log;
    log.send(3);
    auto const before = files_of(log.machine).at(first_segment);
    lose_header(log.machine, first_segment, 3);
    CHECK_FALSE(log.read_on());
    CHECK(log.count == 3);
    patch(log.machine, first_segment, format::first_frame_place,
          before.substr(format::first_frame_place));
    CHECK_FALSE(log.read_on());
    CHECK(log.count == 5);
}

TEMPLATE_TEST_CASE("damage among what was never flushed is told to whoever reads beside the writer",
                   "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = 64u << 10});
    auto topic = log.template topic<std::string, std::string>("t", {.sync = Sync::never});
    for (int i = 0; i < 5; ++i) topic.producer().send("k", "value" + std::to_string(i));
    auto file = world.directory("topics", "t", "0").open_file("00000001.seg", Access::write);
    flip(file, place_of(file, "value3"));
    auto reader = world.attach();
    auto read = reader.template topic<std::string, std::string>("t");
    CHECK(read.end_offset() == Offset{5});

    unsigned replayed = 0;
    CHECK(code_of([&] {
              for ([[maybe_unused]] auto const& record : read.replay()) ++replayed;
          }) == Errc::corrupt);
    CHECK(replayed == 3);
    auto consumer = read.consumer();
    CHECK(consumer.poll(0ns).size() == 3);
    CHECK(code_of([&] { (void)consumer.poll(1h); }) == Errc::corrupt);
    auto cursor = read.partition(0).cursor(Offset{3});
    CHECK(code_of([&] { (void)cursor.next(); }) == Errc::corrupt);
}

TEMPLATE_TEST_CASE("a writer whose segment was damaged under it tells so, and can be closed", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = 64u << 10, .keeper = false});
    auto topic = numbers_topic(log, {.sync = Sync::never});
    send_numbers(log, 0, 3);
    auto file = world.directory("topics", "numbers", "0").open_file("00000001.seg", Access::write);
    flip(file, format::first_frame_place + 40 + offsetof(format::FrameHeader, number));
    // Each waits for record 1 to be published.
    CHECK(code_of([&] { (void)topic.end_offset(); }) == Errc::corrupt);
    CHECK(code_of([&] { topic.flush(); }) == Errc::corrupt);
    CHECK(code_of([&] { log.close(); }) == Errc::corrupt);
}
