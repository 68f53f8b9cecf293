// SPDX-License-Identifier: MIT
// One partition under threads: senders that race over rolls, readers beside them, the end that each
// of them must see, and a close in the middle of it.
#include <annals/storage/partition_state.hpp>

#include <atomic>
#include <chrono>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "effort.hpp"
#include "senders.hpp"
#include "storage/lives.hpp"
#include "turns.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

TopicOptions topic_options(Sync sync) { return {.sync = sync, .sync_interval = 100us}; }

}  // namespace

// ---- in turns: the same run for the same seed

namespace {

using TurnLog = BasicLog<TurnPlatform>;
using TurnTopic = BasicTopic<Bytes, Bytes, TurnPlatform>;

/// What all threads of a run know of each other. One runs at a time.
struct Run {
    std::uint64_t seed;
    TurnTopic topic;
    Sync sync;
    SentRecords sent{};
    unsigned senders = 0;  ///< still at work
    bool is_closing = false;
};

void send_in_turns(Run& run, std::uint32_t id) {
    Sender sender{id, run.seed};
    auto const note = [&](std::uint64_t offset, Payload const& payload) {
        CHECK(run.sent.emplace(offset, payload).second);
        if (run.sync == Sync::always) CHECK(run.topic.durable_offset() > Offset{offset});
    };
    auto const error = error_of([&] {
        for (int i = 0; i < 12; ++i) {
            sender.send(run.topic, note);
            if (sender.random().one_in(12)) run.topic.flush();
        }
    });
    if (error) CHECK((error->code() == Errc::closed && run.is_closing));
    --run.senders;
}

/// Reads behind the senders, and sees at each end_offset what had been sent before.
void follow_in_turns(Run& run) {
    auto cursor = run.topic.partition(0).cursor();
    std::uint64_t expected = 0;
    for (bool at_end = false; !at_end;) {
        at_end = run.senders == 0;
        std::uint64_t const least = run.sent.empty() ? 0 : run.sent.rbegin()->first + 1;
        CHECK(run.topic.end_offset() >= Offset{least});
        while (auto const record = cursor.next()) {
            CHECK(record->offset() == Offset{expected++});
            CHECK(read_payload(record->value()));
            at_end = false;
        }
        CHECK(expected >= least);
        Turns::let_others();
    }
}

void poll_in_turns(BasicConsumer<Bytes, Bytes, TurnPlatform>& consumer, Run& run) {
    std::uint64_t expected = 0;
    auto const error = error_of([&] {
        while (run.senders != 0 || Offset{expected} < run.topic.end_offset()) {
            for (auto const& record : consumer.poll(run.senders == 0 ? 0ns : 50us, 7)) {
                CHECK(record.offset() == Offset{expected++});
            }
        }
    });
    if (error) CHECK((error->code() == Errc::closed && run.is_closing));
}

void race_in_turns(std::uint64_t seed) {
    Random random{seed};
    bool const has_keeper = !random.one_in(4);
    Sync const sync = static_cast<Sync>(random.below(3));
    unsigned const senders = 2 + static_cast<unsigned>(random.below(3));
    bool const closes_early = random.one_in(3);
    CAPTURE(seed, has_keeper, static_cast<int>(sync), senders, closes_early);
    TurnPlatform machine;
    SentRecords sent;
    Turns{seed, machine}.run([&] {
        TurnLog log{"log", {.segment_bytes = small_segment, .keeper = has_keeper}, machine};
        Run run{seed, log.topic<Bytes, Bytes>("t", topic_options(sync)), sync};
        run.senders = senders;
        auto consumer = run.topic.consumer();
        std::vector<TurnThread> threads;
        for (std::uint32_t id = 0; id < senders; ++id) {
            threads.emplace_back([&run, id] { send_in_turns(run, id); });
        }
        threads.emplace_back([&run] { follow_in_turns(run); });
        threads.emplace_back([&] { poll_in_turns(consumer, run); });
        if (closes_early) {
            for (auto steps = random.below(500); steps != 0; --steps) Turns::let_others();
            run.is_closing = true;
            log.close();
        }
        for (auto& thread : threads) thread.join();
        CHECK(run.topic.end_offset() == Offset{run.sent.size()});
        CHECK(missing(run.sent, find_records(run.topic)) == "");
        sent = std::move(run.sent);
    });
    MemoryLog log{"log", {.segment_bytes = small_segment}, machine};
    CHECK(log.recovery().was_clean());
    auto const found = find_records(log.topic<Bytes, Bytes>("t"));
    CHECK(missing(sent, found) == "");
    CHECK(found.end == sent.size());
}

}  // namespace

TEST_CASE("threads in turns: dense offsets, nothing lost, all ends seen, whatever the order") {
    std::uint64_t const seeds = 400 * effort();
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) race_in_turns(seed);
    note_figure("threads in turns that append, roll, sync and read",
                std::to_string(seeds) + " orders, nothing lost");
}

TEST_CASE("a segment is completed with its true end while others just find out where that is") {
    std::string const value(8000, 'v');
    for (std::uint64_t seed = 1; seed <= 400 * effort(); ++seed) {
        CAPTURE(seed);
        TurnPlatform machine;
        Turns{seed, machine}.run([&] {
            TurnLog log{"log", {.segment_bytes = small_segment, .keeper = false}, machine};
            auto topic = log.topic<Bytes, Bytes>("t", topic_options(Sync::never));
            for (int i = 0; i < 7; ++i) topic.partition(0).append({}, as_bytes(value));
            std::vector<TurnThread> threads;
            threads.emplace_back([&] { topic.partition(0).append({}, as_bytes(value)); });
            for (int id = 0; id < 2; ++id) {
                threads.emplace_back([&] {
                    while (topic.end_offset() < Offset{8}) Turns::let_others();
                });
            }
            for (auto& thread : threads) thread.join();
        });
        MemoryLog log{"log", {.segment_bytes = small_segment}, machine};
        REQUIRE_NOTHROW(log.topic<Bytes, Bytes>("t"));
        REQUIRE(log.topic<Bytes, Bytes>("t").end_offset() == Offset{8});
    }
}

TEST_CASE("power loss that took a segment but not the one behind it cuts the log before it") {
    // Found in turns: two rolls without a sync, and of the unsynced pages only the later
    // segment's were written.
    MemoryPlatform machine;
    std::optional<MemoryPlatform> after;
    {
        MemoryLog log{"log", {.segment_bytes = small_segment}, machine};
        auto topic = log.topic<Bytes, Bytes>("t", topic_options(Sync::never));
        std::string const value(8000, 'v');
        auto partition = topic.partition(0);
        for (int i = 0; i < 8; ++i) partition.append({}, as_bytes(value));
        // From here on nothing of the second segment reaches the disk; its successor does.
        auto dead = machine.after_power_loss();
        for (int i = 0; i < 14; ++i) partition.append({}, as_bytes(value));
        auto const segments = [&](MemoryPlatform const& on) {
            return on.open_directory("log/topics/t/0", Access::read);
        };
        auto const third = content(segments(machine).open_file("00000003.seg", Access::read));
        auto lost = segments(dead);
        make_file(lost, "00000003.seg", third);
        REQUIRE(lost.find_file("00000002.seg", Access::read));
        after = dead.after_process_death();
    }
    MemoryLog log{
        "log", {.segment_bytes = small_segment, .after_death = AfterDeath::power_loss}, *after};
    auto topic = log.topic<Bytes, Bytes>("t");
    CHECK(topic.end_offset() <= Offset{8});
    CHECK(topic.partition(0).append({}, as_bytes("v")) < Offset{9});
}

// ---- on the machine itself, all at once

namespace {

using NativeTopic = Topic<Bytes, Bytes>;

/// What a thread of senders leaves to be checked when it has ended.
struct Sent {
    SentRecords records{};
    std::string fault{};
};

/// Keeps sending until `count` records are there or it is told that the log was closed.
void send_many(NativeTopic const& topic, std::uint32_t id, std::uint64_t count, Sent& out) {
    Sender sender{id, 7};
    std::uint64_t last = 0;
    auto const error = error_of([&] {
        while (out.records.size() < count) {
            sender.send(topic, [&](std::uint64_t offset, Payload const& payload) {
                if (!out.records.empty() && offset <= last) out.fault = "offsets went back";
                last = offset;
                out.records.emplace(offset, payload);
            });
            if (topic.end_offset() <= Offset{last}) out.fault = "did not see its own record";
        }
    });
    if (error) out.fault = error->what();
}

/// Reads one record after the other until it has seen `count` of them.
std::string follow(NativeTopic const& topic, std::uint64_t count) {
    auto cursor = topic.partition(0).cursor();
    for (std::uint64_t expected = 0; expected < count;) {
        auto const record = cursor.next();
        if (!record) {
            std::this_thread::yield();
            continue;
        }
        if (record->offset() != Offset{expected++}) return "not the next offset";
        if (!read_payload(record->value())) return "not what anybody sent";
    }
    return {};
}

}  // namespace

TEST_CASE("four threads race over a thousand rolls beside a reader and one who asks for the end") {
    bool const has_keeper = GENERATE(true, false);
    constexpr std::uint64_t each = 9'000;
    World<NativePlatform> world;
    std::vector<Sent> sent(4);
    std::string reader_fault;
    std::string asker_fault;
    {
        auto log = world.open({.segment_bytes = small_segment, .keeper = has_keeper});
        auto const topic = log.topic<Bytes, Bytes>("t", topic_options(Sync::never));
        std::atomic<bool> is_over{false};
        std::jthread reader{[&] { reader_fault = follow(topic, 4 * each); }};
        std::jthread asker{[&] {
            for (Offset before; !is_over; std::this_thread::yield()) {
                Offset const end = topic.end_offset();
                if (end < before) asker_fault = "the end went back";
                before = end;
            }
        }};
        std::vector<std::jthread> senders;
        for (std::uint32_t id = 0; id < 4; ++id) {
            senders.emplace_back([&, id] { send_many(topic, id, each, sent[id]); });
        }
        senders.clear();
        reader.join();
        is_over = true;
    }
    CHECK(reader_fault == "");
    CHECK(asker_fault == "");
    SentRecords all;
    for (auto const& one : sent) {
        CHECK(one.fault == "");
        all.insert(one.records.begin(), one.records.end());
    }
    auto log = world.open();
    CHECK(log.recovery().was_clean());
    auto const found = find_records(log.topic<Bytes, Bytes>("t"));
    CHECK(missing(all, found) == "");
    CHECK(found.end == all.size());
    auto const names = names_in(world.directory("topics", "t", "0"));
    CHECK(std::count_if(names.begin(), names.end(),
                        [](auto const& name) { return name.ends_with(".seg"); }) > 1'000);
}

TEST_CASE("a send that races with close has returned and is kept, or throws closed and is not") {
    for (int round = 0; round < 20; ++round) {
        bool const has_keeper = round % 2 == 0;
        Sync const sync = static_cast<Sync>(round % 3);
        CAPTURE(round);
        World<NativePlatform> world;
        std::vector<Sent> sent(4);
        std::optional<Log> log{world.open({.segment_bytes = small_segment, .keeper = has_keeper})};
        auto const topic = log->topic<Bytes, Bytes>("t", topic_options(sync));
        std::vector<std::jthread> senders;
        for (std::uint32_t id = 0; id < 4; ++id) {
            senders.emplace_back([&, id] { send_many(topic, id, ~std::uint64_t{0}, sent[id]); });
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{round});
        log->close();
        // The lock is free at once, whoever still sends.
        auto again = world.open({.segment_bytes = small_segment});
        senders.clear();
        CHECK(again.recovery().was_clean());
        SentRecords all;
        for (auto const& one : sent) {
            CHECK(contains(one.fault, "closed: the log was closed"));
            all.insert(one.records.begin(), one.records.end());
        }
        auto const found = find_records(again.topic<Bytes, Bytes>("t"));
        CHECK(missing(all, found) == "");
        CHECK(found.end == all.size());
    }
}

// ---- a reader that is overtaken

TEST_CASE("whoever finds files removed under it looks again, as often as it takes") {
    Ground ground;
    MemoryLife life{ground};
    life.append("a");
    unsigned looks = 0;
    auto const found = life.state().find_again([&] {
        if (++looks < 20) detail::raise(Errc::not_found, "removed meanwhile");
        return looks;
    });
    CHECK(found == 20);
}

TEST_CASE("whoever finds nothing again and again is told in the end") {
    Ground ground;
    MemoryLife life{ground};
    auto const find = []() -> int { detail::raise(Errc::not_found, "never there"); };
    CHECK(code_of([&] { (void)life.state().find_again(find); }) == Errc::not_found);
}
