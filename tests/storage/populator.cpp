// SPDX-License-Identifier: MIT
// How far ahead of the tail pages are made, and when those of the next segment.
#include <annals/storage/populator.hpp>

#include <cstdint>
#include <memory>
#include <vector>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;

namespace {

/// A segment of 1 MiB whose tail a test moves as it likes, and a populator that follows it.
struct Followed {
    MemoryPlatform machine{};
    storage::LogState<MemoryPlatform> log{
        "log", {.segment_bytes = 1 << 20, .keeper = false}, machine};
    std::shared_ptr<storage::TopicState<MemoryPlatform>> topic =
        log.open_topic("t", {codec_name<Bytes>(), codec_name<Bytes>(), {}});
    storage::Populator<MemoryPlatform> populator{};
    std::uint64_t tail = format::first_frame_place;
    std::vector<std::uint64_t> asked{};  ///< how much of the next segment, since the last `move`

    Followed() {
        BasicTopic<Bytes, Bytes, MemoryPlatform>{topic, Access::write}.partition(0).append({}, {});
        move(0);
    }

    void move(std::uint64_t bytes) {
        asked.clear();
        tail += bytes;
        auto const active = topic->partition(0)->writer().active();
        populator.follow(*active.segment, tail,
                         [&](std::uint64_t ahead) { asked.push_back(ahead); });
    }
};

}  // namespace

TEST_CASE("the next segment gets what the window has beyond the end, however slow the senders") {
    constexpr std::uint64_t step = 1 << 10;
    constexpr std::uint64_t window = 64 * step;
    constexpr std::uint64_t capacity = 1 << 20;
    Followed followed;
    while (followed.tail + step + window <= capacity) {
        followed.move(step);
        CHECK(followed.asked.empty());
    }
    while (followed.tail + step <= capacity) {
        followed.move(step);
        CHECK(followed.asked == std::vector{followed.tail + window - capacity});
    }
    CHECK(followed.tail > capacity - step);
}

TEST_CASE(
    "where a segment fills within a fraction of a second, the next is prepared from then on") {
    constexpr std::uint64_t step = 4 << 10;
    Followed followed;
    followed.move(step - 1);
    CHECK(followed.asked.empty());
    for (std::uint64_t moves = 1; moves < 10; ++moves) {
        followed.move(step);
        CHECK(followed.asked == std::vector{moves * 64 * step});
    }
}

TEST_CASE("nothing is prepared while nothing is sent") {
    Followed followed;
    followed.move(64 << 10);
    CHECK(!followed.asked.empty());
    followed.move(0);
    CHECK(followed.asked.empty());
}
