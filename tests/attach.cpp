// SPDX-License-Identifier: MIT
// Reading a log beside its writer, in this process and from another one, while the writer writes,
// rolls, closes, dies and is succeeded.
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <annals/annals.hpp>

#include "catch.hpp"
#include "child.hpp"
#include "files.hpp"
#include "numbered.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

template <class Topic>
std::int64_t sum_of(Topic const& topic) {
    std::int64_t sum = 0;
    for (auto const& record : topic.replay()) sum += record.value();
    return sum;
}

}  // namespace

// ---- in one process

TEMPLATE_TEST_CASE("a reader sees what is published, before and after it attached", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open(small);
    send_numbers(log, 0, 10);
    auto reader = world.attach();
    auto topic = numbers_topic(reader);
    auto consumer = topic.consumer();
    auto cursor = topic.partition(0).cursor();
    auto const early = topic.replay();
    CHECK(values_of(topic.replay()) == range(0, 10));
    CHECK(consumer.poll(0ns).size() == 10);
    for (std::int64_t until : {11, 500, 5000, 5001}) {
        auto const before = static_cast<std::int64_t>(topic.end_offset().value());
        send_numbers(log, before, until);
        CHECK(topic.end_offset() == Offset{static_cast<std::uint64_t>(until)});
        CHECK(values_of(topic.replay()) == range(0, until));
        auto const polled = consumer.poll(0ns, 10'000);
        CHECK(static_cast<std::int64_t>(polled.size()) == until - before);
        CHECK(consumer.lag() == 0);
    }
    std::uint64_t count = 0;
    while (auto const record = cursor.next()) CHECK(record->offset() == Offset{count++});
    CHECK(count == 5001);
    CHECK(values_of(early) == range(0, 10));
    CHECK(topic.beginning_offset() == Offset{0});
}

TEMPLATE_TEST_CASE("a reader finds topics as they come and misses them before", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto reader = world.attach();
    CHECK(reader.topics().empty());
    CHECK(code_of([&] { (void)numbers_topic(reader); }) == Errc::not_found);
    send_numbers(log, 0, 3);
    CHECK(reader.topics() == std::vector<std::string>{"numbers"});
    CHECK(values_of(numbers_topic(reader).replay()) == range(0, 3));
}

TEMPLATE_TEST_CASE("a reader of a removed topic is told, and finds the next one of that name", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open(small);
    send_numbers(log, 0, 3000);
    auto reader = world.attach();
    auto topic = numbers_topic(reader);
    auto consumer = topic.consumer();
    auto const polled = consumer.poll(0ns, 10);
    log.remove_topic("numbers");
    CHECK(reader.topics().empty());
    CHECK(code_of([&] { (void)numbers_topic(reader); }) == Errc::not_found);
    CHECK(code_of([&] { (void)topic.end_offset(); }) == Errc::closed);
    send_numbers(log, 0, 2);
    CHECK(values_of(numbers_topic(reader).replay()) == range(0, 2));
    CHECK(code_of([&] { (void)topic.replay(); }) == Errc::closed);
    CHECK(polled[9].value() == 9);
}

TEMPLATE_TEST_CASE("what is durable is known to readers too", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = numbers_topic(log, {.sync = Sync::never});
    send_numbers(log, 0, 3);
    auto reader = world.attach();
    auto read = numbers_topic(reader);
    CHECK(read.durable_offset() == Offset{0});
    topic.flush();
    CHECK(read.durable_offset() == Offset{3});
}

TEMPLATE_TEST_CASE("a reader outlives its writer and follows the next one", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = std::make_unique<BasicLog<TestType>>(world.open(small));
    send_numbers(*log, 0, 1000);
    auto reader = world.attach();
    auto topic = numbers_topic(reader);
    auto consumer = topic.consumer();
    CHECK(consumer.poll(0ns, 10'000).size() == 1000);
    for (std::int64_t life = 1; life < 4; ++life) {
        log.reset();
        CHECK(values_of(topic.replay()) == range(0, 1000 * life));
        CHECK(consumer.poll(1ms).empty());
        log = std::make_unique<BasicLog<TestType>>(world.open(small));
        CHECK(values_of(topic.replay()) == range(0, 1000 * life));
        send_numbers(*log, 1000 * life, 1000 * (life + 1));
        CHECK(consumer.poll(0ns, 10'000).size() == 1000);
        CHECK(values_of(topic.replay()) == range(0, 1000 * (life + 1)));
    }
}

TEST_CASE("a reader of another process's dead log finds what recovery will, and its successor") {
    World<MemoryPlatform> world;
    auto log = world.open(small);
    send_numbers(log, 0, 50);
    // The process dies between the claim of a record and its publication, while another goes on.
    auto const dead = die_in_claim(world, log, 50, 60);
    REQUIRE(dead);
    MemoryLog reader{world.path, {.read_only = true}, *dead};
    auto read = numbers_topic(reader);
    auto consumer = read.consumer();
    CHECK(read.end_offset() == Offset{60});
    CHECK(consumer.poll(0ns).size() == 59);  // record 50 never came to be
    CHECK(consumer.position(0) == Offset{60});
    CHECK(consumer.lag() == 0);

    MemoryLog successor{world.path, small, *dead};
    REQUIRE(successor.recovery().partitions.size() == 1);
    CHECK(successor.recovery().partitions[0].records_voided == 1);
    CHECK(values_of(numbers_topic(successor).replay()) == values_of(read.replay()));
    send_numbers(successor, 60, 70);
    auto const polled = consumer.poll(0ns);
    REQUIRE(polled.size() == 10);
    CHECK(polled[0].offset() == Offset{60});
    CHECK(read.end_offset() == Offset{70});
}

TEST_CASE("a reader looks anew after a writer that repaired the log and was gone again") {
    World<MemoryPlatform> world;
    auto log = world.open(small);
    send_numbers(log, 0, 50);
    auto dead = world.machine.platform.after_process_death();
    MemoryLog reader{world.path, {.read_only = true}, dead};
    auto const topic = numbers_topic(reader);
    CHECK(topic.end_offset() == Offset{50});
    dead.fail_next(Operation::list, EIO);
    CHECK(topic.end_offset() == Offset{50});
    CHECK(dead.has_failures());  // nothing is listed while nothing happens
    dead.clear_failures();
    { MemoryLog const repairs{world.path, small, dead}; }
    dead.fail_next(Operation::list, EIO);
    CHECK(code_of([&] { (void)topic.end_offset(); }) == Errc::io_error);
    CHECK(topic.end_offset() == Offset{50});
}

TEST_CASE("a reader of a log that lost its tail to a power cut sees the prefix") {
    World<MemoryPlatform> world;
    auto log = world.open(small);
    auto topic = numbers_topic(log, {.sync = Sync::never});
    send_numbers(log, 0, 20);
    topic.flush();
    send_numbers(log, 20, 40);
    auto const machine = world.machine.platform.after_power_loss();
    MemoryLog reader{world.path, {.read_only = true}, machine};
    auto read = numbers_topic(reader);
    CHECK(values_of(read.replay()) == range(0, 20));
    auto consumer = read.consumer();
    CHECK(consumer.poll(0ns).size() == 20);
    MemoryLog successor{world.path, small, machine};
    send_numbers(successor, 20, 25);
    CHECK(consumer.poll(0ns).size() == 5);
    CHECK(values_of(read.replay()) == range(0, 25));
}

TEST_CASE("a reader whose position the log lost is told so") {
    World<MemoryPlatform> world;
    auto log = world.open(small);
    auto topic = numbers_topic(log, {.sync = Sync::never});
    send_numbers(log, 0, 20);
    auto consumer = topic.consumer({.group = "g"});
    (void)consumer.poll(0ns);
    consumer.commit();
    auto const machine = world.machine.platform.after_power_loss();
    MemoryLog reader{world.path, {.read_only = true}, machine};
    auto read = numbers_topic(reader).consumer({.group = "g"});
    CHECK(read.committed(0) == Offset{20});
    CHECK(code_of([&] { (void)read.poll(0ns); }) == Errc::log_truncated);
    read.seek_to_beginning();
    CHECK(read.poll(0ns).empty());
}

TEST_CASE("reading changes no byte, also where a writer died") {
    World<NativePlatform> world;
    Child writer{[&](Child const& parent) {
        auto log = world.open(small);
        send_numbers(log, 0, 3000);
        parent.say();
        parent.hear();
    }};
    writer.hear();
    writer.kill();
    auto const before = files_below(world.path);
    {
        auto reader = world.attach();
        CHECK(values_of(numbers_topic(reader).replay()) == range(0, 3000));
        auto consumer = numbers_topic(reader).consumer({.group = "g"});
        CHECK(consumer.poll(0ns).size() == 500);
        reader.close();
    }
    CHECK(files_below(world.path) == before);
}

TEST_CASE("a reader needs no permission to write") {
    World<NativePlatform> world;
    {
        auto log = world.open(small);
        send_numbers(log, 0, 1000);
    }
    using std::filesystem::perms;
    auto const set = [&](perms files, perms directories) {
        for (auto const& entry : std::filesystem::recursive_directory_iterator{world.path}) {
            std::filesystem::permissions(entry, entry.is_directory() ? directories : files);
        }
        std::filesystem::permissions(world.path, directories);
    };
    std::filesystem::permissions(world.machine.path, perms{0755});
    set(perms{0444}, perms{0555});
    Child reader{[&](Child const&) {
        if (::geteuid() == 0 && ::setuid(65534) != 0) std::abort();
        auto log = world.attach();
        if (values_of(numbers_topic(log).replay()) != range(0, 1000))
            throw std::runtime_error{"differs"};
        auto consumer = numbers_topic(log).consumer({.group = "g"});
        if (consumer.poll(1ms).size() != 500) throw std::runtime_error{"polled otherwise"};
        if (code_of([&] { (void)world.open(); }) != Errc::permission_denied) {
            throw std::runtime_error{"opened for writing"};
        }
    }};
    CHECK(reader.join() == 0);
    set(perms{0600}, perms{0700});
}

// ---- from another process

TEST_CASE("another process reads while this one writes and rolls") {
    World<NativePlatform> world;
    constexpr std::int64_t count = 20'000;
    Child reader{[&](Child const& parent) {
        parent.hear();
        auto log = world.attach();
        auto consumer = numbers_topic(log).consumer();
        std::int64_t next = 0;
        while (next < count) {
            for (auto const& record : consumer.poll(20s)) {
                if (record.value() != next++) throw std::runtime_error{"out of order"};
            }
        }
        if (!consumer.poll(1ms).empty()) throw std::runtime_error{"more than was sent"};
        if (sum_of(numbers_topic(log)) != count * (count - 1) / 2) throw std::runtime_error{"sum"};
    }};
    auto log = world.open(small);
    auto producer = numbers_topic(log).producer();
    reader.say();
    for (std::int64_t i = 0; i < count; ++i) producer.send("k", i);
    CHECK(reader.join() == 0);
}

TEST_CASE("this process reads what another writes, until it is killed, and what comes after") {
    World<NativePlatform> world;
    auto const write = [&](Child const& parent) {
        auto log = world.open(small);
        auto topic = numbers_topic(log);
        auto next = static_cast<std::int64_t>(topic.end_offset().value());
        parent.say();
        for (;; ++next) topic.producer().send("k", next);
    };
    auto first = std::make_unique<Child>(write);
    first->hear();
    auto reader = world.attach();
    auto topic = numbers_topic(reader);
    auto consumer = topic.consumer();
    std::int64_t seen = 0;
    auto const read_until = [&](std::int64_t until) {
        while (seen < until) {
            for (auto const& record : consumer.poll(20s)) REQUIRE(record.value() == seen++);
        }
    };
    read_until(5000);
    for (int life = 0; life < 5; ++life) {
        first->kill();
        while (!consumer.poll(0ns).empty())
            seen = static_cast<std::int64_t>(consumer.position(0).value());
        CHECK(consumer.lag() == 0);
        CHECK(topic.end_offset() == consumer.position(0));
        first = std::make_unique<Child>(write);
        first->hear();
        // Whoever died in mid-record left a void: values go on from the offset, not the count.
        std::int64_t const goal = seen + 5000;
        while (seen < goal) {
            for (auto const& record : consumer.poll(20s)) {
                REQUIRE(record.value() == static_cast<std::int64_t>(record.offset().value()));
                seen = record.value() + 1;
            }
        }
    }
}

TEST_CASE("another process never sees a part of a batch") {
    World<NativePlatform> world;
    auto log = world.open(small);
    auto topic = numbers_topic(log);
    Child reader{[&](Child const& parent) {
        auto attached = world.attach();
        auto consumer = numbers_topic(attached).consumer();
        parent.say();
        std::int64_t count = 0;
        for (bool is_over = false; !is_over;) {
            auto const polled = consumer.poll(20s, 1'000'000);
            count += static_cast<std::int64_t>(polled.size());
            for (auto const& record : polled) is_over = is_over || record.value() < 0;
            if (!is_over && count % 50 != 0) throw std::runtime_error{"a part of a batch"};
        }
    }};
    reader.hear();
    std::vector<std::int64_t> const batch(50, 7);
    for (int i = 0; i < 500; ++i) topic.producer().send_batch("k", batch);
    topic.producer().send("k", -1);
    CHECK(reader.join() == 0);
}

TEST_CASE("a reader that waits is woken soon, and does not spin") {
    World<NativePlatform> world;
    auto const now = [] { return NativePlatform{}.steady_now().count(); };
    Child writer{[&](Child const& parent) {
        auto log = world.open();
        auto topic = numbers_topic(log);
        topic.producer().send("k", 0);
        parent.say();
        parent.hear();
        for (int i = 0; i < 15; ++i) {
            std::this_thread::sleep_for(20ms);
            topic.producer().send("k", now());  // one clock for all processes
        }
        parent.hear();
    }};
    writer.hear();
    auto reader = world.attach();
    auto consumer = numbers_topic(reader).consumer({.start = Start::latest});
    auto const processor_time = [] {
        timespec time{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
    };
    auto const begun = processor_time();
    writer.say();
    std::vector<std::int64_t> delays;
    while (delays.size() < 15) {
        for (auto const& record : consumer.poll(20s)) delays.push_back(now() - record.value());
    }
    CHECK(processor_time() - begun < 150ms);  // of 300
    std::sort(delays.begin(), delays.end());
    INFO("median delay " << delays[7] / 1000 << " us, longest " << delays.back() / 1000 << " us");
    CHECK(delays[7] < 20'000'000);
    writer.say();
    CHECK(writer.join() == 0);
}

TEST_CASE("a reader that waits through the end of a writer hears from the next") {
    World<NativePlatform> world;
    // Made before there are threads: a fork beside an allocation may hang under a sanitizer.
    auto const writer = [&](std::int64_t from, std::int64_t until) {
        return std::make_unique<Child>([&world, from, until](Child const& parent) {
            parent.hear();
            auto log = world.open(small);
            send_numbers(log, from, until);
            parent.say();
            parent.hear();
        });
    };
    std::unique_ptr<Child> const writers[] = {writer(0, 10), writer(10, 11), writer(11, 12)};
    writers[0]->ask();
    auto reader = world.attach();
    auto consumer = numbers_topic(reader).consumer();
    CHECK(consumer.poll(0ns).size() == 10);
    for (std::size_t i = 1; i < 3; ++i) {
        auto const from = static_cast<std::int64_t>(consumer.position(0).value());
        std::jthread const change{[&] {
            std::this_thread::sleep_for(20ms);
            if (i == 2) {
                writers[i - 1]->kill();
            } else {
                writers[i - 1]->say();
                if (writers[i - 1]->join() != 0) std::abort();
            }
            writers[i]->ask();
        }};
        auto const polled = consumer.poll(20s);
        REQUIRE(polled.size() == 1);
        CHECK(polled[0].value() == from);
    }
}

TEST_CASE("wakeup ends the wait of a reader beside a writer") {
    World<NativePlatform> world;
    auto log = world.open();
    send_numbers(log, 0, 1);
    auto reader = world.attach();
    auto consumer = numbers_topic(reader).consumer({.start = Start::latest});
    std::jthread const waker{[&] {
        std::this_thread::sleep_for(20ms);
        consumer.wakeup();
    }};
    CHECK(consumer.poll(std::chrono::nanoseconds::max()).empty());
}

TEST_CASE("a writer in another process keeps this one out, until it dies") {
    World<NativePlatform> world;
    Child writer{[&](Child const& parent) {
        auto log = world.open();
        send_numbers(log, 0, 5);
        parent.say();
        parent.hear();
    }};
    writer.hear();
    CHECK(code_of([&] { (void)world.open(); }) == Errc::locked);
    CHECK(code_of([&] { (void)world.open({.lock_timeout = 20ms}); }) == Errc::locked);
    std::jthread const killer{[&] {
        std::this_thread::sleep_for(20ms);
        writer.kill();
    }};
    auto log = world.open({.lock_timeout = 20s});
    REQUIRE(log.recovery().partitions.size() == 1);
    CHECK(log.recovery().partitions[0].ending == Ending::process_death);
    CHECK(log.recovery().partitions[0].end == Offset{5});
    CHECK(values_of(numbers_topic(log).replay()) == range(0, 5));
    send_numbers(log, 5, 7);
    CHECK(values_of(numbers_topic(log).replay()) == range(0, 7));
}

TEST_CASE("a child that was forked does not keep its parent's lock") {
    World<NativePlatform> world;
    auto log = std::make_unique<Log>(world.open());
    send_numbers(*log, 0, 1);
    Child bystander{[](Child const& parent) { parent.hear(); }};
    log.reset();
    CHECK(code_of([&] { (void)world.open(); }) == Errc::ok);
    bystander.say();
    CHECK(bystander.join() == 0);
}

TEST_CASE("many readers at once disturb neither the writer nor each other") {
    World<NativePlatform> world;
    auto log = world.open(small);
    auto topic = numbers_topic(log);
    std::vector<std::unique_ptr<Child>> readers;
    for (int i = 0; i < 4; ++i) {
        readers.push_back(std::make_unique<Child>([&](Child const& parent) {
            auto attached = world.attach();
            auto read = numbers_topic(attached);
            parent.say();
            std::int64_t last = 0;
            while (last < 5000) {
                auto const count = static_cast<std::int64_t>(read.end_offset().value());
                if (count < last) throw std::runtime_error{"the log became shorter"};
                auto const replay = read.replay();
                std::int64_t walked = 0;
                for (auto const& record : replay) {
                    if (record.value() != walked++) throw std::runtime_error{"out of order"};
                }
                if (walked < count) throw std::runtime_error{"less than was published"};
                last = walked;
            }
        }));
        readers.back()->hear();
    }
    send_numbers(log, 0, 5000);
    CHECK(topic.end_offset() == Offset{5000});
    for (auto const& reader : readers) CHECK(reader->join() == 0);
}

TEMPLATE_TEST_CASE("a reader knows what is durable in segments that came after it attached", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open(small);
    auto topic = numbers_topic(log, {.sync = Sync::never});
    send_numbers(log, 0, 10);
    topic.flush();
    auto reader = world.attach();
    auto read = numbers_topic(reader);
    CHECK(read.durable_offset() == Offset{10});
    send_numbers(log, 10, 5000);  // some segments
    topic.flush();
    CHECK(read.durable_offset() == Offset{5000});
    CHECK(read.partition(0).durable_offset() == Offset{5000});
    send_numbers(log, 5000, 10'000);
    log.close();
    CHECK(read.durable_offset() == Offset{10'000});
}

TEST_CASE("closing a log that is only read ends a poll that waits") {
    World<NativePlatform> world;
    auto log = world.open();
    send_numbers(log, 0, 1);
    auto reader = world.attach();
    auto consumer = numbers_topic(reader).consumer();
    CHECK(consumer.poll(0ns).size() == 1);
    std::jthread const closer{[&] {
        std::this_thread::sleep_for(20ms);
        reader.close();
    }};
    CHECK(code_of([&] { (void)consumer.poll(3s); }) == Errc::closed);
}
