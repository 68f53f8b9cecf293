// SPDX-License-Identifier: MIT
// kill -9 on a process with four appending threads, round after round on one log: not one record
// whose send had returned may be missing, doubled, out of order or changed.
#include <annals/annals.hpp>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"

namespace {

constexpr std::uint64_t threads = 4;
constexpr int rounds = 30;

/// What the child tells as it goes; shared with the parent, and so it survives the child.
struct Told {
    std::atomic<bool> is_open{false};
    std::array<std::atomic<std::uint64_t>, threads> sent{};  // by thread: sends that have returned
};

class SharedTold {
public:
    SharedTold() {
        void* const memory = ::mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        REQUIRE(memory != MAP_FAILED);
        told_ = new (memory) Told;
    }
    SharedTold(SharedTold const&) = delete;
    SharedTold& operator=(SharedTold const&) = delete;
    ~SharedTold() { ::munmap(told_, sizeof(Told)); }
    [[nodiscard]] Told& operator*() const { return *told_; }
    [[nodiscard]] Told* operator->() const { return told_; }

private:
    Told* told_ = nullptr;
};

annals::LogOptions const small_segments{.segment_bytes = std::uint64_t{64} << 10};

/// Each thread writes to the topic of one promise.
annals::TopicOptions options_of(std::uint64_t thread) {
    constexpr std::array promises{annals::Sync::never, annals::Sync::interval,
                                  annals::Sync::always};
    return {.partitions = 2,
            .sync = promises[thread % promises.size()],
            .sync_interval = std::chrono::milliseconds{5}};
}

std::string topic_of(std::uint64_t thread) { return "topic-" + std::to_string(thread); }

/// Records of many sizes, so that rolls meet every kind of end; what they hold follows from i.
std::string value_of(std::uint64_t thread, std::uint64_t i) {
    std::string const head = std::to_string(thread) + "/" + std::to_string(i) + "/";
    return head + std::string((i * 37 + thread * 11) % 700, static_cast<char>('a' + i % 26));
}

void append_for_ever(annals::Log& log, std::uint64_t thread, Told& told) {
    auto producer =
        log.topic<std::uint64_t, std::string>(topic_of(thread), options_of(thread)).producer();
    for (std::uint64_t i = told.sent[thread].load();;) {
        if (i % 16 == 0) {
            std::vector<std::string> const batch{value_of(thread, i), value_of(thread, i + 1),
                                                 value_of(thread, i + 2)};
            producer.send_batch(thread, batch);
            i += 3;
        } else {
            producer.send(thread, value_of(thread, i));
            ++i;
        }
        told.sent[thread].store(i);
    }
}

[[noreturn]] void be_the_writer(std::string const& path, Told& told) {
    annals::Log log{path, small_segments};
    told.is_open.store(true);
    std::vector<std::jthread> writers;
    for (std::uint64_t t = 0; t < threads; ++t) {
        writers.emplace_back([&log, &told, t] { append_for_ever(log, t, told); });
    }
    for (;;) ::pause();
}

/// Reads everything back and compares; returns how many records each thread has in the log.
std::array<std::uint64_t, threads> require_whole(annals::Log& log, Told const& told) {
    std::array<std::uint64_t, threads> found{};
    for (std::uint64_t t = 0; t < threads; ++t) {
        auto const topic = log.topic<std::uint64_t, std::string>(topic_of(t), options_of(t));
        annals::Offset last;
        bool is_first = true;
        std::uint64_t wrong = 0;
        std::uint32_t const partition = annals::partition_for_key(
            annals::Bytes{reinterpret_cast<std::byte const*>(&t), sizeof t}, 2);
        for (auto const& record : topic.replay({.partition = partition})) {
            if (record.value() != value_of(t, found[t]) || record.key() != t) ++wrong;
            if (!is_first && record.offset() <= last) ++wrong;
            is_first = false;
            last = record.offset();
            ++found[t];
        }
        INFO("thread " << t);
        CHECK(wrong == 0);
        REQUIRE(found[t] >= told.sent[t].load());
    }
    return found;
}

}  // namespace

TEST_CASE("EveryRecordWhoseSendReturnedSurvivesThirtyKills") {
    std::filesystem::path const directory =
        std::filesystem::temp_directory_path() / ("annals-kill-" + std::to_string(::getpid()));
    std::filesystem::remove_all(directory);
    std::string const path = directory / "log";
    SharedTold const told;
    std::mt19937_64 random{20261122};
    std::uint64_t voided = 0;
    for (int round = 0; round < rounds; ++round) {
        INFO("round " << round);
        told->is_open.store(false);
        pid_t const child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) be_the_writer(path, *told);
        // Every fifth is killed at some moment of its opening, the others while they append.
        bool const while_opening = round % 5 == 4;
        while (!while_opening && !told->is_open.load()) std::this_thread::yield();
        auto const moment = std::chrono::microseconds{random() % (while_opening ? 8'000 : 80'000)};
        std::this_thread::sleep_for(moment);
        REQUIRE(::kill(child, SIGKILL) == 0);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));

        annals::Log log{path, small_segments};
        for (auto const& partition : log.recovery().partitions) {
            voided += partition.records_voided;
        }
        auto const found = require_whole(log, *told);
        for (std::uint64_t t = 0; t < threads; ++t) told->sent[t].store(found[t]);
    }
    std::uint64_t total = 0;
    for (auto const& count : told->sent) total += count.load();
    CHECK(total > 1000);  // the children did append
    WARN(total << " records in " << rounds << " rounds, " << voided << " offsets void");
    std::filesystem::remove_all(directory);
}
