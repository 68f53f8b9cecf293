// SPDX-License-Identifier: MIT
// Processes that read beside processes that write: through thousands of rolls, deaths with open
// claims, successions, from read-only mounts, and killed themselves; and copies of a live log.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <annals/annals.hpp>

#include "../child.hpp"
#include "../effort.hpp"
#include "../files.hpp"
#include "../numbered.hpp"
#include "../senders.hpp"
#include "../world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

/// Rolls by the thousand would take minutes on a busy disk.
struct FolderInMemory {
    FolderInMemory() {
        if (std::filesystem::is_directory("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", 1);
    }
    FolderInMemory(FolderInMemory const&) = delete;
    FolderInMemory& operator=(FolderInMemory const&) = delete;
    ~FolderInMemory() { ::unsetenv("TMPDIR"); }
};

LogOptions patient() { return {.segment_bytes = 64u << 10, .lock_timeout = 20s}; }

std::int64_t value(std::uint64_t offset) { return static_cast<std::int64_t>(offset); }

/// Sends `count` numbers, each its own offset.
void send_more(Log& log, int count) {
    auto topic = numbers_topic(log);
    auto const first = value(topic.end_offset().value());
    auto producer = topic.producer();
    for (std::int64_t i = 0; i < count; ++i) producer.send("k", first + i);
}

/// How many numbers the topic holds; each must be its own offset.
std::int64_t numbers_in(Topic<std::string, std::int64_t> const& topic) {
    std::int64_t next = 0;
    for (auto const& record : topic.replay()) {
        if (record.value() != next++) throw std::runtime_error{"another record"};
    }
    return next;
}

double processor_milliseconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    auto const ms = [](timeval time) {
        return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
    };
    return ms(usage.ru_utime) + ms(usage.ru_stime);
}

/// Numbers in batches of three, until it is killed; says when it begins.
void send_threes_for_ever(World<NativePlatform>& world, Child const& parent) {
    auto log = world.open(patient());
    auto topic = numbers_topic(log);
    parent.say();
    for (std::int64_t i = 0;; i += 3) {
        topic.producer().send_batch("k", {i, i + 1, i + 2});
        if (i % 300 == 0) std::this_thread::sleep_for(1ms);  // else it grows beyond all copying
    }
}

/// Copies the log, which a process appends threes to: reads and recovers that, and goes on in it.
/// Returns how many records it had.
std::uint64_t require_copy_is_prefix(World<NativePlatform> const& world) {
    World<NativePlatform> copy;
    // What is removed while it copies makes it complain, and harms nothing.
    std::string const command = "cp -r '" + world.path + "' '" + copy.path + "' 2>/dev/null";
    (void)!std::system(command.c_str());
    std::int64_t records = 0;
    {
        auto reader = copy.attach();
        auto topic = numbers_topic(reader);
        records = numbers_in(topic);
        CHECK(records % 3 == 0);
        CHECK(topic.end_offset() == Offset{static_cast<std::uint64_t>(records)});
    }
    auto log = copy.open(patient());
    for (auto const& partition : log.recovery().partitions) {
        CHECK(partition.ending == Ending::power_loss);
        CHECK(partition.records_voided == 0);
    }
    send_more(log, 2000);
    log.close();
    auto reader = copy.attach();
    CHECK(numbers_in(numbers_topic(reader)) == records + 2000);
    return static_cast<std::uint64_t>(records);
}

}  // namespace

TEST_CASE("readers in other processes stay dense and right through thousands of rolls") {
    FolderInMemory const folder;
    World<NativePlatform> world;
    std::uint64_t const rolls = 2000 * effort();
    constexpr std::uint64_t each = 12;  // records of 5000 bytes fill a segment
    std::uint64_t const count = rolls * each;
    std::string const text(5000, 'x');
    auto log = world.open(patient());
    auto topic = log.topic<std::string, std::string>("texts");
    auto const text_of = [&](std::uint64_t offset) { return std::to_string(offset) + text; };
    auto const check = [&](auto const& record, std::uint64_t offset) {
        require(record.offset() == Offset{offset}, "not dense");
        require(record.value() == text_of(offset), "another record");
    };
    std::vector<std::unique_ptr<Child>> readers;
    readers.push_back(std::make_unique<Child>([&](Child const& parent) {
        auto attached = world.attach();
        auto consumer = attached.topic<std::string, std::string>("texts").consumer();
        parent.say();
        std::uint64_t next = 0;
        while (next < count) {
            for (auto const& record : consumer.poll(60s)) check(record, next++);
        }
    }));
    readers.push_back(std::make_unique<Child>([&](Child const& parent) {
        auto attached = world.attach();
        auto read = attached.topic<std::string, std::string>("texts");
        parent.say();
        for (std::uint64_t end = 0; end < count;) {
            end = read.end_offset().value();
            std::uint64_t const from = end - std::min<std::uint64_t>(end, 100);
            std::uint64_t next = from;
            for (auto const& record : read.replay({.from = Offset{from}})) check(record, next++);
            require(next >= end, "less than was published");
        }
    }));
    for (auto const& reader : readers) reader->hear();
    auto producer = topic.producer();
    for (std::uint64_t i = 0; i < count; ++i) producer.send("k", text_of(i));
    for (auto const& reader : readers) CHECK(reader->join() == 0);
    note_figure("readers in other processes through rolls",
                std::to_string(rolls) + " rolls, " + std::to_string(count) +
                    " records, each read twice, dense and right");
}

TEST_CASE("what a reader was handed stays so through the deaths and recoveries of its writers") {
    FolderInMemory const folder;
    World<NativePlatform> world;
    Random random{static_cast<std::uint64_t>(::getpid())};
    auto const write = [&](std::uint32_t life) {
        return std::make_unique<Child>([&world, life](Child const& parent) {
            auto log = world.open(patient());
            auto const topic = log.topic<Bytes, Bytes>("records", {.sync = Sync::never});
            parent.say();
            std::vector<std::jthread> threads;
            for (std::uint32_t i = 0; i < 3; ++i) {
                threads.emplace_back([&, i] {
                    Sender sender{life * 3 + i, life, 3000};
                    for (;;) sender.send(topic, [](auto&&...) {});
                });
            }
        });
    };
    auto writer = write(0);
    writer->hear();
    auto reader = world.attach();
    auto const topic = reader.topic<Bytes, Bytes>("records");
    auto consumer = topic.consumer();
    SentRecords handed_out;
    auto const read_some = [&] {
        std::uint64_t least = handed_out.empty() ? 0 : handed_out.rbegin()->first + 1;
        for (auto const& record : consumer.poll(0ns, 2000)) {
            auto const payload = read_payload(record.value());
            REQUIRE(payload);
            REQUIRE(record.offset().value() >= least);
            least = record.offset().value() + 1;
            handed_out.emplace(record.offset().value(), *payload);
        }
    };
    auto const lives = static_cast<std::uint32_t>(12 * effort());
    for (std::uint32_t life = 1; life <= lives; ++life) {
        auto const until =
            std::chrono::steady_clock::now() + std::chrono::milliseconds{5 + random.below(30)};
        while (std::chrono::steady_clock::now() < until) read_some();
        writer->kill();
        // A reader may look before the next writer recovers, while it does, or behind it.
        if (random.one_in(2)) read_some();
        writer = write(life);
        if (random.one_in(2)) read_some();
        writer->hear();
    }
    writer->kill();
    while (consumer.lag() != 0) read_some();
    auto log = world.open(patient());
    auto const found = find_records(log.topic<Bytes, Bytes>("records"));
    CHECK(missing(handed_out, found) == "");
    CHECK(found.records.size() == handed_out.size());
    CHECK(found.end == consumer.position(0).value());
    note_figure("readers beside writers that are killed",
                std::to_string(lives) + " kills, " + std::to_string(handed_out.size()) +
                    " records handed out and none changed, " + std::to_string(found.voids()) +
                    " voids passed over");
}

TEST_CASE("a reader goes on while writers that overlap hand over to each other") {
    FolderInMemory const folder;
    World<NativePlatform> world;
    {
        auto log = world.open(patient());
        (void)numbers_topic(log);
    }
    auto reader = world.attach();
    auto consumer = numbers_topic(reader).consumer();
    constexpr int lives = 20;
    constexpr int each = 300;
    std::vector<std::unique_ptr<Child>> writers;
    for (int i = 0; i < lives; ++i) {
        writers.push_back(std::make_unique<Child>([&](Child const&) {
            auto log = world.open(patient());  // waits for the one before
            send_more(log, each);
        }));
    }
    std::int64_t next = 0;
    while (next < lives * each) {
        for (auto const& record : consumer.poll(20s)) REQUIRE(record.value() == next++);
    }
    for (auto const& writer : writers) CHECK(writer->join() == 0);
    CHECK(consumer.poll(0ns).empty());
}

TEST_CASE("a reader that is killed at any point leaves nothing") {
    World<NativePlatform> world;
    auto log = world.open(patient());
    send_more(log, 5000);
    log.flush();
    std::this_thread::sleep_for(50ms);  // the keeper is done
    auto const before = files_below(world.path);
    Random random{static_cast<std::uint64_t>(::getpid())};
    for (unsigned round = 0; round < 30 * effort(); ++round) {
        Child reader{[&](Child const& parent) {
            parent.say();
            for (;;) {
                auto attached = world.attach();
                auto topic = numbers_topic(attached);
                auto consumer = topic.consumer({.group = "g"});
                (void)consumer.poll(0ns);
                for (auto const& record : topic.replay()) (void)record.value();
                (void)consumer.poll(2ms);
            }
        }};
        reader.hear();
        std::this_thread::sleep_for(std::chrono::microseconds{random.below(8000)});
        reader.kill();
    }
    CHECK(files_below(world.path) == before);
    send_more(log, 5000);
    log.close();
    auto const again = world.open();
    CHECK(again.recovery().was_clean());
}

TEST_CASE("a reader on a read-only mount reads, waits and is woken without spinning") {
    if (::geteuid() != 0) {
        WARN("skipped: mounting needs root");
        return;
    }
    World<NativePlatform> world;
    auto log = world.open(patient());
    send_more(log, 10);
    std::string const mounted = world.machine.path + "/mounted";
    std::filesystem::create_directory(mounted);
    Child reader{[&](Child const& parent) {
        bool const is_mounted =
            ::unshare(CLONE_NEWNS) == 0 &&
            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
            ::mount(world.path.c_str(), mounted.c_str(), nullptr, MS_BIND, nullptr) == 0 &&
            ::mount(nullptr, mounted.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) ==
                0;
        if (!is_mounted) {
            std::fprintf(stderr, "skipped: no mount namespace here\n");
            parent.say();
            return;
        }
        require(::open((mounted + "/file").c_str(), O_CREAT | O_WRONLY, 0600) < 0, "not read-only");
        require(code_of([&] { Log{mounted}; }) != Errc::ok, "opened for writing");
        Log attached{mounted, {.read_only = true}};
        auto consumer = numbers_topic(attached).consumer();
        require(consumer.poll(0ns).size() == 10, "not what was there");
        double const before = processor_milliseconds();
        parent.say();
        auto const polled = consumer.poll(60s);
        double const spent = processor_milliseconds() - before;
        require(!polled.empty() && polled[0].value() == 10, "not what came");
        require(spent < 150, "it spun");  // of 300
        note_figure("a reader that waits 300 ms, on a read-only mount",
                    std::to_string(spent) + " ms of processor time");
        std::int64_t next = polled[polled.size() - 1].value() + 1;
        while (next < 5011) {
            for (auto const& record : consumer.poll(60s)) {
                require(record.value() == next++, "out of order");
            }
        }
    }};
    reader.hear();
    std::this_thread::sleep_for(300ms);
    send_more(log, 1);
    send_more(log, 5000);
    CHECK(reader.join() == 0);
}

TEST_CASE("a reader without permission to write follows a living writer as far as it may read") {
    if (::geteuid() != 0) {
        WARN("skipped: another user's process needs root");
        return;
    }
    World<NativePlatform> world;
    auto log = world.open(patient());
    send_more(log, 10);
    using std::filesystem::perms;
    for (auto const& entry : std::filesystem::recursive_directory_iterator{world.path}) {
        std::filesystem::permissions(entry, entry.is_directory() ? perms{0755} : perms{0644});
    }
    std::filesystem::permissions(world.path, perms{0755});
    std::filesystem::permissions(world.machine.path, perms{0755});
    Child reader{[&](Child const& parent) {
        require(::setuid(65534) == 0, "still root");
        auto attached = world.attach();
        auto consumer = numbers_topic(attached).consumer();
        require(consumer.poll(0ns).size() == 10, "not what was there");
        parent.ask();
        require(consumer.poll(60s).size() == 100, "not what came");
        parent.ask();
        // The next segment is the owner's alone: told, and not taken for the end.
        auto const code = code_of([&] {
            while (!consumer.poll(60s).empty()) {
            }
        });
        require(code == Errc::permission_denied, "not told");
    }};
    reader.hear();
    send_more(log, 100);
    reader.say();
    reader.hear();
    send_more(log, 5000);
    reader.say();
    CHECK(reader.join() == 0);
}

TEST_CASE("a copy of a live log opens as after power loss and is a prefix") {
    FolderInMemory const folder;
    std::uint64_t records = 0;
    unsigned const logs = effort();
    constexpr unsigned copies = 15;  // of each, which would grow beyond all copying
    for (unsigned i = 0; i < logs; ++i) {
        World<NativePlatform> world;
        Child writer{[&](Child const& parent) { send_threes_for_ever(world, parent); }};
        writer.hear();
        for (unsigned k = 0; k < copies; ++k) {
            CAPTURE(i, k);
            records += require_copy_is_prefix(world);
            std::this_thread::sleep_for(5ms);
        }
        writer.kill();
    }
    note_figure("copies of a live log", std::to_string(logs * copies) + " copies, prefixes all, " +
                                            std::to_string(records) + " records in them");
}
