// SPDX-License-Identifier: MIT
// Lives without end: restarts and crashes by the thousand, segments by the thousand, clocks that
// jump, and what a log costs that does nothing.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "effort.hpp"
#include "senders.hpp"
#include "storage/lives.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

template <class P>
void append(BasicTopic<Bytes, Bytes, P> const& topic, std::size_t size = 100) {
    topic.partition(0).append({}, as_bytes(std::string(size, 'v')));
}

template <class P>
auto all_files(World<P> const& world) {
    return dump(world.machine.platform.open_directory(world.path, Access::write));
}

}  // namespace

TEST_CASE("a thousand clean restarts of an idle log change no byte of it") {
    World<MemoryPlatform> world;
    {
        auto log = world.open();
        append(log.topic<Bytes, Bytes>("used", {.partitions = 3}));
        (void)log.topic<Bytes, Bytes>("unused");
    }
    auto const before = all_files(world);
    for (int life = 0; life < 1'000; ++life) {
        auto log = world.open();
        CHECK(log.recovery().was_clean());
        CHECK(log.topic<Bytes, Bytes>("used").end_offset(0) == Offset{1});
        if (life % 2 == 0) log.close();
    }
    CHECK(all_files(world) == before);
}

TEST_CASE("a thousand crashes of a service that sends nothing cost nothing after the first") {
    World<MemoryPlatform> world;
    auto const crash = [&](auto const& life) {
        auto log = world.open({.segment_bytes = small_segment});
        life(log);
        world.machine.platform = world.machine.platform.after_process_death();
    };
    crash([](auto& log) { append(log.template topic<Bytes, Bytes>("t", {.partitions = 2})); });
    crash([](auto&) {});
    auto const before = all_files(world);
    for (int life = 0; life < 1'000; ++life) {
        crash([](auto& log) {
            CHECK(log.template topic<Bytes, Bytes>("t").end_offset() == Offset{1});
        });
    }
    CHECK(all_files(world) == before);
}

TEST_CASE("a restart that sends one record adds no file") {
    World<MemoryPlatform> world;
    { append(world.open().topic<Bytes, Bytes>("t")); }
    auto const names_of = [&] {
        std::vector<std::string> names;
        for (auto const& [name, bytes] : all_files(world)) names.push_back(name);
        return names;
    };
    auto const before = names_of();
    for (int life = 0; life < 1'000; ++life) {
        auto log = world.open();
        append(log.topic<Bytes, Bytes>("t"));
    }
    CHECK(names_of() == before);
    CHECK(world.open().topic<Bytes, Bytes>("t").end_offset() == Offset{1'001});
}

TEST_CASE("a crash after each record costs three blocks and two names, not a segment") {
    World<NativePlatform> world;
    constexpr std::uint64_t lives = 60;
    for (std::uint64_t life = 0; life < lives; ++life) {
        ::pid_t const child = ::fork();
        if (child == 0) {
            Log crashing{world.path, {.keeper = false}};
            append(crashing.topic<Bytes, Bytes>("t", {.sync = Sync::never}));
            ::_exit(0);
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(status == 0);
    }
    auto log = world.open();
    CHECK(log.topic<Bytes, Bytes>("t").end_offset() == Offset{lives});
    std::uint64_t blocks = 0;
    std::size_t files = 0;
    for (auto const& entry : std::filesystem::recursive_directory_iterator{world.path}) {
        struct stat status {};
        REQUIRE(::stat(entry.path().c_str(), &status) == 0);
        blocks += static_cast<std::uint64_t>(status.st_blocks);
        if (entry.is_regular_file()) ++files;
    }
    CHECK(files <= 2 * lives + 10);
    CHECK(blocks * 512 <= lives * 4 * 4096 + (64 << 10));
    note_figure("a crash after each record",
                std::to_string(blocks * 512 / lives) + " bytes and two files a life");
}

// ---- many segments

namespace {

/// What this process was given by read(2) and its like, in bytes.
std::uint64_t bytes_read() {
    std::ifstream file{"/proc/self/io"};
    std::string name;
    std::uint64_t value = 0;
    while (file >> name >> value) {
        if (name == "rchar:") return value;
    }
    return 0;
}

std::size_t mapped_segments() {
    std::ifstream file{"/proc/self/maps"};
    std::size_t count = 0;
    for (std::string line; std::getline(file, line);) count += line.ends_with(".seg") ? 1u : 0u;
    return count;
}

}  // namespace

TEST_CASE("opening many segments reads their first pages and seals, and maps none") {
    World<NativePlatform> world;
    std::uint64_t const segments = 200 + 100 * effort();
    {
        auto log = world.open({.segment_bytes = small_segment, .keeper = false});
        auto const topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
        for (std::uint64_t i = 0; i < segments * 7; ++i) append(topic, 8'000);
    }
    auto const before = bytes_read();
    auto const mapped = mapped_segments();
    auto const start = std::chrono::steady_clock::now();
    auto log = world.open({.segment_bytes = small_segment});
    auto const topic = log.topic<Bytes, Bytes>("t");
    std::chrono::duration<double> const opening = std::chrono::steady_clock::now() - start;
    CHECK(bytes_read() - before < segments * (4096 + 512) + (256 << 10));
    CHECK(mapped_segments() == mapped);
    CHECK(topic.end_offset() == Offset{segments * 7});

    auto cursor = topic.partition(0).cursor();
    Random random{segments};
    constexpr int seeks = 1'500;
    auto const first_seek = std::chrono::steady_clock::now();
    for (int i = 0; i < seeks; ++i) {
        Offset const offset{random.below(segments * 7)};
        cursor.seek(offset);
        CHECK(cursor.next()->offset() == offset);
    }
    std::chrono::duration<double, std::micro> const seeking =
        std::chrono::steady_clock::now() - first_seek;
    constexpr std::size_t stay_mapped = 256;  // those of a topic that were mapped last
    CHECK(mapped_segments() <= mapped + stay_mapped + 2);
    note_figure("a partition of " + std::to_string(segments) + " segments",
                "opened in " + std::to_string(opening.count()) + " s, a seek to any offset in " +
                    std::to_string(seeking.count() / seeks) + " us");
}

// ---- clocks that jump

TEST_CASE("records keep the stamps of a clock that jumps, and bounds in time mean the first one") {
    World<MemoryPlatform> world;
    auto log = world.open({.segment_bytes = small_segment});
    auto const topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
    Timestamp const noon{std::chrono::sys_days{std::chrono::year{2024} / 5 / 1} + 12h};
    std::vector<Timestamp> const stamps{noon,      noon + 1s,       noon + 24h * 365 * 200,
                                        noon - 1h, noon + 2s,       Timestamp::min(),
                                        noon + 3s, Timestamp::max()};
    for (auto const stamp : stamps) {
        world.machine.platform.set_time(stamp);
        append(topic, 8'000);
        append(topic, 8'000);  // every jump comes to lie in another segment, too
    }
    auto const offsets = [&](std::optional<Bound> from, std::optional<Bound> until) {
        std::vector<std::uint64_t> found;
        for (auto const& record : topic.replay({.from = from, .until = until})) {
            CHECK(record.timestamp() == stamps[record.offset().value() / 2]);
            found.push_back(record.offset().value());
        }
        return found;
    };
    CHECK(offsets({}, {}).size() == 16);
    CHECK(offsets({}, noon + 1s) == std::vector<std::uint64_t>{0, 1});
    // The first stamp at or behind the bound is the one far ahead.
    CHECK(offsets({}, noon + 2s) == std::vector<std::uint64_t>{0, 1, 2, 3});
    CHECK(offsets(noon + 2s, {}).front() == 4);
    CHECK(offsets(noon + 2s, {}).size() == 12);
    CHECK(offsets(noon + 1s, noon + 2s) == std::vector<std::uint64_t>{2, 3});
    CHECK(offsets(Timestamp::max(), {}) == std::vector<std::uint64_t>{14, 15});
    CHECK(offsets(Timestamp::min(), {}).size() == 16);
    CHECK(offsets({}, Timestamp::min()).empty());
}

TEST_CASE(
    "the system clock's jumps neither hasten nor hold up the sync that an interval promises") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto const topic = log.topic<Bytes, Bytes>("t", {.sync_interval = 10s});
    auto& machine = world.machine.platform;
    for (auto const jump : {-24h * 365, 24h * 365 * 100, 0h}) {
        append(topic);
        auto const end = topic.end_offset();
        CHECK(topic.durable_offset() < end);
        machine.set_time(machine.now() + jump);
        append(topic);
        CHECK(topic.durable_offset() < end);
        machine.advance(10s);
        append(topic);
        CHECK(topic.durable_offset() == topic.end_offset());
        machine.advance(1s);
    }
}

// ---- what idleness costs

namespace {

std::uint64_t status_of(char const* field) {
    std::ifstream file{"/proc/self/status"};
    for (std::string word; file >> word;) {
        std::uint64_t value = 0;
        if (word == field && file >> value) return value;
    }
    return 0;
}

/// How often the other threads of this process, of which there are two, have gone to sleep.
std::uint64_t sleeps_of_keeper() {
    std::uint64_t count = 0;
    for (auto const& entry : std::filesystem::directory_iterator{"/proc/self/task"}) {
        if (entry.path().filename() == std::to_string(::getpid())) continue;
        std::ifstream file{entry.path() / "status"};
        for (std::string word; file >> word;) {
            std::uint64_t value = 0;
            if (word == "voluntary_ctxt_switches:" && file >> value) count += value;
        }
    }
    return count;
}

}  // namespace

TEST_CASE("an idle log of many partitions has two threads, which sleep, and little memory") {
    World<NativePlatform> world;
    std::uint32_t const count = 50 * effort();
    { (void)world.open().topic<Bytes, Bytes>("t", {.partitions = count}); }
    auto const before = status_of("VmRSS:");
    auto log = world.open();
    auto const topic = log.topic<Bytes, Bytes>("t", {.sync_interval = 10ms});
    auto const opened = status_of("VmRSS:");
    CHECK(status_of("Threads:") == 3);
    CHECK(opened < before + 4'096);
    for (std::uint32_t i = 0; i < count; ++i) topic.partition(i).append({}, as_bytes("v"));
    bool rests = false;
    for (int i = 0; i < 40 && !rests; ++i) {
        auto const sleeps = sleeps_of_keeper();
        std::this_thread::sleep_for(300ms);
        rests = sleeps_of_keeper() == sleeps;
    }
    CHECK(rests);
    CHECK(status_of("VmRSS:") < opened + 4'096 + 64 * count);
    note_figure("an idle log of " + std::to_string(count) + " partitions",
                std::to_string(opened - before) + " KiB opened, " +
                    std::to_string(status_of("VmRSS:") - opened) +
                    " KiB more with a record in each, one sleeping thread");
}
