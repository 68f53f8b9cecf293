// SPDX-License-Identifier: MIT
// kill -9 at any moment: of a process with four threads that append to three topics, and of one
// that recovers. Not one record whose send had returned may be lost, and two processes that read
// all the while see what stays, and all of it.
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <optional>
#include <stdexcept>
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

// ---- readers in processes of their own, through all lives of the writers

/// What a reader has seen of a topic; two that have seen the same have the same sum.
struct Seen {
    std::uint64_t count = 0;
    std::uint64_t sum = 0;

    void add(std::uint64_t offset, Payload const& payload) noexcept {
        std::uint64_t state = offset << 32 | payload.number;
        state = detail::next_random(state) ^ payload.sender;
        sum += detail::next_random(state);
        ++count;
    }
    [[nodiscard]] friend bool operator==(Seen const&, Seen const&) = default;
};

Seen seen_in(SentRecords const& records) {
    Seen seen;
    for (auto const& [offset, payload] : records) seen.add(offset, payload);
    return seen;
}

/// What a reading process tells, and is told, in memory that both share.
struct Reading {
    std::atomic<bool> is_over{false};  ///< nothing will be written any more
    std::array<Seen, topic_count> seen{};
    std::array<char, 512> fault{};
};

/// Follows one topic, and throws at whatever nobody sent.
class Follower {
public:
    explicit Follower(BytesTopic const& topic) : cursor_{topic.partition(0).cursor()} {}

    /// Reads to the end that is there now. Whether there was anything.
    bool read(Seen& seen) {
        bool has_read = false;
        while (auto const record = cursor_.next()) {
            auto const offset = record->offset().value();
            auto const payload = read_payload(record->value());
            if (!payload) throw std::runtime_error{"not what anybody sent"};
            if (offset < least_) throw std::runtime_error{"offsets do not ascend"};
            if (!continues(before_, *payload, offset == least_)) {
                throw std::runtime_error{"torn batch"};
            }
            auto& expected = next_[payload->sender];
            if (payload->number < expected) throw std::runtime_error{"a sender's order is lost"};
            expected = payload->number + 1;
            least_ = offset + 1;
            before_ = *payload;
            seen.add(offset, *payload);
            has_read = true;
        }
        return has_read;
    }

private:
    Cursor cursor_;
    std::map<std::uint32_t, std::uint32_t> next_{};
    std::uint64_t least_ = 0;
    std::optional<Payload> before_{};
};

[[noreturn]] void follow(std::string const& path, Reading& reading) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
        Log log{path, {.read_only = true}};
        std::vector<Follower> followers;
        for (auto const* const name : topic_names) {
            followers.emplace_back(log.topic<Bytes, Bytes>(name));
        }
        for (;;) {
            bool const is_over = reading.is_over;
            bool has_read = false;
            for (std::size_t i = 0; i < topic_count; ++i) {
                has_read |= followers[i].read(reading.seen[i]);
            }
            if (is_over && !has_read) ::_exit(0);
            if (!has_read) std::this_thread::sleep_for(1ms);
        }
    } catch (std::exception const& error) {
        std::snprintf(reading.fault.data(), reading.fault.size(), "%s", error.what());
    }
    ::_exit(1);
}

/// Two processes that read the log until they are stopped.
class Readers {
public:
    explicit Readers(std::string const& path) {
        void* const memory = ::mmap(nullptr, sizeof(Reading) * count, PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        REQUIRE(memory != MAP_FAILED);
        for (std::size_t i = 0; i < count; ++i) {
            readings_[i] = new (static_cast<char*>(memory) + i * sizeof(Reading)) Reading;
            children_[i] = ::fork();
            if (children_[i] == 0) follow(path, *readings_[i]);
        }
    }

    /// They have read all there is, and seen exactly that.
    void require_seen(Known const& known) {
        for (std::size_t i = 0; i < count; ++i) {
            readings_[i]->is_over = true;
            int status = 0;
            REQUIRE(::waitpid(children_[i], &status, 0) == children_[i]);
            CHECK(std::string{readings_[i]->fault.data()} == "");
            for (std::size_t topic = 0; topic < topic_count; ++topic) {
                CAPTURE(i, topic_names[topic], readings_[i]->seen[topic].count,
                        known[topic].size());
                CHECK(readings_[i]->seen[topic] == seen_in(known[topic]));
            }
        }
    }

private:
    static constexpr std::size_t count = 2;
    std::array<Reading*, count> readings_{};
    std::array<::pid_t, count> children_{};
};

}  // namespace

TEST_CASE("no record whose send had returned is lost by kill -9, round after round") {
    World<NativePlatform> world;
    auto const seed = static_cast<std::uint64_t>(static_cast<unsigned>(::getpid()));
    Random random{seed};
    Known known;
    std::uint64_t voids = 0;
    std::uint64_t deaths = 0;
    { (void)open_topics(*std::make_unique<Log>(world.open(writer_options(1)))); }
    Readers readers{world.path};
    std::uint64_t const rounds = std::min<std::uint64_t>(30 * effort(), 250);
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
    readers.require_seen(known);
    auto const records = known[0].size() + known[1].size() + known[2].size();
    note_figure("kill -9 of a process with four appending threads, beside two reading processes",
                std::to_string(rounds) + " rounds, " + std::to_string(records) +
                    " records whose send had returned, 0 lost, " + std::to_string(voids) +
                    " voids, seed " + std::to_string(seed));
}
