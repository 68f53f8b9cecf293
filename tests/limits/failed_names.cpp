// SPDX-License-Identifier: MIT
// A new file has its name, and the sync of the directory fails: the call has failed, and what it
// was to change is as it was, for this process, for the next, and for readers beside it.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <annals/annals.hpp>

#include "../numbered.hpp"
#include "../storage/lives.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

TEST_CASE("a commit that throws has committed nothing") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto topic = numbers_topic(log);
    send_numbers(log, 0, 10);
    {
        auto consumer = topic.consumer({.group = "g"});
        REQUIRE(consumer.poll(0s, 3).size() == 3);
        consumer.commit();
        REQUIRE(consumer.poll(0s).size() == 7);
        world.machine.platform.fail_next(Operation::directory_sync, EIO);
        CHECK(code_of([&] { consumer.commit(); }) == Errc::sync_failed);
        CHECK(consumer.committed(0) == Offset{3});
    }
    auto consumer = topic.consumer({.group = "g"});
    CHECK(consumer.committed(0) == Offset{3});
    CHECK(consumer.poll(0s).size() == 7);
}

TEST_CASE("a change of retention that throws removes nothing later") {
    bool const is_taken_back = GENERATE(false, true);
    // Putting the old description back may fail as well; then the next change puts things right.
    bool const fails_twice = GENERATE(false, true);
    if (fails_twice && !is_taken_back) return;
    CAPTURE(is_taken_back, fails_twice);
    World<MemoryPlatform> world;
    auto& machine = world.machine.platform;
    {
        auto log = world.open(small);
        auto topic = log.topic<std::string, std::string>("t");
        send(topic, 30);
        auto const keep_records = [&](std::uint64_t records) {
            (void)log.topic<std::string, std::string>("t", {.retention_records = records});
        };
        machine.fail_next(Operation::directory_sync, EIO);
        if (fails_twice) machine.fail_next(Operation::create, ENOSPC, 1);
        CHECK(code_of([&] { keep_records(1); }) == Errc::sync_failed);
        machine.clear_failures();
        if (is_taken_back) keep_records(unlimited);
        send(topic, 10);
        CHECK(topic.beginning_offset() == Offset{0});
    }
    auto log = world.open(small);
    auto topic = log.topic<std::string, std::string>("t");
    machine.advance(2min);
    send(topic, 20);
    CHECK(topic.beginning_offset() == Offset{0});
}

TEST_CASE("a failed sync is known after a death, whatever became of the control file") {
    bool const fails_directory = GENERATE(false, true);
    CAPTURE(fails_directory);
    World<MemoryPlatform> world;
    auto& machine = world.machine.platform;
    auto log = world.open();
    auto topic = numbers_topic(log);
    send_numbers(log, 0, 2);
    log.flush();
    machine.fail_next(Operation::sync, EIO);  // of the control file, which is replaced
    if (fails_directory) machine.fail_next(Operation::directory_sync, EIO);
    auto const code = code_of([&] { (void)topic.delete_records_before(0, Offset{1}); });
    CHECK(code == (fails_directory ? Errc::sync_failed : Errc::ok));
    CHECK_FALSE(machine.has_failures());
    send_numbers(log, 2, 5);
    machine.fail_next(Operation::sync, EIO);  // of the segment
    CHECK(code_of([&] { log.flush(); }) == Errc::sync_failed);

    World<MemoryPlatform> dead;
    dead.machine.platform = machine.after_process_death();
    auto again = dead.open();
    send_numbers(again, 5, 6);
    again.flush();
    auto const sent = values_of(numbers_topic(again).replay());
    CHECK(sent.back() == 5);
    World<MemoryPlatform> lost;
    lost.machine.platform = dead.machine.platform.after_power_loss();
    auto third = lost.open();
    CHECK(values_of(numbers_topic(third).replay()) == sent);
}

TEST_CASE("a reader that finds a copy which was not made to its end follows the one that was") {
    World<MemoryPlatform> world;
    auto& machine = world.machine.platform;
    auto log = world.open();
    auto topic = numbers_topic(log);
    send_numbers(log, 0, 1);
    log.flush();
    send_numbers(log, 1, 3);
    machine.fail_next(Operation::sync, EIO);
    CHECK(code_of([&] { topic.flush(); }) == Errc::sync_failed);
    machine.fail_next(Operation::directory_sync, EIO);
    CHECK(code_of([&] { topic.flush(); }) == Errc::sync_failed);  // the copy has its name
    CHECK_FALSE(machine.has_failures());

    auto reader = world.attach();
    auto consumer = numbers_topic(reader).consumer();
    CHECK(values_of(consumer.poll(0s)) == range(0, 3));
    send_numbers(log, 3, 6);
    topic.flush();
    CHECK(values_of(consumer.poll(0s)) == range(3, 6));
    send_numbers(log, 6, 9);
    CHECK(values_of(consumer.poll(0s)) == range(6, 9));
    CHECK(values_of(numbers_topic(reader).replay()) == range(0, 9));
}

TEST_CASE("a reader that finds a first segment which was not made to its end follows the next") {
    World<MemoryPlatform> world;
    auto& machine = world.machine.platform;
    auto log = world.open();
    auto producer = numbers_topic(log, {.sync = Sync::never}).producer();
    bool is_found = false;
    for (unsigned after = 0; !is_found; ++after) {
        REQUIRE(after < 10);
        machine.fail_next(Operation::directory_sync, EIO, after);
        CHECK(code_of([&] { producer.send("k", 0); }) == Errc::sync_failed);
        machine.clear_failures();
        for (auto const& name : names_in(world.directory("topics", "numbers", "0"))) {
            is_found = is_found || name.ends_with(".seg");
        }
    }
    auto reader = world.attach();
    auto consumer = numbers_topic(reader).consumer();
    CHECK(consumer.poll(0s).empty());
    for (std::int64_t i = 0; i < 3; ++i) producer.send("k", i);
    CHECK(values_of(consumer.poll(0s)) == range(0, 3));
}

namespace {

/// A log whose machine fails once, and who reads beside it from then on.
struct Watched {
    World<MemoryPlatform> world{};
    std::optional<MemoryLog> log{};
    std::optional<MemoryLog> reader{};
    std::optional<BasicConsumer<std::string, std::int64_t, MemoryPlatform>> consumer{};
    std::vector<std::int64_t> polled{};

    [[nodiscard]] MemoryPlatform& machine() { return world.machine.platform; }
    [[nodiscard]] auto topic() { return numbers_topic(*log, {.sync = Sync::never}); }

    void poll() {
        if (!consumer) return;
        for (auto const value : values_of(consumer->poll(0s, 100'000))) polled.push_back(value);
    }

    /// Does it again where it fails. Whoever begins to read then must see all that follows.
    template <class Step>
    void take(Step const& step) {
        for (int tries = 0; code_of(step) != Errc::ok; ++tries) {
            REQUIRE(tries < 3);
            machine().clear_failures();
            (void)code_of([&] {
                reader.emplace(world.attach());
                consumer.emplace(numbers_topic(*reader).consumer());
                poll();
            });
        }
        poll();
    }

    void send_until(std::uint64_t end) {
        take([&] {
            auto const topic = this->topic();
            for (std::uint64_t at = 0; (at = topic.end_offset().value()) < end;) {
                topic.producer().send("k", static_cast<std::int64_t>(at));
            }
        });
    }

    void live() {
        take([&] { log.emplace(world.open(small)); });
        send_until(3);
        take([&] { topic().flush(); });
        send_until(3000);  // into the second segment
        take([&] {
            auto in_group = topic().consumer({.group = "g"});
            (void)in_group.poll(0s, 10);
            in_group.commit();
        });
        take([&] { (void)topic().delete_records_before(0, Offset{1}); });
        send_until(3010);
        take([&] { topic().flush(); });
    }
};

/// False: nothing was left to fail.
bool lives_with_failure(Operation operation, unsigned after) {
    Watched watched;
    watched.machine().fail_next(operation, operation == Operation::sync ? EIO : ENOSPC, after);
    watched.live();
    bool const has_failed = !watched.machine().has_failures();
    watched.machine().clear_failures();
    auto const sent = range(0, 3010);
    auto const all = values_of(watched.topic().replay({.from = Offset{0}}));
    CHECK(std::equal(all.rbegin(), all.rend(), sent.rbegin()));
    if (watched.consumer) {
        CHECK(watched.polled.back() == 3009);
        CHECK(std::equal(watched.polled.rbegin(), watched.polled.rend(), sent.rbegin()));
    }
    for (auto const& machine :
         {watched.machine().after_process_death(), watched.machine().after_power_loss()}) {
        MemoryLog found{watched.world.path, small, machine};
        CHECK(values_of(numbers_topic(found).replay()) == all);
        auto consumer = numbers_topic(found).consumer({.group = "g"});
        CHECK(consumer.committed(0) == Offset{10});
        numbers_topic(found).producer().send("k", 3010);
        CHECK(numbers_topic(found).end_offset() == Offset{3011});
    }
    return has_failed;
}

}  // namespace

TEST_CASE("wherever something fails once, nothing is lost, and who reads beside it sees all") {
    for (Operation const operation : all_operations) {
        CAPTURE(static_cast<int>(operation));
        unsigned after = 0;
        while (lives_with_failure(operation, after)) REQUIRE(++after < 500);
        if (operation == Operation::directory_sync) CHECK(after > 10);
    }
}
