// SPDX-License-Identifier: MIT
// Disks, descriptors and memory that run out, at every single step of a log's lives: an error of
// the call, with nothing claimed, nothing left behind and nothing lost; the next call goes through.
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "storage/lives.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;

namespace {

constexpr std::uint32_t partitions = 2;

using MemoryTopic = BasicTopic<Bytes, Bytes, MemoryPlatform>;

/// What is in a partition, by the first letters of the values.
std::string text_in(MemoryTopic const& topic, std::uint32_t partition) {
    std::string text;
    for (auto const& record : topic.replay({.partition = partition, .check = Check::always})) {
        text += as_text(record.value()).substr(0, 1);
    }
    return text;
}

/// A log's lives, step by step. A step that fails must have done nothing, and is done again.
class Script {
public:
    explicit Script(Sync sync) : sync_{sync} {}

    [[nodiscard]] MemoryPlatform& machine() noexcept { return world_.machine.platform; }

    /// Calls `failed(error)` for each step that fails, which then must make it possible.
    template <class Failed>
    void life(Failed const& failed) {
        step(failed, "open", [&] { log_.emplace(world_.open({.segment_bytes = small_segment})); });
        auto const topic = [&](char const* name) {
            return log_->topic<Bytes, Bytes>(name, {.partitions = partitions, .sync = sync_});
        };
        step(failed, "topic", [&] { topic_.emplace(topic("kept")); });
        for (std::uint32_t i = 0; i < 20; ++i) {
            step(failed, "send", [&] { send(i % partitions, static_cast<char>('a' + i)); });
        }
        step(failed, "consumer", [&] { commit(); });
        step(failed, "new topic", [&] { (void)topic("other"); });
        step(failed, "removal", [&] { log_->remove_topic("other"); });
        step(failed, "flush", [&] { log_->flush(); });
    }

    void close() {
        topic_.reset();
        log_.reset();
    }
    /// The process dies; what it was doing goes on nowhere.
    void die() {
        auto const left = machine().after_process_death();
        close();
        machine() = left;
    }

    /// All that was sent is there, and nothing else is.
    void check() const {
        if (!topic_) return;
        for (std::uint32_t i = 0; i < partitions; ++i) {
            CHECK(text_in(*topic_, i) == sent_[i]);
            CHECK(topic_->end_offset(i) == Offset{sent_[i].size()});
        }
    }

    /// Whoever opens what a death leaves at this moment finds it all: who reads, and who writes.
    void check_after_death() {
        auto const process_death = machine().after_process_death();
        auto const power_loss = machine().after_power_loss(3);
        for (auto [left, is_whole] : {std::pair{process_death, true}, {power_loss, false}}) {
            if (!topic_) continue;
            MemoryLog reader{world_.path, {.read_only = true}, left};
            check_left(reader, is_whole);
            MemoryLog log{world_.path, {.segment_bytes = small_segment}, left};
            check_left(log, is_whole);
            left.clear_free_space();
            auto partition = log.topic<Bytes, Bytes>("kept").partition(0);
            auto const end = partition.end_offset();
            CHECK(partition.append({}, as_bytes("more")) == end);
        }
    }

    /// Nothing that could not be made lies about half made. A removal may wait to be finished.
    void check_names() {
        auto const files = dump(machine().open_directory(world_.path, Access::write));
        for (auto const& [name, bytes] : files) {
            bool const is_removal = name.starts_with("topics/.tmp-other/");
            CHECK((is_removal || !contains(name, ".tmp-")));
        }
    }

private:
    template <class Failed, class Step>
    void step(Failed const& failed, char const* name, Step const& step) {
        INFO(name);
        for (int attempt = 0; attempt < 3; ++attempt) {
            auto const error = error_of(step);
            if (!error) return;
            INFO(error->what());
            check();
            failed(*error);
            check();
        }
        FAIL("it does not go through: " << name);
    }

    void send(std::uint32_t partition, char mark) {
        auto const offset =
            topic_->partition(partition).append({}, as_bytes(std::string(8'000, mark)));
        CHECK(offset == Offset{sent_[partition].size()});
        sent_[partition] += mark;
    }
    void commit() {
        auto consumer = topic_->consumer({.group = "g"});
        auto const records = consumer.poll(std::chrono::nanoseconds{0}, 3);
        consumer.commit();
    }
    void check_left(MemoryLog& log, bool is_whole) const {
        auto const topic = log.topic<Bytes, Bytes>("kept");
        for (std::uint32_t i = 0; i < partitions; ++i) {
            auto const text = text_in(topic, i);
            CHECK(sent_[i].starts_with(text));
            if (is_whole || sync_ == Sync::always) CHECK(text == sent_[i]);
        }
    }

    Sync sync_;
    World<MemoryPlatform> world_{};
    std::optional<MemoryLog> log_{};
    std::optional<MemoryTopic> topic_{};
    std::string sent_[partitions]{};
};

void allow(Error const&) {}

/// What a log was left like before the life that is made to fail.
enum class Before { nothing, close, death };

void prepare(Script& script, Before before) {
    if (before == Before::nothing) return;
    script.life(allow);
    if (before == Before::death) {
        script.die();
    } else {
        script.close();
    }
}

struct Failure {
    Operation operation;
    int system_code;
};

}  // namespace

TEST_CASE("whatever fails at any step, the step has done nothing and goes through the next time") {
    auto const sync = GENERATE(Sync::never, Sync::always);
    auto const before = GENERATE(Before::nothing, Before::close, Before::death);
    auto const failure =
        GENERATE(Failure{Operation::allocate, ENOSPC}, Failure{Operation::allocate, EDQUOT},
                 Failure{Operation::create, EMFILE}, Failure{Operation::create, ENOSPC},
                 Failure{Operation::make_directory, ENOSPC}, Failure{Operation::write, ENOSPC},
                 Failure{Operation::rename, ENOSPC}, Failure{Operation::open, EMFILE},
                 Failure{Operation::open, ENFILE}, Failure{Operation::list, ENFILE},
                 Failure{Operation::map, ENOMEM}, Failure{Operation::punch, ENOSPC},
                 Failure{Operation::remove, ENOMEM}, Failure{Operation::directory_sync, ENOSPC});
    CAPTURE(static_cast<int>(sync), static_cast<int>(before), static_cast<int>(failure.operation),
            failure.system_code);
    bool has_happened = true;
    for (unsigned after = 0; has_happened; ++after) {
        CAPTURE(after);
        Script script{sync};
        prepare(script, before);
        script.machine().fail_next(failure.operation, failure.system_code, after);
        script.life([&](Error const& error) {
            CHECK(error.system_code() == failure.system_code);
            if (failure.operation != Operation::remove) script.check_names();
        });
        has_happened = !script.machine().has_failures();
        script.machine().clear_failures();
        script.check();
        if (failure.operation != Operation::remove) script.check_names();
        REQUIRE(after < 1'000);
    }
}

TEST_CASE("however little space there is, all that was sent is kept, read and recovered") {
    auto const sync = GENERATE(Sync::never, Sync::always);
    auto const before = GENERATE(Before::nothing, Before::close, Before::death);
    CAPTURE(static_cast<int>(sync), static_cast<int>(before));
    bool has_failed = true;
    for (std::uint64_t space = 0; has_failed; space += 20'000) {
        CAPTURE(space);
        has_failed = false;
        Script script{sync};
        prepare(script, before);
        script.machine().set_free_space(space);
        script.life([&](Error const& error) {
            has_failed = true;
            CHECK(error.code() == Errc::no_space);
            script.check_names();
            script.check_after_death();
            script.machine().clear_free_space();
        });
        script.check();
        script.check_after_death();
        REQUIRE(space < 10'000'000);
    }
}

TEST_CASE("on a full disk all senders are told, and all go on once there is space") {
    World<MemoryPlatform> world;
    auto log = world.open({.segment_bytes = small_segment});
    auto const topic = log.topic<Bytes, Bytes>("t", {.sync = GENERATE(Sync::never, Sync::always)});
    world.machine.platform.set_free_space(5 * small_segment);
    std::atomic<unsigned> told{0};
    std::atomic<std::uint64_t> sent{0};
    std::atomic<unsigned> wrong{0};  // errors of another kind
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            std::string const value(7'000, 'v');
            auto const send = [&] { topic.partition(0).append({}, as_bytes(value)); };
            for (;;) {
                auto const error = error_of(send);
                if (error && error->code() != Errc::no_space) ++wrong;
                if (error) break;
                ++sent;
            }
            ++told;
            while (told < 4) std::this_thread::yield();
            if (code_of(send) != Errc::no_space) ++wrong;
            ++told;
            while (told < 8) std::this_thread::yield();
            world.machine.platform.clear_free_space();
            for (int n = 0; n < 20; ++n, ++sent) {
                if (error_of(send)) ++wrong;
            }
        });
    }
    threads.clear();
    CHECK(wrong == 0);
    CHECK(topic.end_offset() == Offset{sent.load()});
    std::uint64_t expected = 0;
    for (auto const& record : topic.replay({.check = Check::always})) {
        CHECK(record.offset() == Offset{expected++});
    }
    CHECK(expected == sent);
}

TEST_CASE("a record that is too large for what space there is keeps no smaller one from going on") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto const topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
    auto const send = [&](std::uint64_t bytes) {
        topic.partition(0).append({}, as_bytes(std::string(bytes, 'v')));
    };
    send(100);
    world.machine.platform.set_free_space(std::uint64_t{15} << 20);
    for (int i = 0; i < 10; ++i) {
        CAPTURE(i);
        CHECK(code_of([&] { send(10'000'000); }) == Errc::no_space);
        CHECK(code_of([&] { send(100); }) == Errc::ok);
    }
    world.machine.platform.clear_free_space();
    send(10'000'000);
    send(100);
    CHECK(values_of(topic.replay({.check = Check::always})).size() == 13);
}
