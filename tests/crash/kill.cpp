// SPDX-License-Identifier: MIT
// kill -9 at any moment: of a process with four threads that append to three topics, and of one
// that recovers. Not one record whose send had returned may be lost.
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "effort.hpp"
#include "senders.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

constexpr unsigned senders = 4;
constexpr std::uint64_t most_sends = 4'000;  // of one sender in one round
constexpr std::uint64_t batch_room = 4;

/// What the child tells its parent. Lies in memory that both share and that outlives the child.
struct Report {
    struct Entry {
        std::uint32_t topic;
        Payload payload;
        std::uint64_t offset;
    };
    struct Line {
        std::atomic<std::uint64_t> count{0};  ///< entries whose send had returned
        std::array<Entry, most_sends + batch_room> entries{};
    };

    std::atomic<bool> is_open{false};
    std::array<Line, senders> lines{};
    std::array<char, 512> fault{};

    static Report* make() {
        void* const memory = ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        REQUIRE(memory != MAP_FAILED);
        return new (memory) Report;
    }
};

constexpr char const* topic_names[] = {"never", "interval", "always"};
constexpr std::size_t topic_count = std::size(topic_names);

using BytesTopic = Topic<Bytes, Bytes>;

std::vector<BytesTopic> open_topics(Log& log) {
    constexpr Sync syncs[] = {Sync::never, Sync::interval, Sync::always};
    std::vector<BytesTopic> topics;
    for (std::size_t i = 0; i < topic_count; ++i) {
        topics.push_back(
            log.topic<Bytes, Bytes>(topic_names[i], {.sync = syncs[i], .sync_interval = 5ms}));
    }
    return topics;
}

LogOptions writer_options(std::uint64_t round) {
    return {.segment_bytes = 64 << 10, .lock_timeout = 5s, .keeper = round % 3 != 0};
}

void report_sends(std::vector<BytesTopic> const& topics, Report::Line& line, std::uint32_t id) {
    Sender sender{id, 3, 3000};
    std::uint64_t count = 0;
    while (count < most_sends) {
        // One thread alone waits for syncs; the others do what can be done without.
        bool const may_wait = id % senders == 0;
        auto const topic =
            static_cast<std::uint32_t>(sender.random().below(may_wait ? topic_count : 2));
        sender.send(topics[topic], [&](std::uint64_t offset, Payload const& payload) {
            line.entries[count++] = {topic, payload, offset};
        });
        line.count.store(count, std::memory_order_release);
    }
}

/// The life of a child: it sends until it is killed.
[[noreturn]] void live(std::string const& path, std::uint64_t round, Report& report) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
        Log log{path, writer_options(round)};
        auto const topics = open_topics(log);
        report.is_open = true;
        std::vector<std::jthread> threads;
        for (std::uint32_t id = 0; id < senders; ++id) {
            threads.emplace_back([&, id] {
                report_sends(topics, report.lines[id],
                             static_cast<std::uint32_t>(round * senders + id));
            });
        }
        threads.clear();
        ::pause();
    } catch (std::exception const& error) {
        std::snprintf(report.fault.data(), report.fault.size(), "%s", error.what());
    }
    ::_exit(1);
}

void sleep_at_most(Random& random, std::chrono::microseconds most) {
    auto const count = static_cast<std::uint64_t>(most.count());
    std::this_thread::sleep_for(std::chrono::microseconds{random.below(count)});
}

/// One life and its end, at a random moment: of the opening, or of the sending.
void run_and_kill(std::string const& path, std::uint64_t round, Random& random, Report& report) {
    ::pid_t const child = ::fork();
    if (child == 0) live(path, round, report);
    REQUIRE(child > 0);
    if (random.one_in(4)) {
        sleep_at_most(random, 30ms);
    } else {
        auto const give_up = std::chrono::steady_clock::now() + 30s;
        while (!report.is_open && std::chrono::steady_clock::now() < give_up) {
            std::this_thread::sleep_for(100us);
        }
        sleep_at_most(random, 120ms);
    }
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(std::string{report.fault.data()} == "");
    CHECK(WIFSIGNALED(status));
}

/// Everything known to be in each topic.
using Known = std::array<SentRecords, topic_count>;

void learn(Known& known, Report const& report) {
    for (auto const& line : report.lines) {
        std::uint64_t const count = line.count.load(std::memory_order_acquire);
        for (std::uint64_t i = 0; i < count; ++i) {
            auto const& entry = line.entries[i];
            CHECK(known[entry.topic].emplace(entry.offset, entry.payload).second);
        }
    }
}

/// All that is known is there, and what is there besides is what a killed send may leave.
void require_known(Log& log, Known& known, std::uint64_t& voids) {
    for (std::size_t i = 0; i < topic_count; ++i) {
        CAPTURE(topic_names[i]);
        auto const found = find_records(log.topic<Bytes, Bytes>(topic_names[i]));
        REQUIRE(missing(known[i], found) == "");
        CHECK(found.records.size() <= known[i].size() + senders * batch_room);
        voids += found.voids();
        known[i] = found.records;  // what was seen once may not go any more
    }
}

/// Whoever recovers appends, too: behind everything, with the next offsets.
void append_to_all(Log& log, Known& known, std::uint32_t id) {
    Sender sender{id, 5, 3000};
    for (std::size_t i = 0; i < topic_count; ++i) {
        auto const topic = log.topic<Bytes, Bytes>(topic_names[i]);
        for (int n = 0; n < 3; ++n) {
            std::uint64_t expected = topic.end_offset().value();
            sender.send(topic, [&](std::uint64_t offset, Payload const& payload) {
                CHECK(offset == expected++);
                known[i].emplace(offset, payload);
            });
        }
    }
}

}  // namespace

TEST_CASE("no record whose send had returned is lost by kill -9, round after round") {
    World<NativePlatform> world;
    auto const seed = static_cast<std::uint64_t>(static_cast<unsigned>(::getpid()));
    Random random{seed};
    Known known;
    std::uint64_t voids = 0;
    std::uint64_t deaths = 0;
    { (void)open_topics(*std::make_unique<Log>(world.open(writer_options(1)))); }
    std::uint64_t const rounds = 30 * effort();
    for (std::uint64_t round = 1; round <= rounds; ++round) {
        CAPTURE(seed, round);
        Report* const report = Report::make();
        run_and_kill(world.path, round, random, *report);
        learn(known, *report);
        ::munmap(report, sizeof *report);
        if (random.one_in(2)) {
            // A reader finds the same, and leaves the next writer a log that nobody has closed.
            auto log = world.attach();
            require_known(log, known, voids);
            continue;
        }
        auto log = world.open(writer_options(round + 1));
        if (!log.recovery().was_clean()) ++deaths;
        for (auto const& partition : log.recovery().partitions) {
            CHECK(partition.ending == Ending::process_death);
        }
        require_known(log, known, voids);
        append_to_all(log, known, static_cast<std::uint32_t>(1'000'000 + round));
        require_known(log, known, voids);
    }
    auto log = world.open();
    CHECK(log.recovery().partitions.empty() == log.recovery().was_clean());
    require_known(log, known, voids);
    CHECK(deaths > 0);
    auto const records = known[0].size() + known[1].size() + known[2].size();
    note_figure("kill -9 of a process with four appending threads",
                std::to_string(rounds) + " rounds, " + std::to_string(records) +
                    " records whose send had returned, 0 lost, " + std::to_string(voids) +
                    " voids, seed " + std::to_string(seed));
}
