// SPDX-License-Identifier: MIT
// Real disks that are full: a tmpfs and an ext4. An error of the call, never a signal, which would
// end this program; what was there stays readable and recoverable, and it goes on with new space.
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <iostream>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "limits/small_disk.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

using BytesTopic = Topic<Bytes, Bytes>;

constexpr unsigned senders = 4;
constexpr std::uint64_t segment = 256 << 10;

/// Says why a test could not run; false then.
bool is_usable(SmallDisk const& disk) {
    if (disk) return true;
    std::cerr << "skipped: " << disk.why_not() << '\n';
    WARN("skipped: " << disk.why_not());
    return false;
}

/// How many were sent, in memory that outlives the child that counts there.
struct Counters {
    std::atomic<std::uint64_t> sent{0};
    std::atomic<unsigned> full{0};   // senders that were told
    std::atomic<unsigned> wrong{0};  // told something else
    std::atomic<bool> is_done{false};

    static Counters& make() {
        void* const memory = ::mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        REQUIRE(memory != MAP_FAILED);
        return *new (memory) Counters;
    }
};

std::optional<Error> try_to_send(BytesTopic const& topic, std::size_t size = 3000) {
    std::string const value(size, 'v');
    return error_of([&] { topic.producer().send({}, as_bytes(value)); });
}

/// What it says; empty where there is none.
std::string said(std::optional<Error> const& error) { return error ? error->what() : ""; }

bool is_full(std::optional<Error> const& error) {
    return error && error->code() == Errc::no_space && error->system_code() == ENOSPC;
}

/// All threads send until each of them was told that there is no space, and told so again.
void send_until_full(BytesTopic const& topic, Counters& counters) {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < senders; ++i) {
        threads.emplace_back([&] {
            auto error = try_to_send(topic);
            for (; !error; error = try_to_send(topic)) ++counters.sent;
            if (!is_full(error)) ++counters.wrong;
            ++counters.full;
        });
    }
}

std::uint64_t count_in(BytesTopic const& topic) {
    std::uint64_t count = 0;
    for (auto const& record : topic.replay({.check = Check::always})) {
        if (as_text(record.value()).find_first_not_of('v') == std::string_view::npos) ++count;
    }
    return count;
}

struct Setting {
    DiskKind disk;
    Sync sync;
    bool keeper;
};

Setting any_setting() {
    return {GENERATE(DiskKind::tmpfs, DiskKind::ext4), GENERATE(Sync::never, Sync::always),
            GENERATE(true, false)};
}

/// A life that fills the disk, to the last block, and then does nothing more.
[[noreturn]] void live(SmallDisk const& disk, std::string const& path, Setting const& setting,
                       Counters& counters) {
    auto const error = error_of([&] {
        Log log{path, {.segment_bytes = segment, .keeper = setting.keeper}};
        auto const topic = log.topic<Bytes, Bytes>("t", {.partitions = 2, .sync = setting.sync});
        send_until_full(topic, counters);
        disk.fill();
        send_until_full(topic, counters);
        topic.flush();
        if (count_in(topic) != counters.sent) ++counters.wrong;
        counters.is_done = true;
        ::pause();
    });
    std::cerr << (error ? error->what() : "?") << '\n';
    ::_exit(1);
}

}  // namespace

TEST_CASE("a disk that fills up is told to all senders, and outlived by what was sent") {
    auto const setting = any_setting();
    CAPTURE(static_cast<int>(setting.disk), static_cast<int>(setting.sync), setting.keeper);
    SmallDisk const disk{setting.disk, setting.disk == DiskKind::tmpfs ? "4m" : "12m"};
    if (!is_usable(disk)) return;
    disk.fill(std::uint64_t{2} << 20);  // what is freed later
    auto const path = disk.path() + "/log";
    Counters& counters = Counters::make();
    ::pid_t const child = ::fork();
    if (child == 0) live(disk, path, setting, counters);
    REQUIRE(child > 0);
    int status = 0;
    while (!counters.is_done && ::waitpid(child, &status, WNOHANG) == 0) {
        std::this_thread::sleep_for(1ms);
    }
    REQUIRE(counters.is_done);
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    CHECK(counters.wrong == 0);
    CHECK(counters.full == 2 * senders);
    CHECK(counters.sent > 100);

    // The writer died, and the disk is still full.
    {
        Log reader{path, {.read_only = true}};
        CHECK(count_in(reader.topic<Bytes, Bytes>("t")) == counters.sent);
    }
    {
        Log log{path, {.segment_bytes = segment, .keeper = setting.keeper}};
        auto const topic = log.topic<Bytes, Bytes>("t");
        CHECK(count_in(topic) == counters.sent);
        disk.fill();
        auto consumer = topic.consumer({.group = "g"});
        CHECK(consumer.poll(0ns, 10).size() == 10);
        CHECK(code_of([&] { consumer.commit(); }) == Errc::no_space);
        CHECK(code_of([&] { (void)log.topic<Bytes, Bytes>("new"); }) == Errc::no_space);
        CHECK(log.topics() == std::vector<std::string>{"t"});
        CHECK(is_full(try_to_send(topic)));
        disk.free();
        consumer.commit();
        for (std::uint32_t i = 0; i < 2; ++i, ++counters.sent) {
            topic.partition(i).append({}, as_bytes("v"));
        }
        send_until_full(topic, counters);
        disk.fill();
        CHECK(count_in(topic) == counters.sent);
    }
    // Closed on the full disk, and opened there.
    Log log{path, {.segment_bytes = segment, .keeper = setting.keeper}};
    CHECK(log.recovery().was_clean());
    auto const topic = log.topic<Bytes, Bytes>("t");
    CHECK(count_in(topic) == counters.sent);
    CHECK(topic.consumer({.group = "g"}).committed(0));
    CHECK(counters.wrong == 0);
}

TEST_CASE("a log or topic that has no room leaves nothing behind, however little is missing") {
    auto const kind = GENERATE(DiskKind::tmpfs, DiskKind::ext4);
    SmallDisk const disk{kind, kind == DiskKind::tmpfs ? "1m" : "12m"};
    if (!is_usable(disk)) return;
    bool has_failed = true;
    for (std::uint64_t room = 0; has_failed; room += 16 << 10) {
        CAPTURE(static_cast<int>(kind), room);
        auto const path = disk.path() + "/log";
        disk.fill(room);
        has_failed = false;
        std::optional<Log> log;
        auto const open = [&] { log.emplace(path, LogOptions{.segment_bytes = 64 << 10}); };
        if (auto const error = error_of(open)) {
            CHECK(error->code() == Errc::no_space);
            has_failed = true;
        }
        auto const make = [&] { (void)log->topic<Bytes, Bytes>("t", {.partitions = 8}); };
        if (auto const error = log ? error_of(make) : std::nullopt) {
            CHECK(error->code() == Errc::no_space);
            CHECK(std::filesystem::is_empty(path + "/topics"));
            has_failed = true;
        }
        disk.free();
        if (!log) open();
        make();
        CHECK(said(try_to_send(log->topic<Bytes, Bytes>("t"))) == "");
        log.reset();
        std::filesystem::remove_all(path);
        REQUIRE(room < (1 << 20));
    }
}

TEST_CASE(
    "a log that was copied with holes where zeros were gets its blocks before it is written") {
    auto const kind = GENERATE(DiskKind::tmpfs, DiskKind::ext4);
    auto const is_closed = GENERATE(true, false);
    CAPTURE(static_cast<int>(kind), is_closed);
    SmallDisk const disk{kind, kind == DiskKind::tmpfs ? "8m" : "20m"};
    if (!is_usable(disk)) return;
    if (kind == DiskKind::tmpfs && !is_closed) return;  // there reading a hole takes a page, too
    auto const original = disk.path() + "/original";
    auto const copy = disk.path() + "/copy";
    {
        Log log{original};
        auto const topic = log.topic<Bytes, Bytes>("t");
        for (int i = 0; i < 5; ++i) CHECK(said(try_to_send(topic, 120'000)) == "");
        std::this_thread::sleep_for(50ms);  // the keeper makes the next segment
        auto const duplicate = "cp -r --sparse=always " + original + " " + copy;
        if (!is_closed) REQUIRE(SmallDisk::runs(duplicate));
        log.close();
        if (is_closed) REQUIRE(SmallDisk::runs(duplicate));
    }
    std::filesystem::remove_all(original);
    disk.fill();
    CHECK(outcome_in_child([&] {
              Log log{copy};
              auto const topic = log.topic<Bytes, Bytes>("t");
              if (count_in(topic) != 5) return 2;
              auto error = try_to_send(topic, 120'000);
              std::uint64_t sent = 5;
              for (; !error; error = try_to_send(topic, 120'000)) ++sent;
              if (!is_full(error)) return 3;
              disk.free();
              if (try_to_send(topic)) return 4;
              return count_in(topic) == sent + 1 ? 0 : 5;
          }) == 0);
}
