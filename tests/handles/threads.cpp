// SPDX-License-Identifier: MIT
// One handle in the hands of several threads, and a log that is closed under them.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <annals/annals.hpp>

#include "../effort.hpp"
#include "../world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

constexpr auto for_ever = std::chrono::nanoseconds::max();

}  // namespace

TEST_CASE("eight threads share one producer, one topic, one log") {
    World<NativePlatform> world;
    auto log = world.open({.segment_bytes = 64u << 10});
    auto const topic = log.topic<std::string, std::int64_t>("t", {.partitions = 3});
    auto producer = topic.producer();
    constexpr int threads = 8;
    constexpr std::int64_t each = 1500;
    std::vector<std::jthread> senders;
    for (int id = 0; id < threads; ++id) {
        senders.emplace_back([&, id] {
            std::string const key = std::to_string(id);
            for (std::int64_t i = 0; i < each; ++i) {
                if (i % 5 == 0) {
                    producer.send_batch(key, {i});
                } else {
                    producer.send(key, i);
                }
                if (i % 100 == 0) {
                    auto const other = log.topic<std::string, std::int64_t>("t");
                    if (other.end_offset(static_cast<std::uint32_t>(id) % 3) < Offset{0})
                        std::abort();
                    (void)log.topics();
                }
            }
        });
    }
    senders.clear();
    std::vector<std::int64_t> next(threads, 0);
    for (std::uint32_t partition = 0; partition < 3; ++partition) {
        for (auto const& record : topic.replay({.partition = partition})) {
            REQUIRE(record.value() == next[std::stoul(std::string{record.key()})]++);
        }
    }
    CHECK(next == std::vector<std::int64_t>(threads, each));
}

TEST_CASE("a log that is closed while all use it ends them with closed, and loses nothing sent") {
    for (unsigned round = 0; round < 10 * effort(); ++round) {
        World<NativePlatform> world;
        auto log = std::make_unique<Log>(world.open({.segment_bytes = 64u << 10}));
        auto const topic =
            log->topic<std::string, std::int64_t>("t", {.partitions = 2, .sync = Sync::interval});
        std::atomic<std::uint64_t> sent = 0;
        std::atomic<unsigned> ready = 0;
        std::atomic<unsigned> closed = 0;
        std::vector<std::jthread> users;
        auto const use = [&](auto make) {
            users.emplace_back([&, make] {
                auto call = make();
                bool is_counted = false;
                for (;;) {
                    auto const error = error_of(call);
                    if (!std::exchange(is_counted, true)) ++ready;
                    if (!error) continue;
                    if (error->code() == Errc::closed) ++closed;
                    return;
                }
            });
        };
        for (int i = 0; i < 3; ++i) {
            use([&] {
                return [&, producer = topic.producer()]() mutable {
                    producer.send(std::nullopt, 1);
                    ++sent;
                };
            });
        }
        use([&] {
            return [&, producer = topic.producer()]() mutable {
                producer.send_batch("k", {std::int64_t{1}, std::int64_t{2}, std::int64_t{3}});
                sent += 3;
            };
        });
        use([&] {
            auto consumer = std::make_shared<Consumer<std::string, std::int64_t>>(topic.consumer());
            return [consumer] { (void)consumer->poll(for_ever); };
        });
        use([&] {
            auto consumer = std::make_shared<Consumer<std::string, std::int64_t>>(
                topic.consumer({.group = "g"}));
            return [consumer] {
                (void)consumer->poll(1ms);
                consumer->commit();
            };
        });
        use([&] { return [&] { topic.flush(), topic.producer().send("k", 2), ++sent; }; });
        std::jthread const replayer{[&] {
            for (int i = 0; i < 5; ++i) {
                for (auto const& record : topic.replay()) {
                    if (record.value() == 0) std::abort();
                }
            }
        }};
        while (ready != users.size()) std::this_thread::yield();
        if (round % 2 == 0) {
            log->close();
        } else {
            log.reset();
        }
        auto next = world.open();  // at once
        users.clear();
        CHECK(closed == 7);
        CHECK(next.recovery().was_clean());
        auto const found = next.topic<std::string, std::int64_t>("t");
        CHECK(found.end_offset(0).value() + found.end_offset(1).value() == sent);
    }
}

TEST_CASE("consumers that wait hear of the end of their log, and of a topic that is removed") {
    for (int i = 0; i < 20; ++i) {
        World<NativePlatform> world;
        std::optional<Log> log{world.open()};
        auto const topic = log->topic<std::string, std::int64_t>("t", {.partitions = 3});
        if (i % 2 == 0) topic.producer().send("k", 1);
        std::atomic<int> closed = 0;
        std::vector<std::jthread> waiting;
        for (int n = 0; n < 3; ++n) {
            waiting.emplace_back([&] {
                auto const code = code_of([&] {
                    auto consumer = topic.consumer({.start = Start::latest});
                    (void)consumer.poll(for_ever);
                });
                if (code == Errc::closed) ++closed;
            });
        }
        if (i % 4 < 2) std::this_thread::sleep_for(2ms);
        switch (i % 3) {
            case 0: log.reset(); break;
            case 1: log->close(); break;
            default: log->remove_topic("t");
        }
        waiting.clear();
        CHECK(closed == 3);
    }
}

TEST_CASE("wakeup from other threads ends one poll each time it is called, and harms none") {
    World<NativePlatform> world;
    auto log = world.open();
    auto const topic = log.topic<std::string, std::int64_t>("t");
    auto consumer = topic.consumer();
    std::atomic<bool> is_over = false;
    std::jthread const waker{[&] {
        while (!is_over) consumer.wakeup();
    }};
    std::jthread const sender{[&] {
        auto producer = topic.producer();
        for (std::int64_t i = 0; i < 2000; ++i) producer.send("k", i);
    }};
    std::int64_t next = 0;
    while (next < 2000) {
        for (auto const& record : consumer.poll(for_ever)) REQUIRE(record.value() == next++);
    }
    is_over = true;
}
