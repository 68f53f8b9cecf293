// SPDX-License-Identifier: MIT
// Random lives of a log with limits against a plain vector: appends with stamps of any time, clocks
// that jump, deletions, clean ends, deaths of the process and of the machine. Many seeds.
#include <annals/annals.hpp>
#include <annals/platform/memory.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "catch.hpp"
#include "effort.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

class RandomLifeWithLimits {
public:
    explicit RandomLifeWithLimits(std::uint64_t seed) : random_{seed}, machine_{seed} {
        if (below(2) == 0) limits_.retention_age = 1h * (1 + below(5));
        if (below(2) == 0) limits_.retention_bytes = (std::uint64_t{64} << 10) * (1 + below(5));
        if (below(2) == 0) limits_.retention_records = 1 + below(60);
        if (below(3) == 0) limits_.segment_age = 1min * (1 + below(100));
        limits_.sync = below(2) == 0 ? Sync::never : Sync::always;
        open();
    }

    void step() {
        switch (below(16)) {
            case 0: return flush();
            case 1: return jump();
            case 2: return delete_some();
            case 3: return reopen_after_close();
            case 4: return die();
            case 5: return below(2) == 0 ? lose_power() : hold_replay();
            case 6: return walk_held();
            case 7: return let_time_pass();
            default: return append();
        }
    }

    /// With a strict limit all of it goes.
    void end() {
        held_.reset();
        compare();
        limits_ = {.retention_age = 1s, .segment_age = 1s};
        for (int i = 0; i < 4; ++i) {
            // Stamps lie at most a day ahead of the clock, and that jumps at most a day back.
            pass(100h);
            retain();
            pass(3s);
            retain();
        }
        REQUIRE(topic().beginning_offset() == topic().end_offset());
        compare();
    }

private:
    using MemoryTopic = BasicTopic<std::string, std::string, MemoryPlatform>;
    using MemoryReplay = BasicReplay<std::string, std::string, MemoryPlatform>;

    struct Sent {
        std::string value;
        Timestamp timestamp;
        std::chrono::nanoseconds at;  // by a clock that nobody sets
        [[nodiscard]] bool operator==(Sent const&) const = default;
    };

    [[nodiscard]] std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
    [[nodiscard]] MemoryTopic topic() {
        return log_->topic<std::string, std::string>("t", limits_);
    }
    [[nodiscard]] std::uint64_t first() { return topic().beginning_offset().value(); }

    void pass(std::chrono::nanoseconds duration) {
        machine_.advance(duration);
        passed_ += duration;
    }

    void open() {
        log_ = std::make_unique<MemoryLog>("/log", LogOptions{.segment_bytes = 64 << 10}, machine_);
        (void)topic();
    }

    void append() {
        for (std::uint64_t i = 1 + below(3); i-- > 0;) {
            pass(std::chrono::seconds{below(400)});
            Sent sent{std::string(below(7'000), static_cast<char>('a' + below(26))), machine_.now(),
                      passed_};
            if (below(8) == 0) sent.timestamp += std::chrono::minutes{below(1'440)};
            if (below(8) == 0) sent.timestamp -= std::chrono::minutes{below(1'440)};
            auto const found =
                topic().producer().send("k", sent.value, {.timestamp = sent.timestamp});
            REQUIRE(found.offset.value() == sent_.size());
            sent_.push_back(sent);
            if (limits_.sync == Sync::always) durable_ = sent_.size();
        }
        compare();
    }

    void flush() {
        topic().flush();
        durable_ = sent_.size();
    }

    void let_time_pass() {
        pass(std::chrono::minutes{below(200)});
        retain();
        compare();
    }

    /// The clock is set back.
    void jump() {
        auto const by = std::chrono::minutes{below(1'440)};
        machine_.set_time(machine_.now() - by);
    }

    void retain() {
        auto consumer = topic().consumer({.start = Start::latest});
        (void)consumer.poll(0ns);
    }

    void delete_some() {
        std::uint64_t const before = first();
        std::uint64_t const to = below(sent_.size() + 3);
        auto const found = topic().delete_records_before(0, Offset{to}).value();
        REQUIRE(found == std::max(before, std::min<std::uint64_t>(to, sent_.size())));
        ceiling_ = std::max(found, ceiling_);
        durable_ = std::max<std::uint64_t>(durable_, found);
        compare();
    }

    void reopen_after_close() {
        held_.reset();
        log_->close();
        durable_ = sent_.size();
        open();
        compare();
    }

    void die() {
        if (below(3) != 0) return;
        held_.reset();
        machine_ = machine_.after_process_death();
        open();
        compare();
    }

    void lose_power() {
        if (below(3) != 0) return;
        held_.reset();
        machine_ = machine_.after_power_loss(random_());
        open();
        std::uint64_t const left = topic().end_offset().value();
        REQUIRE(left >= durable_);
        REQUIRE(left <= sent_.size());
        sent_.resize(left);
        durable_ = left;
        compare();
    }

    void hold_replay() {
        held_.emplace(topic().replay());
        held_first_ = first();
        held_end_ = sent_.size();
    }

    void walk_held() {
        if (held_) expect(*held_, held_first_, held_end_);
    }

    /// The log never begins earlier than before, has everything from there on, and has lost nothing
    /// that no limit lets go.
    void compare() {
        std::uint64_t const beginning = first();
        REQUIRE(beginning >= ceiling_);
        REQUIRE(topic().end_offset().value() == sent_.size());
        expect(topic().replay({.check = Check::always}), beginning, sent_.size());
        for (std::uint64_t i = ceiling_; i < beginning; ++i) {
            bool const is_too_many =
                limits_.retention_records && sent_.size() - (i + 1) >= *limits_.retention_records;
            // By its stamp, or, where that lies in the future, for as long as it has been there.
            std::chrono::nanoseconds const by_stamp = machine_.now() - sent_[i].timestamp;
            auto const age = std::max(by_stamp, passed_ - sent_[i].at);
            bool const is_too_old = limits_.retention_age && age > *limits_.retention_age;
            CAPTURE(i, beginning, sent_.size(), by_stamp.count(), age.count());
            REQUIRE((is_too_many || is_too_old || limits_.retention_bytes));
        }
        ceiling_ = beginning;
    }

    void expect(MemoryReplay const& replay, std::uint64_t from, std::uint64_t until) {
        std::uint64_t offset = from;
        for (auto const& record : replay) {
            REQUIRE(record.offset().value() == offset);
            REQUIRE(offset < until);
            REQUIRE(record.value() == sent_[offset].value);
            REQUIRE(record.timestamp() == sent_[offset].timestamp);
            ++offset;
        }
        REQUIRE(offset == until);
    }

    std::mt19937_64 random_;
    MemoryPlatform machine_;
    std::chrono::nanoseconds passed_{
        0};  // of all lives; the steady clock begins anew at power loss
    TopicOptions limits_;
    std::unique_ptr<MemoryLog> log_;
    std::vector<Sent> sent_;     // by offset, what was removed as well
    std::uint64_t ceiling_ = 0;  // where it was last seen to begin
    std::uint64_t durable_ = 0;
    std::optional<MemoryReplay> held_;
    std::uint64_t held_first_ = 0;
    std::uint64_t held_end_ = 0;
};

}  // namespace

TEST_CASE("a random life with limits agrees with a plain vector") {
    std::uint64_t const seeds = 60 * effort();
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        INFO("seed " << seed);
        RandomLifeWithLimits life{seed};
        for (int i = 0; i < 200; ++i) life.step();
        life.end();
    }
    note_figure("random lives of a log with limits against a plain vector",
                std::to_string(seeds) + " seeds of 200 operations");
}
