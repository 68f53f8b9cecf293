// SPDX-License-Identifier: MIT
// A control file that is older than the segments, as a directory that is copied while somebody
// writes to it has it: it says that the partition was closed where records lie behind.
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <vector>

#include <annals/annals.hpp>
#include <annals/format/segment.hpp>

#include "../numbered.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

/// Ten numbers from a life that was closed, ten from one that died, the first one's control file.
struct Older {
    World<MemoryPlatform> world{};
    bool has_committed = false;

    explicit Older(bool commits = false) {
        World<MemoryPlatform> original;
        std::vector<std::byte> control;
        {
            auto log = original.open();
            send_numbers(log, 0, 10);
            log.close();
            control = storage::read_whole(original.directory("topics", "numbers", "0")
                                              .open_file("control", Access::read));
        }
        auto log = original.open();
        send_numbers(log, 10, 20);
        if (commits) {
            auto consumer = numbers_topic(log).consumer({.group = "g"});
            has_committed = consumer.poll(0s).size() == 20;
            consumer.commit();
        }
        world.machine.platform = original.machine.platform.after_process_death();
        directory().open_file("control", Access::write).write_at(0, control);
    }

    [[nodiscard]] MemoryPlatform::Directory directory() {
        return world.directory("topics", "numbers", "0");
    }
};

}  // namespace

TEST_CASE("a position beyond what is left behind an older clean mark is stale") {
    Older older{true};
    REQUIRE(older.has_committed);
    std::uint64_t const frame = 40;  // of a key of one byte and a number
    flip(older.directory().open_file("00000001.seg", Access::write),
         format::first_frame_place + 15 * frame + format::frame_header_bytes);
    auto& machine = older.world.machine.platform;
    if (GENERATE(false, true)) {  // a life that sends nothing comes in between
        auto log = older.world.open();
        CHECK(numbers_topic(log).end_offset() == Offset{15});
        if (GENERATE(false, true)) machine = machine.after_process_death();
    }
    auto log = older.world.open();
    auto topic = numbers_topic(log);
    REQUIRE(topic.end_offset() == Offset{15});
    for (std::int64_t i = 0; i < 10; ++i) topic.producer().send("k", 1'000 + i);
    auto consumer = topic.consumer({.group = "g"});
    CHECK(code_of([&] { (void)consumer.poll(0s); }) == Errc::log_truncated);
}

TEST_CASE("what could not be synced behind an older clean mark stays in doubt until it is copied") {
    Older older;
    auto& machine = older.world.machine.platform;
    World<MemoryPlatform> dead;
    {
        machine.fail_next(Operation::sync, EIO);
        auto log = older.world.open();
        CHECK_FALSE(machine.has_failures());
        CHECK(numbers_topic(log).durable_offset() == Offset{10});
        machine.set_free_space(0);
        CHECK(code_of([&] { send_numbers(log, 20, 21); }) == Errc::no_space);
        dead.machine.platform = machine.after_process_death();
    }
    dead.machine.platform.clear_free_space();
    auto log = dead.open();
    send_numbers(log, 20, 21);
    log.flush();
    CHECK(numbers_topic(log).durable_offset() == Offset{21});
    World<MemoryPlatform> lost;
    lost.machine.platform = dead.machine.platform.after_power_loss();
    auto found = lost.open();
    CHECK(values_of(numbers_topic(found).replay()) == range(0, 21));
}
