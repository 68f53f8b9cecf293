// SPDX-License-Identifier: MIT
// A random life of one log against a plain vector: appends, batches, flushes, commits, replays
// between random bounds, clean ends, deaths of the process and of the machine. Many seeds.
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

namespace {

struct Expected {
    std::optional<std::string> key;
    std::optional<std::string> value;
    Timestamp timestamp;
    [[nodiscard]] bool operator==(Expected const&) const = default;
};

class RandomLife {
public:
    explicit RandomLife(std::uint64_t seed) : random_{seed}, machine_{seed} { open(); }

    void step() {
        switch (below(12)) {
            case 0: return flush();
            case 1: return commit();
            case 2: return reopen_after_close();
            case 3: return below(3) == 0 ? die() : append();
            case 4: return below(3) == 0 ? lose_power() : append_batch();
            case 5:
            case 6: return compare_between_random_bounds();
            case 7: return append_batch();
            default: return append();
        }
    }

    void compare_all() {
        REQUIRE(topic().end_offset().value() == expected_.size());
        REQUIRE(read({}) == expected_);
    }

private:
    using MemoryTopic = BasicTopic<std::string, std::string, MemoryPlatform>;

    [[nodiscard]] std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

    [[nodiscard]] MemoryTopic topic() {
        return log_->topic<std::string, std::string>("t", {.sync = Sync::never});
    }

    void open() {
        log_ = std::make_unique<MemoryLog>("/log", LogOptions{.segment_bytes = 64 << 10}, machine_);
    }

    [[nodiscard]] std::optional<std::string> random_text(std::uint64_t most) {
        if (below(8) == 0) return std::nullopt;
        return std::string(below(most), static_cast<char>('a' + below(26)));
    }

    void append() {
        machine_.advance(std::chrono::milliseconds{below(5)});
        Expected record{random_text(40), random_text(below(20) == 0 ? 8000 : 200), machine_.now()};
        // Stamps of their own may lie behind or ahead of those before.
        if (below(6) == 0) record.timestamp += std::chrono::milliseconds{below(40)};
        auto const bytes = [](std::optional<std::string> const& text) {
            return text ? std::optional{as_bytes(*text)} : std::nullopt;
        };
        Offset const offset = topic().partition(0).append(bytes(record.key), bytes(record.value),
                                                          {.timestamp = record.timestamp});
        REQUIRE(offset.value() == expected_.size());
        expected_.push_back(record);
    }

    void append_batch() {
        std::vector<std::string> values;
        for (std::uint64_t i = below(6); i-- > 0;) values.push_back(std::string(below(900), 'b'));
        auto const sent = topic().producer().send_batch("batch", values);
        REQUIRE(sent.first.value() == expected_.size());
        REQUIRE(sent.count == values.size());
        for (auto const& value : values) expected_.push_back({"batch", value, machine_.now()});
    }

    void flush() {
        topic().flush();
        durable_ = expected_.size();
        REQUIRE(topic().durable_offset().value() == durable_);
    }

    void commit() {
        auto consumer = topic().consumer({.group = "g"});
        if (committed_) REQUIRE(consumer.committed(0) == Offset{*committed_});
        std::uint64_t const to = below(expected_.size() + 1);
        consumer.seek(0, Offset{to});
        consumer.commit();
        committed_ = to;
    }

    void reopen_after_close() {
        log_->close();
        durable_ = expected_.size();
        open();
        compare_all();
    }

    /// Every append had returned, so all of it is there.
    void die() {
        machine_ = machine_.after_process_death();
        open();
        compare_all();
    }

    /// What is left is a prefix, with everything durable in it.
    void lose_power() {
        machine_ = machine_.after_power_loss(random_());
        open();
        std::uint64_t const left = topic().end_offset().value();
        REQUIRE(left >= durable_);
        REQUIRE(left <= expected_.size());
        expected_.resize(left);
        durable_ = left;
        compare_all();
        // What the group had committed may be gone from the log; then it is told, and starts anew.
        if (committed_ && *committed_ > left) {
            auto consumer = topic().consumer({.group = "g"});
            REQUIRE_THROWS_AS(consumer.poll(std::chrono::nanoseconds{0}), Error);
            consumer.seek(0, Offset{left});
            consumer.commit();
            committed_ = left;
        }
    }

    void compare_between_random_bounds() {
        std::uint64_t const from = below(expected_.size() + 3);
        std::uint64_t const until = below(expected_.size() + 3);
        auto const cut = [&](std::uint64_t offset) { return std::min(offset, expected_.size()); };
        std::vector<Expected> wanted;
        for (std::uint64_t i = cut(from); i < cut(until); ++i) wanted.push_back(expected_[i]);
        REQUIRE(read({.from = Offset{from}, .until = Offset{until}}) == wanted);
        if (expected_.empty()) return;

        Timestamp const since = expected_[below(expected_.size())].timestamp;
        auto const first = std::find_if(expected_.begin(), expected_.end(),
                                        [&](auto const& e) { return e.timestamp >= since; });
        REQUIRE(read({.from = since}) == std::vector<Expected>(first, expected_.end()));
        REQUIRE(read({.until = since}) == std::vector<Expected>(expected_.begin(), first));
    }

    [[nodiscard]] std::vector<Expected> read(ReplayOptions const& options) {
        std::vector<Expected> found;
        for (auto const& record : topic().replay(options)) {
            Expected each{std::nullopt, std::nullopt, record.timestamp()};
            if (record.has_key()) each.key = std::string{record.key()};
            if (record.has_value()) each.value = std::string{record.value()};
            found.push_back(each);
        }
        return found;
    }

    std::mt19937_64 random_;
    MemoryPlatform machine_;
    std::unique_ptr<MemoryLog> log_;
    std::vector<Expected> expected_;
    std::uint64_t durable_ = 0;
    std::optional<std::uint64_t> committed_;
};

}  // namespace

TEST_CASE("ARandomLifeAgreesWithAPlainVector") {
    std::uint64_t const seeds = 200 * effort();
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        INFO("seed " << seed);
        RandomLife life{seed};
        for (int i = 0; i < 250; ++i) life.step();
        life.compare_all();
    }
    note_figure("random lives of a log against a plain vector",
                std::to_string(seeds) + " seeds of 250 operations");
}
