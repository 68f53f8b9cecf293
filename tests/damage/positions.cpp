// SPDX-License-Identifier: MIT
// A position behind a frame whose header is damaged: it stays where it was put, whatever is told.
#include <chrono>
#include <cstdint>
#include <string>

#include <annals/annals.hpp>

#include "numbered.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t frame = 40;  // of send_numbers: a header, "k", 8 bytes, zeros

/// A closed log of some segments; a group has committed 20; the header of record 10 is lost.
template <class P>
struct Damaged : World<P> {
    Damaged() {
        {
            auto log = this->open(small);
            send_numbers(log, 0, 5000);
            auto consumer = numbers_topic(log).consumer({.group = "g"});
            (void)consumer.poll(0ns, 20);
            consumer.commit();
        }
        auto file =
            this->directory("topics", "numbers", "0").open_file("00000001.seg", Access::write);
        std::string const zeros(format::frame_header_bytes, '\0');
        file.write_at(format::first_frame_place + 10 * frame, as_bytes(zeros));
    }
};

}  // namespace

TEMPLATE_TEST_CASE("a group's position does not go back where damage lies before it", "",
                   NativePlatform, MemoryPlatform) {
    Damaged<TestType> world;
    auto log = world.open(small);
    auto topic = numbers_topic(log);
    {
        auto consumer = topic.consumer({.group = "g"});
        CHECK(consumer.position(0) == Offset{20});
        CHECK(code_of([&] { (void)consumer.poll(0ns); }) == Errc::corrupt);
        CHECK(consumer.position(0) == Offset{20});
        consumer.commit();
        CHECK(consumer.committed(0) == Offset{20});
    }
    CHECK(topic.consumer({.group = "g"}).position(0) == Offset{20});
}

TEMPLATE_TEST_CASE("a reader that steps over what is damaged gets past it", "", NativePlatform,
                   MemoryPlatform) {
    Damaged<TestType> world;
    auto log = world.open(small);
    auto cursor = numbers_topic(log).partition(0).cursor();
    std::uint64_t found = 0;
    for (int steps = 0; steps < 2000 && found < 100; ++steps) {
        auto const error = error_of([&] {
            if (cursor.next()) ++found;
        });
        if (error) cursor.seek(cursor.offset() + 1);
    }
    CHECK(found >= 100);
}

TEST_CASE("a damaged partition does not keep a group from committing in another") {
    World<MemoryPlatform> world;
    std::optional<MemoryPlatform> dead;
    {
        auto log = world.open({.segment_bytes = 64u << 10});
        auto topic = log.topic<std::string, std::string>("t", {.partitions = 2});
        for (std::uint32_t partition : {0u, 1u}) {
            for (int i = 0; i < 5; ++i) {
                topic.producer().send("k", "value" + std::to_string(i), {.partition = partition});
            }
        }
        topic.flush();
        dead = world.machine.platform.after_process_death();
    }
    auto file = dead->open_directory(world.path + "/topics/t/0", Access::write)
                    .open_file("00000001.seg", Access::write);
    flip(file, place_of(file, "value3"));
    MemoryLog log{world.path, {.segment_bytes = 64u << 10}, *dead};
    auto topic = log.topic<std::string, std::string>("t");
    auto consumer = topic.consumer({.group = "g"});
    std::optional<RecordView> last;
    for (int i = 0; i < 4; ++i) {
        auto const error = error_of([&] {
            for (auto const& record : consumer.poll(0ns)) {
                if (record.partition() == 1) last = record;
            }
        });
        if (error) consumer.seek(0, topic.end_offset(0));  // leave the damaged partition alone
    }
    REQUIRE(last);
    CHECK(code_of([&] { consumer.commit(*last); }) == Errc::ok);
    CHECK(consumer.committed(1) == Offset{5});
}
