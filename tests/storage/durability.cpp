// SPDX-License-Identifier: MIT
// What is called durable, when, and by whom; syncs that are shared and syncs that fail.
#include <annals/storage/durability.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <map>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "senders.hpp"
#include "storage/lives.hpp"
#include "turns.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

/// The offsets that are left after power loss, when nothing unsynced reached the disk.
std::uint64_t end_after_power_loss(MemoryPlatform const& machine) {
    MemoryLog log{"/a/root/log", {}, machine.after_power_loss()};
    return log.topic<Bytes, Bytes>("t").end_offset().value();
}

}  // namespace

TEST_CASE("what flush, Sync::always or close made durable is there after power loss") {
    World<MemoryPlatform> world;
    auto& machine = world.machine.platform;
    auto log = world.open({.segment_bytes = small_segment});
    auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
    append_to(topic, 3);
    CHECK(topic.durable_offset() == Offset{0});
    CHECK(end_after_power_loss(machine) == 0);
    topic.flush();
    CHECK(topic.durable_offset() == Offset{3});
    CHECK(end_after_power_loss(machine) == 3);

    // A segment that was rolled is synced and completed; nobody asked for it.
    append_to(topic, 5);
    CHECK(topic.durable_offset() == Offset{7});
    CHECK(end_after_power_loss(machine) == 7);

    (void)log.topic<Bytes, Bytes>("t", {.sync = Sync::always});
    append_to(topic, 1);
    CHECK(topic.durable_offset() == Offset{9});
    CHECK(end_after_power_loss(machine) == 9);

    (void)log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
    append_to(topic, 20);
    log.close();
    CHECK(topic.durable_offset() == Offset{29});
    CHECK(end_after_power_loss(machine) == 29);
}

TEST_CASE("a flush of what is durable already syncs nothing") {
    World<MemoryPlatform> world;
    auto log = world.open({.segment_bytes = small_segment});
    auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
    append_to(topic, 10);
    topic.flush();
    world.machine.platform.fail_next(Operation::sync, EIO);
    CHECK_NOTHROW(topic.flush());
    CHECK_NOTHROW(log.flush());
    append_to(topic, 1);
    CHECK(code_of([&] { topic.flush(); }) == Errc::sync_failed);
}

TEST_CASE("while a segment is synced the control file says which") {
    World<MemoryPlatform> world;
    auto log = world.open({.segment_bytes = small_segment});
    auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
    append_to(topic, 9);
    auto const control = [&] {
        return storage::read_control(world.directory("topics", "t", "0")).control.value();
    };
    std::vector<std::uint64_t> marks;
    std::vector<std::uint64_t> watermarks;
    {
        MemoryPlatform::StoreHook const hook{[&](std::byte const*, std::size_t) {
            marks.push_back(control().syncing);
            auto const& watermark = control().watermark;
            watermarks.push_back(watermark ? watermark->count : 0);
        }};
        topic.flush();
    }
    CHECK(marks == std::vector<std::uint64_t>{2, 0, 0});
    CHECK(watermarks[1] != watermarks[2]);
    CHECK(control().watermark->ordinal == 2);
    CHECK(control().watermark->count == 2);
}

TEST_CASE("the watermark never leads, wherever the power is lost") {
    World<MemoryPlatform> world;
    auto& machine = world.machine.platform;
    auto log = world.open({.segment_bytes = small_segment});
    auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::interval, .sync_interval = 1s});
    std::uint64_t seed = 0;
    std::uint64_t known = 0;  // durable before the store that is under way
    MemoryPlatform::StoreHook const hook{[&](std::byte const*, std::size_t) {
        auto const left = machine.after_power_loss(++seed);
        MemoryLog again{world.path, {.segment_bytes = small_segment}, left};
        // A watermark beyond what reached the disk would be found to be corruption.
        auto const found = again.topic<Bytes, Bytes>("t");
        CHECK(found.end_offset() >= Offset{known});
        CHECK(code_of([&] { (void)found.partition(0).append({}, as_bytes("x")); }) == Errc::ok);
    }};
    for (int i = 0; i < 20; ++i) {
        append_to(topic, 1);
        machine.advance(400ms);
        if (i % 5 == 4) topic.flush();
        known = topic.durable_offset().value();
    }
    CHECK(seed > 60);
}

TEMPLATE_TEST_CASE("rolled segments are completed, whatever the topic promises", "", MemoryPlatform,
                   NativePlatform) {
    Sync const sync = GENERATE(Sync::never, Sync::interval, Sync::always);
    World<TestType> world;
    auto log = world.open({.segment_bytes = small_segment});
    auto topic = log.template topic<Bytes, Bytes>("t", {.sync = sync});
    append_to(topic, 22);
    auto const completed = [&] {
        storage::SegmentFiles<TestType> const files{
            world.machine.platform,
            std::make_shared<typename TestType::Directory const>(world.directory()), "t",
            format::require_record<format::ControlHeader>(
                storage::read_file(world.directory("topics", "t", "0"), "control").value(), 0, "",
                "")
                .topic_id,
            0};
        std::vector<bool> complete;
        for (auto const ordinal : files.ordinals()) {
            auto const file = files.open_segment(ordinal, Access::read);
            auto const page = files.read_first_page(file, ordinal);
            if (page.activation != format::RecordState::good) continue;
            complete.push_back(page.completion && page.completion->count == 7);
        }
        return complete;
    };
    auto const give_up = std::chrono::steady_clock::now() + 10s;
    std::vector<bool> const expected{true, true, true, false};
    while (completed() != expected && std::chrono::steady_clock::now() < give_up) {
        std::this_thread::sleep_for(1ms);
    }
    CHECK(completed() == expected);
}

TEST_CASE("eight threads with Sync::always: what a send returned is durable") {
    bool const has_keeper = GENERATE(true, false);
    World<NativePlatform> world;
    SentRecords all;
    {
        auto log = world.open({.segment_bytes = small_segment, .keeper = has_keeper});
        auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::always});
        std::vector<SentRecords> sent(8);
        std::atomic<std::uint64_t> behind{0};
        std::vector<std::jthread> threads;
        for (std::uint32_t id = 0; id < 8; ++id) {
            threads.emplace_back([&, id] {
                Sender sender{id, 1};
                while (sent[id].size() < 250) {
                    sender.send(topic, [&](std::uint64_t offset, Payload const& payload) {
                        if (topic.durable_offset() <= Offset{offset}) ++behind;
                        sent[id].emplace(offset, payload);
                    });
                }
            });
        }
        threads.clear();
        CHECK(behind == 0);
        for (auto const& one : sent) all.insert(one.begin(), one.end());
        CHECK(topic.durable_offset() == topic.end_offset());
    }
    auto log = world.open();
    CHECK(missing(all, find_records(log.topic<Bytes, Bytes>("t"))) == "");
}

TEST_CASE("threads that wait for durability at the same time share syncs") {
    constexpr int senders = 8;
    constexpr int records = 20;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        CAPTURE(seed);
        run_in_turns(seed, [&](Turns&, TurnPlatform machine) {
            BasicLog<TurnPlatform> log{"log", {.keeper = false}, machine};
            auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::always});
            append_to(topic, 1);
            machine.fail_next(Operation::sync, EIO, senders * records / 2);
            {
                std::vector<TurnThread> threads;
                for (int i = 0; i < senders; ++i) {
                    threads.emplace_back([&] {
                        for (int j = 0; j < records; ++j)
                            topic.partition(0).append({}, as_bytes("v"));
                    });
                }
            }
            CHECK(machine.has_failures());  // so many syncs were not needed
            machine.clear_failures();
            CHECK(topic.durable_offset() == Offset{senders * records + 1});
        });
    }
}

TEST_CASE("a sync that fails is told to all who waited, what returned is durable, and all go on") {
    unsigned failures = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        TurnPlatform machine;
        SentRecords sent;
        Turns{seed, machine}.run([&] {
            BasicLog<TurnPlatform> log{
                "log", {.segment_bytes = small_segment, .keeper = seed % 2 == 0}, machine};
            auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::always});
            append_to(topic, 1);
            machine.fail_next(Operation::sync, EIO, static_cast<unsigned>(seed % 20));
            std::vector<TurnThread> threads;
            unsigned failed = 0;
            for (std::uint32_t id = 0; id < 4; ++id) {
                threads.emplace_back([&, id] {
                    Sender sender{id, seed};
                    auto const error = error_of([&] {
                        for (int i = 0; i < 12; ++i) {
                            sender.send(topic, [&](std::uint64_t offset, Payload const& payload) {
                                sent.emplace(offset, payload);
                            });
                        }
                    });
                    if (!error) return;
                    CHECK(error->code() == Errc::sync_failed);
                    ++failed;
                    CHECK(code_of([&] { append_to(topic, 1); }) == Errc::ok);
                });
            }
            for (auto& thread : threads) thread.join();
            machine.clear_failures();
            CHECK(topic.end_offset() >= Offset{sent.size()});
            auto const closed = code_of([&] { log.close(); });
            CHECK((closed == Errc::ok || closed == Errc::sync_failed));
            failures += failed;
        });
        for (auto const& left : {machine.after_power_loss(), machine.after_process_death()}) {
            MemoryLog log{"log", {.segment_bytes = small_segment}, left};
            auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
            auto cursor = topic.partition(0).cursor(Offset{1});
            std::uint64_t found = 0;
            while (auto const record = cursor.next()) {
                auto const place = sent.find(record->offset().value());
                if (place == sent.end()) continue;  // it threw, and is there all the same
                CHECK(read_payload(record->value()) == place->second);
                ++found;
            }
            CHECK(found == sent.size());
        }
    }
    CHECK(failures > 300);
}

TEST_CASE("without a keeper the interval's sync is led by whoever comes after it") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::interval, .sync_interval = 2s});
    auto consumer = topic.consumer({.group = "g"});
    auto& machine = world.machine.platform;
    append_to(topic, 1);
    machine.advance(1s);
    append_to(topic, 1);
    CHECK(topic.durable_offset() == Offset{0});
    machine.advance(1s);
    append_to(topic, 1);
    CHECK(topic.durable_offset() == Offset{3});

    append_to(topic, 1);
    machine.advance(2s);
    CHECK(consumer.poll(0ns).size() == 4);
    CHECK(topic.durable_offset() == Offset{4});

    append_to(topic, 1);
    machine.advance(2s);
    consumer.commit();
    CHECK(topic.durable_offset() == Offset{5});

    append_to(topic, 1);
    CHECK(topic.durable_offset() == Offset{5});
    topic.flush();
    CHECK(topic.durable_offset() == Offset{6});
}

TEST_CASE("the longest interval there can be never passes") {
    World<NativePlatform> world;
    auto log = world.open({.keeper = false});
    auto topic = log.topic<Bytes, Bytes>(
        "t", {.sync = Sync::interval, .sync_interval = std::chrono::nanoseconds::max()});
    append_to(topic, 2);
    CHECK(topic.durable_offset() == Offset{0});
}

TEST_CASE("a control file that could not be replaced keeps the watermark that was synced") {
    Ground ground;
    MemoryLife life{ground};
    auto const sequences = [&] {
        auto const bytes =
            storage::read_whole(ground.directory().open_file("control", Access::read));
        std::vector<std::uint64_t> found;
        for (std::uint64_t const place : format::watermark_places) {
            found.push_back(detail::load<std::uint64_t>(bytes.data() + place));
        }
        return found;
    };
    auto& durability = life.state().writer().durability();
    life.append("a");
    life.state().flush();
    durability.sync_control();
    life.append("b");
    life.state().flush();
    auto const before = sequences();
    ground.platform().fail_next(Operation::sync, EIO);
    ground.platform().fail_next(Operation::create, ENOSPC);
    CHECK(code_of([&] { durability.sync_control(); }) == Errc::no_space);
    CHECK(durability.is_control_behind());
    life.append("c");
    life.state().flush();
    CHECK(sequences() == before);
    durability.sync_control();
    CHECK_FALSE(durability.is_control_behind());
}

TEST_CASE("a log that was closed in the midst of a roll opens after power loss") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        TurnPlatform machine;
        std::uint64_t sent = 7;
        Turns{seed, machine}.run([&] {
            BasicLog<TurnPlatform> log{
                "log", {.segment_bytes = small_segment, .keeper = false}, machine};
            auto const topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::always});
            append_to(topic, 7);
            TurnThread sender{[&] {
                if (!error_of([&] { append_to(topic, 1); })) ++sent;
            }};
            TurnThread closer{[&] { log.close(); }};
        });
        MemoryLog log{"log", {.read_only = true}, machine.after_power_loss()};
        CHECK(log.topic<Bytes, Bytes>("t").end_offset() == Offset{sent});
    }
}
