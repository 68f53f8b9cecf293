// SPDX-License-Identifier: MIT
// Segments that stay mapped for whoever reads in them again, up to a number of them.
#include <annals/storage/recent_mappings.hpp>

#include <cerrno>
#include <fstream>
#include <string>

#include <annals/annals.hpp>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;

namespace {

constexpr std::uint64_t in_segment = 7;  // records of which so many fill one

template <class P>
auto open_with_segments(BasicLog<P>& log, std::uint64_t segments) {
    auto topic = log.template topic<Bytes, Bytes>("t", {.sync = Sync::never});
    std::string const value(8000, 'v');
    for (std::uint64_t i = 0; i < segments * in_segment; ++i) {
        topic.partition(0).append({}, as_bytes(value));
    }
    topic.flush();
    return topic;
}

template <class Cursor>
bool can_read_in(Cursor& cursor, std::uint64_t segment) {
    cursor.seek(Offset{segment * in_segment + 1});
    return cursor.next().has_value();
}

/// Files of the log that are mapped by this process and have no name any more.
int removed_but_mapped(std::string const& path) {
    std::ifstream maps{"/proc/self/maps"};
    int count = 0;
    for (std::string line; std::getline(maps, line);) {
        count += contains(line, path) && contains(line, "(deleted)") ? 1 : 0;
    }
    return count;
}

}  // namespace

TEST_CASE("going to and fro between segments maps each of them once") {
    bool const is_attached = GENERATE(false, true);
    World<MemoryPlatform> world;
    auto writer = world.open({.segment_bytes = 64 << 10});
    auto written = open_with_segments(writer, 20);
    auto reader = world.attach();
    auto topic = is_attached ? reader.topic<Bytes, Bytes>("t") : written;
    auto cursor = topic.partition(0).cursor();
    for (std::uint64_t i = 0; i < 20; ++i) CHECK(can_read_in(cursor, i));
    world.machine.platform.fail_next(Operation::map, ENOMEM);
    for (std::uint64_t i = 20; i-- > 0;) CHECK(can_read_in(cursor, i));
    CHECK(world.machine.platform.has_failures());
}

TEST_CASE("of very many segments those stay mapped that were mapped last") {
    World<MemoryPlatform> world;
    auto log = world.open({.segment_bytes = 64 << 10});
    auto topic = open_with_segments(log, 300);
    auto cursor = topic.partition(0).cursor();
    for (std::uint64_t i = 0; i < 300; ++i) CHECK(can_read_in(cursor, i));
    world.machine.platform.fail_next(Operation::map, EIO);
    for (std::uint64_t i = 60; i < 300; ++i) CHECK(can_read_in(cursor, i));
    CHECK(world.machine.platform.has_failures());
    CHECK(code_of([&] { (void)can_read_in(cursor, 0); }) == Errc::io_error);
    CHECK(can_read_in(cursor, 0));
}

TEST_CASE("a segment that is removed does not stay mapped") {
    World<NativePlatform> world;
    auto log = world.open({.segment_bytes = 64 << 10, .keeper = false});
    auto topic = open_with_segments(log, 20);
    {
        auto cursor = topic.partition(0).cursor();
        for (std::uint64_t i = 0; i < 20; ++i) CHECK(can_read_in(cursor, i));
    }
    (void)topic.delete_records_before(0, Offset{10 * in_segment});
    CHECK(topic.beginning_offset() == Offset{10 * in_segment});
    CHECK(removed_but_mapped(world.path) == 0);
}
