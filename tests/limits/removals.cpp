// SPDX-License-Identifier: MIT
// Removals of topics that fail or are cut off at any step: the topic is whole or gone, whoever
// opens the log, and asking again finishes the work.
#include <cerrno>
#include <string>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;

namespace {

/// A log with a topic of three durable records.
World<MemoryPlatform> prepared() {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto const topic = log.topic<Bytes, Bytes>("t", {.partitions = 2, .sync = Sync::always});
    for (int i = 0; i < 3; ++i) topic.producer().send({}, as_bytes("v"), {.partition = 1});
    return world;
}

/// The topic is as it was, or not there at all; nothing says that it is damaged.
void require_whole_or_gone(MemoryPlatform const& machine, std::string const& path) {
    MemoryLog log{path, {}, machine};
    CHECK(log.recovery().notes.empty());
    for (auto const& name : log.topics()) {
        auto const topic = log.topic<Bytes, Bytes>(name);
        auto const end = topic.end_offset(1);
        CHECK((end == Offset{0} || end == Offset{3}));
        CHECK(values_of(topic.replay()).size() == end.value());
    }
}

}  // namespace

TEST_CASE("a topic whose removal failed is whole or gone after power loss, swept or made anew") {
    auto const operation = GENERATE(Operation::directory_sync, Operation::remove, Operation::rename,
                                    Operation::list, Operation::open);
    auto const then = GENERATE(0, 1, 2);  // power loss at once, after a sweep, after a new topic
    bool has_happened = true;
    for (unsigned after = 0; has_happened; ++after) {
        auto world = prepared();
        auto log = world.open();
        world.machine.platform.fail_next(operation, EIO, after);
        (void)error_of([&] { log.remove_topic("t"); });
        has_happened = !world.machine.platform.has_failures();
        world.machine.platform.clear_failures();
        auto const left = world.machine.platform.after_process_death();
        for (unsigned step = 0; step < 12; ++step) {
            MemoryPlatform machine = left.after_process_death();
            machine.fail_next(operation, EIO, step);  // so that the next one gets no further either
            (void)error_of([&] {
                if (then == 0) return;
                MemoryLog next{world.path, {}, machine};
                if (then == 2) (void)next.topic<Bytes, Bytes>("t", {.partitions = 2});
            });
            CAPTURE(static_cast<int>(operation), then, after, step);
            for (std::uint64_t seed = 1; seed <= 10; ++seed) {
                require_whole_or_gone(machine.after_power_loss(seed), world.path);
            }
            if (then == 0) break;
        }
    }
}

TEST_CASE("a removal that failed goes on where it is asked for again") {
    for (unsigned after = 0; after < 12; ++after) {
        auto world = prepared();
        auto log = world.open();
        auto const operation = GENERATE(Operation::directory_sync, Operation::remove);
        CAPTURE(after, static_cast<int>(operation));
        world.machine.platform.fail_next(operation, EIO, after);
        auto const error = error_of([&] { log.remove_topic("t"); });
        world.machine.platform.clear_failures();
        if (error) log.remove_topic("t");
        CHECK(names_in(world.directory("topics")).empty());
        CHECK(code_of([&] { log.remove_topic("t"); }) == Errc::not_found);
    }
}
