// SPDX-License-Identifier: MIT
// Retention by the keeper in time, and beside threads and processes that read what it removes.
#include <annals/annals.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "child.hpp"
#include "numbered.hpp"
#include "storage/lives.hpp"
#include "turns.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

TEST_CASE(
    "the keeper removes what is too old within seconds, also where nothing is sent any more") {
    TurnPlatform machine;
    Turns{1, machine}.run([&] {
        BasicLog<TurnPlatform> log{"log", small, machine};
        auto const topic =
            log.topic<std::string, std::string>("t", {.sync = Sync::never, .retention_age = 1h});
        send(topic, 3);
        machine.wait({}, 30min);
        send(topic, 3);
        machine.wait({}, 29min);
        CHECK(topic.beginning_offset() == Offset{0});
        machine.wait({}, 3min);  // the first segment was ended when it was 15 minutes old
        CHECK(topic.beginning_offset() == Offset{3});
        machine.wait({}, 1h);
        CHECK(topic.beginning_offset() == Offset{6});
        send(topic, 1);
        CHECK(numbers_of(topic.replay()) == numbers(6, 7));
    });
}

TEST_CASE("the keeper removes what is too old of a log that was opened again and rests") {
    TurnPlatform machine;
    Turns{1, machine}.run([&] {
        {
            BasicLog<TurnPlatform> log{"log", small, machine};
            send(log.topic<std::string, std::string>("t",
                                                     {.sync = Sync::never, .retention_age = 1h}),
                 30);
        }
        machine.wait({}, 3h);
        BasicLog<TurnPlatform> log{"log", small, machine};
        machine.wait({}, 5s);
        CHECK(log.topic<std::string, std::string>("t").beginning_offset() == Offset{30});
    });
}

TEST_CASE("the keeper removes what is too much, also where it was allowed before") {
    TurnPlatform machine;
    Turns{1, machine}.run([&] {
        BasicLog<TurnPlatform> log{"log", small, machine};
        auto const open = [&](TopicOptions const& options) {
            auto const topic = log.topic<std::string, std::string>("t", options);
            machine.wait({}, 5s);
            return topic.beginning_offset().value();
        };
        send(log.topic<std::string, std::string>("t", {.sync = Sync::never}), 50);
        CHECK(open({}) == 0);
        CHECK(open({.retention_records = 30}) == 14);
        CHECK(open({.retention_bytes = 4 * 65'536, .retention_records = unlimited}) == 28);
        auto const topic = log.topic<std::string, std::string>("t");
        send(topic, 50);
        machine.wait({}, 5s);
        CHECK(numbers_of(topic.replay()) == numbers(77, 100));
    });
}

TEST_CASE("what keeps the keeper from removing is told, and tried again") {
    TurnPlatform machine;
    Turns{1, machine}.run([&] {
        std::vector<std::string> told;
        BasicLog<TurnPlatform> log{
            "log",
            {.segment_bytes = small.segment_bytes,
             .on_event = [&](Event const& event) { told.push_back(event.message); }},
            machine};
        auto const topic = log.topic<std::string, std::string>("t", {.sync = Sync::never});
        send(topic, 50);
        machine.wait({}, 5s);
        machine.fail_next(Operation::remove, EPERM);
        (void)log.topic<std::string, std::string>("t", {.retention_records = 30});
        machine.wait({}, 10s);
        REQUIRE(told.size() == 1);
        CHECK(topic.beginning_offset() == Offset{14});
        auto const names = names_in(machine.open_directory("log/topics/t/0", Access::read));
        CHECK(names.front() == "00000003.idx");
    });
}

TEST_CASE("replays that run while a keeper removes finish, and no reader ever sees a gap") {
    World<NativePlatform> world;
    auto log = world.open(small);
    auto const topic =
        log.topic<std::string, std::string>("t", {.sync = Sync::never, .retention_records = 30});
    std::atomic<bool> is_over{false};
    std::atomic<unsigned> replays{0};
    std::atomic<unsigned> wrong{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i) {
        readers.emplace_back([&] {
            while (!is_over) {
                auto const replay = topic.replay();
                auto const first = numbers_of(replay);
                std::this_thread::yield();
                auto const again = numbers_of(replay);
                bool const is_whole =
                    first.empty() || first == numbers(first.front(), first.back() + 1);
                if (!is_whole || first != again) ++wrong;
                ++replays;
            }
        });
    }
    for (int i = 0; i < 300; ++i) {
        send(topic, 10);
        if (i % 10 == 0) {
            (void)topic.delete_records_before(0, topic.end_offset() - 25);
        }
    }
    is_over = true;
    for (auto& each : readers) each.join();
    CHECK(replays > 0);
    CHECK(wrong == 0);
    CHECK(topic.beginning_offset() > Offset{2'800});
}

TEST_CASE("a reader in another process is told when records vanish under it, and goes on") {
    World<NativePlatform> world;
    { auto log = world.open(small); }
    Child child{[&](Child& parent) {
        parent.hear();
        Log log{world.path, {.read_only = true}};
        auto const topic = log.topic<std::string, std::string>("t");
        auto consumer = topic.consumer();
        std::uint64_t next = 0;
        unsigned told = 0;
        parent.say();
        while (next < 2'000) {
            auto const error = error_of([&] {
                for (auto const& record : consumer.poll(100ms, 20)) {
                    require(number_of(record) == next, "a record is missing");
                    require(record.offset() == Offset{next}, "an offset is wrong");
                    ++next;
                }
                (void)numbers_of(topic.replay({.from = topic.end_offset() - 20}));
            });
            if (!error) continue;
            require(error->code() == Errc::offset_out_of_range, error->what());
            require(error->valid_range().has_value(), "the range is not told");
            ++told;
            consumer.seek_to_beginning();
            require(consumer.position(0) >= Offset{next}, "the log begins earlier than before");
            next = consumer.position(0).value();
            if (told == 1) parent.say();
        }
        require(topic.beginning_offset() > Offset{1'900}, "the beginning is not seen");
    }};
    auto log = world.open(small);
    auto const topic = log.topic<std::string, std::string>("t", {.sync = Sync::never});
    send(topic, 100);
    child.say();
    child.hear();
    for (int i = 0; i < 190; ++i) {
        send(topic, 10);
        (void)topic.delete_records_before(0, topic.end_offset() - 15);
    }
    CHECK(child.join() == 0);
}

TEST_CASE("a replay that is made beside a deletion begins where the log does") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        run_in_turns(seed, [&](Turns&, TurnPlatform machine) {
            BasicLog<TurnPlatform> log{
                "log", {.segment_bytes = small_segment, .keeper = false}, machine};
            auto const topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
            append_to(topic, 22);
            auto const holder = topic.replay({.until = Offset{1}});
            TurnThread other{[&] { (void)topic.delete_records_before(0, Offset{20}); }};
            std::size_t count = 0;
            auto const error = error_of([&] { count = values_of(topic.replay()).size(); });
            CHECK_FALSE(error);
            CHECK((count == 22 || count == 2));
        });
    }
}

TEST_CASE("a replay goes on behind a copy that was made, and then removed, since it began") {
    World<MemoryPlatform> world;
    auto log = world.open({.segment_bytes = small_segment, .keeper = false});
    auto const topic = log.topic<std::string, std::string>("t", {.sync = Sync::never});
    auto producer = topic.producer();
    producer.send("k", "a");
    topic.flush();
    producer.send("k", "b");
    producer.send("k", "c");
    {
        auto const replay = topic.replay();
        world.machine.platform.fail_next(Operation::sync, EIO);
        CHECK(code_of([&] { topic.flush(); }) == Errc::sync_failed);
        producer.send("k", "d");  // behind a copy of the two
        append_to(topic, 20);
        CHECK(topic.delete_records_before(0, topic.end_offset()) == topic.end_offset());
        CHECK(values_of(replay) == std::vector<std::string>{"a", "b", "c"});
    }
    (void)topic.consumer().poll(0ns);
    world.machine.platform.advance(5s);
    (void)topic.consumer().poll(0ns);
    CHECK(names_in(world.directory("topics", "t", "0")).size() <= 4);
}

TEST_CASE("by time nothing is skipped or deleted that is sent meanwhile and is younger") {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        CAPTURE(seed);
        run_in_turns(seed, [&](Turns&, TurnPlatform machine) {
            BasicLog<TurnPlatform> log{"log", {.keeper = false}, machine};
            auto const topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
            auto const at = [](std::uint64_t number) {
                return Timestamp{std::chrono::nanoseconds{static_cast<std::int64_t>(number)}};
            };
            TurnThread sender{[&] {
                for (std::uint64_t i = 0; i < 100; ++i) {
                    topic.partition(0).append({}, as_bytes("v"), {.timestamp = at(i)});
                }
            }};
            auto consumer = topic.consumer();
            for (std::uint64_t end = 0; end < 100;) {
                end = topic.end_offset().value();
                consumer.seek(at(end));
                CHECK(consumer.position(0) <= Offset{end});
                end = topic.end_offset().value();
                CHECK(topic.delete_records_before(0, at(end)) <= Offset{end});
            }
        });
    }
}
