// SPDX-License-Identifier: MIT
// What the keeper does in time, and that it sleeps when there is nothing to do.
#include <annals/storage/keeper.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "catch.hpp"
#include "senders.hpp"
#include "storage/lives.hpp"
#include "turns.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

/// Whether it comes to hold within so long; noisy machines get their time.
template <class Condition>
bool comes_true(Condition const& condition, std::chrono::nanoseconds within = 10s) {
    auto const give_up = std::chrono::steady_clock::now() + within;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > give_up) return false;
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

std::set<std::string> threads_now() {
    std::set<std::string> ids;
    for (auto const& entry : std::filesystem::directory_iterator{"/proc/self/task"}) {
        ids.insert(entry.path().filename());
    }
    return ids;
}

/// How often a thread of this process has gone to sleep.
std::uint64_t sleeps_of(std::string const& thread) {
    std::ifstream file{"/proc/self/task/" + thread + "/status"};
    for (std::string word; file >> word;) {
        if (word != "voluntary_ctxt_switches:") continue;
        std::uint64_t count = 0;
        file >> count;
        return count;
    }
    return 0;
}

/// A log whose keeper's threads are known.
struct Watched {
    World<NativePlatform> world{};
    std::optional<Log> log{};
    std::set<std::string> keeper{};

    Watched() {
        auto const before = threads_now();
        log.emplace(world.open({.segment_bytes = small_segment}));
        for (auto const& id : threads_now()) {
            if (!before.contains(id)) keeper.insert(id);
        }
        REQUIRE(keeper.size() == 2);
    }

    [[nodiscard]] std::uint64_t sleeps() const {
        std::uint64_t count = 0;
        for (std::string const& thread : keeper) count += sleeps_of(thread);
        return count;
    }

    /// Whether the keeper comes to sleep through a third of a second.
    [[nodiscard]] bool comes_to_rest() const {
        return comes_true([&] {
            auto const before = sleeps();
            std::this_thread::sleep_for(300ms);
            return sleeps() == before;
        });
    }
};

}  // namespace

TEST_CASE("records of Sync::interval are synced by the keeper within a few intervals") {
    World<NativePlatform> world;
    auto log = world.open();
    auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::interval, .sync_interval = 20ms});
    for (int i = 1; i <= 5; ++i) {
        append_to(topic, 1);
        Offset const end{static_cast<std::uint64_t>(i)};
        auto const sent = std::chrono::steady_clock::now();
        CHECK(comes_true([&] { return topic.durable_offset() == end; }));
        CHECK(std::chrono::steady_clock::now() - sent < 2s);
    }
}

TEST_CASE("the keeper syncs once an interval, not at every record") {
    TurnPlatform machine;
    Turns{1, machine}.run([&] {
        BasicLog<TurnPlatform> log{"log", {}, machine};
        auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::interval, .sync_interval = 1s});
        append_to(topic, 1, 100);
        std::set<std::uint64_t> ends;
        auto const start = machine.steady_now();
        while (machine.steady_now() < start + 10s) {
            append_to(topic, 1, 100);
            machine.wait({}, 10ms);
            ends.insert(topic.durable_offset().value());
        }
        CHECK(ends.size() >= 8);
        CHECK(ends.size() <= 12);
        machine.wait({}, 1100ms);
        CHECK(topic.durable_offset() == topic.end_offset());
    });
}

TEST_CASE("Sync::never leaves syncing to the kernel, but for segments that were rolled") {
    TurnPlatform machine;
    Turns{1, machine}.run([&] {
        BasicLog<TurnPlatform> log{"log", {.segment_bytes = small_segment}, machine};
        auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
        append_to(topic, 10);
        machine.wait({}, 1h);
        CHECK(topic.durable_offset() == Offset{7});
    });
}

TEST_CASE("an interval given later, or made shorter, holds for what comes then") {
    TurnPlatform machine;
    Turns{1, machine}.run([&] {
        BasicLog<TurnPlatform> log{"log", {}, machine};
        auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
        append_to(topic, 1);
        machine.wait({}, 1h);
        (void)log.topic<Bytes, Bytes>("t", {.sync = Sync::interval, .sync_interval = 24h});
        append_to(topic, 1);
        machine.wait({}, 1h);
        CHECK(topic.durable_offset() == Offset{0});
        (void)log.topic<Bytes, Bytes>("t", {.sync_interval = 1s});
        append_to(topic, 1);
        machine.wait({}, 2s);
        CHECK(topic.durable_offset() == Offset{3});
    });
}

TEST_CASE("the keeper of an idle log sleeps: before the first record, and after the last") {
    Watched watched;
    CHECK(watched.comes_to_rest());
    Sync const sync = GENERATE(Sync::never, Sync::interval, Sync::always);
    CAPTURE(static_cast<int>(sync));
    auto topic = watched.log->topic<Bytes, Bytes>(
        "t", {.partitions = 3, .sync = sync, .sync_interval = 10ms});
    CHECK(watched.comes_to_rest());
    for (int round = 0; round < 2; ++round) {
        append_to(topic, 12);
        topic.partition(2).append({}, as_bytes("v"));
        CHECK(watched.comes_to_rest());
    }
    // At rest everything is done: what the interval promises, and the spare of a segment that is
    // more than half full.
    if (sync != Sync::never) CHECK(topic.durable_offset() == topic.end_offset());
}

TEST_CASE(
    "after a failed sync the keeper tells it, copies what is in doubt, tells that, and rests") {
    TurnPlatform machine;
    std::vector<std::string> told;
    auto const handler = [&](Event const& event) {
        CHECK(event.kind == Event::Kind::sync_error);
        told.push_back(event.message);
    };
    Turns{3, machine}.run([&] {
        BasicLog<TurnPlatform> log{"log", {.on_event = handler}, machine};
        auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::interval, .sync_interval = 1s});
        append_to(topic, 1);
        machine.fail_next(Operation::sync, EIO);
        machine.wait({}, 1min);
        REQUIRE(told.size() == 2);
        CHECK(contains(told[0], "not synced"));
        CHECK(contains(told[1], "from offset 0 on were copied to a new file"));
        CHECK(topic.durable_offset() == Offset{1});
        CHECK(code_of([&] { append_to(topic, 1); }) == Errc::ok);
    });
    CHECK(told.size() == 2);
}

TEST_CASE("after a failed sync the keeper of an otherwise idle log makes no further steps") {
    TurnPlatform machine;
    Turns turns{3, machine};
    turns.run([&] {
        BasicLog<TurnPlatform> log{"log", {}, machine};
        auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::interval, .sync_interval = 1s});
        append_to(topic, 1);
        machine.fail_next(Operation::sync, EIO);
        machine.wait({}, 1min);
        auto const before = turns.steps();
        machine.wait({}, 24h);
        CHECK(turns.steps() - before < 10'000);
        (void)error_of([&] { log.close(); });
    });
}

TEST_CASE("a full disk is told once, asked again now and then, and gone when there is space") {
    TurnPlatform machine;
    std::vector<Event> events;
    Turns turns{5, machine};
    turns.run([&] {
        LogOptions const options{.segment_bytes = small_segment,
                                 .on_event = [&](Event const& e) { events.push_back(e); }};
        BasicLog<TurnPlatform> log{"log", options, machine};
        auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
        append_to(topic, 1);
        machine.set_free_space(0);
        append_to(topic, 4);
        auto const before = turns.steps();
        machine.wait({}, 10s);
        CHECK(turns.steps() - before < 100'000);
        CHECK(events.size() == 1);
        for (auto const& event : events) {
            CHECK(event.kind == Event::Kind::allocation_error);
            CHECK(contains(event.message, "no_space"));
        }
        append_to(topic, 2);
        CHECK(code_of([&] { append_to(topic, 1); }) == Errc::no_space);
        machine.clear_free_space();
        machine.wait({}, 1s);
        CHECK(code_of([&] { append_to(topic, 1); }) == Errc::ok);
    });
}

TEST_CASE("the keeper makes the next segment once the active one is half full, not before") {
    World<NativePlatform> world;
    auto log = world.open({.segment_bytes = small_segment});
    auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
    auto const has_spare = [&] {
        auto const names = names_in(world.directory("topics", "t", "0"));
        return std::find(names.begin(), names.end(), "00000002.seg") != names.end();
    };
    append_to(topic, 2);
    std::this_thread::sleep_for(50ms);
    CHECK_FALSE(has_spare());
    append_to(topic, 2);
    CHECK(comes_true(has_spare));
}

TEST_CASE("a topic can be removed while the keeper works on it, whatever the order of steps") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        TurnPlatform machine;
        Turns{seed, machine}.run([&] {
            BasicLog<TurnPlatform> log{"log", {.segment_bytes = small_segment}, machine};
            auto kept = log.topic<Bytes, Bytes>("kept", {.sync = Sync::always});
            auto removed = log.topic<Bytes, Bytes>(
                "removed", {.sync = Sync::interval, .sync_interval = std::chrono::microseconds{9}});
            append_to(removed, 1);
            TurnThread sender{[&] {
                auto const error = error_of([&] { append_to(removed, 30); });
                if (error) CHECK(error->code() == Errc::closed);
                append_to(kept, 3);
            }};
            for (std::uint64_t i = 0; i < seed % 100; ++i) Turns::let_others();
            log.remove_topic("removed");
            CHECK(log.topics() == std::vector<std::string>{"kept"});
            auto again = log.topic<Bytes, Bytes>("removed");
            CHECK(again.end_offset() == Offset{0});
            append_to(again, 1);
            sender.join();
            CHECK(kept.end_offset() == Offset{3});
        });
        MemoryLog log{"log", {}, machine};
        CHECK(log.recovery().was_clean());
        CHECK(log.topic<Bytes, Bytes>("removed").end_offset() == Offset{1});
    }
}

// ---- readers in another process

namespace {

/// In a process of its own: waits, each time for long, on the word of the partition's segment, and
/// returns 0 if it was woken for each of `rounds` records in good time.
int wait_in_child(std::string const& path, int rounds) {
    storage::LogState<NativePlatform> log{path, {.read_only = true}, {}};
    auto const topic = log.open_topic("t", {codec_name<Bytes>(), codec_name<Bytes>(), {}});
    auto& state = *topic->partition(0);
    auto const give_up = std::chrono::steady_clock::now() + 20s;
    std::uint64_t seen = 0;
    int slow = 0;
    while (seen < static_cast<std::uint64_t>(rounds)) {
        if (std::chrono::steady_clock::now() > give_up) return 2;
        storage::Segment<NativePlatform>::Pin pin;
        auto const word = state.wait_word(pin);
        state.refresh();
        if (std::uint64_t const end = state.published_end(); end > seen || !word) {
            seen = end;
            if (!word) std::this_thread::sleep_for(1ms);
            continue;
        }
        WaitWord const words[] = {*word};
        auto const start = std::chrono::steady_clock::now();
        state.platform().wait(words, 3s);
        if (std::chrono::steady_clock::now() - start > 2s) ++slow;
    }
    return slow > 1 ? 3 : 0;
}

}  // namespace

TEST_CASE("a process that waits on a segment's word is woken by the writer's keeper") {
    World<NativePlatform> world;
    // Large values roll the segment at every seventh record.
    std::size_t const size = GENERATE(as<std::size_t>{}, 10, 8000);
    { append_to(world.open({.segment_bytes = small_segment}).topic<Bytes, Bytes>("t"), 1, size); }
    ::pid_t const child = ::fork();
    if (child == 0) ::_exit(wait_in_child(world.path, 30));
    REQUIRE(child > 0);
    {
        auto log = world.open({.segment_bytes = small_segment});
        auto topic = log.topic<Bytes, Bytes>("t");
        for (int i = 0; i < 30; ++i) {
            std::this_thread::sleep_for(15ms);
            append_to(topic, 1, size);
        }
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a consumer in another process gets records soon, without asking all the time") {
    World<NativePlatform> world;
    { (void)world.open().topic<Bytes, Bytes>("t"); }
    ::pid_t const child = ::fork();
    if (child == 0) {
        Log log{world.path, {.read_only = true}};
        auto consumer = log.topic<Bytes, Bytes>("t").consumer();
        std::size_t seen = 0;
        for (int i = 0; i < 40 && seen < 20; ++i) seen += consumer.poll(1s).size();
        std::timespec used{};
        ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
        bool const is_idle = used.tv_sec == 0 && used.tv_nsec < 400'000'000;
        ::_exit(seen == 20 ? (is_idle ? 0 : 4) : 5);
    }
    REQUIRE(child > 0);
    {
        auto log = world.open();
        auto topic = log.topic<Bytes, Bytes>("t");
        for (int i = 0; i < 20; ++i) {
            std::this_thread::sleep_for(20ms);
            append_to(topic, 1, 100);
        }
        std::this_thread::sleep_for(100ms);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("readers of other processes that cannot be woken are no trouble, and no unrest") {
    MemoryPlatform machine;
    storage::LogState<MemoryPlatform> log{"log", {}, machine};
    auto const state =
        log.open_topic("t", {codec_name<Bytes>(), codec_name<Bytes>(), {.sync = Sync::always}});
    append_to(BasicTopic<Bytes, Bytes, MemoryPlatform>{state, Access::write}, 1);
    auto& partition = *state->partition(0);
    machine.fail_next(Operation::open, EMFILE);
    auto const missed = partition.track();
    CHECK_FALSE(machine.has_failures());
    CHECK(missed.is_busy);
    CHECK_FALSE(missed.trouble);
    CHECK_FALSE(partition.track().is_busy);
}

TEST_CASE("what was rolled is completed in steps, none of which has more than one segment") {
    constexpr unsigned rolled = 4;
    Ground const ground;
    MemoryLife life{ground, MemoryLife::Keeper::by_hand};
    life.append_large(7 * rolled + 1);
    auto& writer = life.state().writer();
    unsigned pieces = 0;
    std::uint64_t durable = 0;
    while (writer.complete_rolled_step()) {
        std::uint64_t const now = writer.durability().durable_offset();
        CHECK((now == durable || now == durable + 7));
        pieces += now == durable ? 1 : 0;
        durable = now;
    }
    CHECK(pieces == rolled);
    CHECK(durable == 7 * rolled);
}
