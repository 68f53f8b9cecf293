// SPDX-License-Identifier: MIT
// Process death and power loss at any step of a run of several threads, which take turns: what a
// send had returned is kept, or was not yet promised to be.
#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include "catch.hpp"
#include "senders.hpp"
#include "turns.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

/// What was true at one instant.
struct Instant {
    std::optional<MemoryPlatform> dead{};  ///< the machine without its process
    std::optional<MemoryPlatform> off{};   ///< and after power loss
    SentRecords sent{};                    ///< whose send had returned
    std::uint64_t durable = 0;             ///< promised: all below
};

struct Run {
    std::uint64_t seed;
    Sync sync;
    SentRecords sent{};
    std::uint64_t durable = 0;
};

void send(Run& run, BasicTopic<Bytes, Bytes, TurnPlatform> const& topic, std::uint32_t id) {
    Sender sender{id, run.seed};
    for (int i = 0; i < 14; ++i) {
        std::uint64_t end = 0;
        sender.send(topic, [&](std::uint64_t offset, Payload const& payload) {
            run.sent.emplace(offset, payload);
            end = offset + 1;
        });
        if (run.sync == Sync::always) run.durable = std::max(run.durable, end);
        if (!sender.random().one_in(10)) continue;
        end = topic.end_offset().value();
        topic.flush();
        run.durable = std::max(run.durable, end);
    }
}

/// Runs senders on a log; `instant` is taken at a random step. Returns all that was sent.
SentRecords run_senders(std::uint64_t seed, Random& random, Instant& instant) {
    bool const has_keeper = !random.one_in(4);
    std::uint64_t const step = 200 + random.below(3'000);
    auto const senders = static_cast<std::uint32_t>(2 + random.below(3));
    Run run{seed, static_cast<Sync>(random.below(3))};
    TurnPlatform machine;
    Turns turns{seed, machine};
    turns.at_step(step, [&] {
        instant = {machine.after_process_death(), machine.after_power_loss(seed), run.sent,
                   run.durable};
    });
    turns.run([&] {
        BasicLog<TurnPlatform> log{
            "log", {.segment_bytes = 64 << 10, .keeper = has_keeper}, machine};
        auto topic = log.topic<Bytes, Bytes>("t", {.sync = run.sync, .sync_interval = 100us});
        std::vector<TurnThread> threads;
        for (std::uint32_t id = 0; id < senders; ++id) {
            threads.emplace_back([&run, &topic, id] { send(run, topic, id); });
        }
    });
    return std::move(run.sent);
}

using MemoryTopic = BasicTopic<Bytes, Bytes, MemoryPlatform>;

/// Each record that is found is the one that was sent with that offset, now or later.
void require_sent(SentRecords const& sent, FoundRecords const& found) {
    REQUIRE(found.fault == "");
    for (auto const& [offset, payload] : found.records) {
        auto const place = sent.find(offset);
        REQUIRE(place != sent.end());
        REQUIRE(place->second == payload);
    }
}

/// A reader finds what the writer finds; then appending goes on, and all is there another time.
template <class Check>
void recover(MemoryPlatform const& machine, Check const& check) {
    LogOptions const options{.segment_bytes = 64 << 10};
    FoundRecords read;
    {
        MemoryLog log{"log", {.read_only = true}, machine};
        if (log.topics().empty()) return;  // before there was a topic
        read = find_records(log.topic<Bytes, Bytes>("t"));
        check(read);
    }
    FoundRecords before;
    {
        MemoryLog log{"log", options, machine};
        auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
        before = find_records(topic);
        REQUIRE(before.records == read.records);
        REQUIRE(before.end == read.end);
        Sender sender{99, 1};
        std::uint64_t next = before.end;
        while (next < before.end + 12) {
            sender.send(topic, [&](std::uint64_t offset, Payload const& payload) {
                REQUIRE(offset == next++);
                before.records.emplace(offset, payload);
            });
        }
        REQUIRE(missing(before.records, find_records(topic)) == "");
    }
    for (auto const& left : {machine.after_power_loss(), machine}) {
        MemoryLog log{"log", options, left};
        REQUIRE(log.recovery().was_clean());
        auto const again = find_records(log.topic<Bytes, Bytes>("t"));
        REQUIRE(again.records == before.records);
    }
}

}  // namespace

TEST_CASE("whatever step of several threads a death falls on, what was promised is kept") {
    std::uint64_t voids = 0;
    std::uint64_t lost = 0;
    for (std::uint64_t seed = 1; seed <= 1200; ++seed) {
        CAPTURE(seed);
        Random random{seed};
        Instant instant;
        auto const sent = run_senders(seed, random, instant);
        if (!instant.dead) continue;  // it had ended before
        {
            INFO("process death");
            recover(*instant.dead, [&](FoundRecords const& found) {
                require_sent(sent, found);
                REQUIRE(missing(instant.sent, found) == "");
                voids += found.voids();
            });
        }
        {
            INFO("power loss");
            recover(*instant.off, [&](FoundRecords const& found) {
                require_sent(sent, found);
                REQUIRE(missing(instant.sent, found, instant.durable) == "");
                REQUIRE(found.voids() == 0);  // a prefix of what was sent
                if (!instant.sent.empty()) {
                    std::uint64_t const end = instant.sent.rbegin()->first + 1;
                    lost += end - std::min(end, found.end);
                }
            });
        }
    }
    // Deaths that leave nothing to repair would prove nothing.
    CHECK(voids > 30);
    CHECK(lost > 100);
}
