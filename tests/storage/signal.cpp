// SPDX-License-Identifier: MIT
// Sleepers are woken by what is published, and publishers pay nothing while nobody sleeps.
#include <annals/storage/signal.hpp>

#include <chrono>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "senders.hpp"
#include "turns.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

template <class P>
bool is_over(storage::Signal<P> const& signal, WaitWord const& ticket) {
    return signal.ticket().expected != ticket.expected;
}

}  // namespace

TEMPLATE_TEST_CASE("only where somebody has announced a sleep is the word changed", "",
                   MemoryPlatform, NativePlatform) {
    storage::Signal<TestType> const signal{TestType{}};
    auto const ticket = signal.ticket();
    signal.notify_sleepers();
    CHECK_FALSE(is_over(signal, ticket));
    {
        typename storage::Signal<TestType>::Sleeper const first{signal};
        {
            typename storage::Signal<TestType>::Sleeper const second{signal};
        }
        signal.notify_sleepers();
        CHECK(is_over(signal, ticket));
    }
    auto const later = signal.ticket();
    signal.notify_sleepers();
    CHECK_FALSE(is_over(signal, later));
    signal.notify();
    CHECK(is_over(signal, later));
}

TEMPLATE_TEST_CASE("a sleep ends at once where the signal came after the ticket", "",
                   MemoryPlatform, NativePlatform) {
    TestType const machine;
    storage::Signal<TestType> const signal{machine};
    auto const ticket = signal.ticket();
    signal.notify();
    auto const start = machine.steady_now();
    signal.sleep(ticket, 1h);
    CHECK(machine.steady_now() - start < 1min);
}

TEMPLATE_TEST_CASE("a sleep that nobody ends is over in time", "", MemoryPlatform,
                   NativePlatform) {
    TestType const machine;
    storage::Signal<TestType> const signal{machine};
    auto const start = machine.steady_now();
    signal.sleep(signal.ticket(), 20ms);
    CHECK(machine.steady_now() - start >= 19ms);
}

TEST_CASE("consumers that wait for ever get every record, whatever the order of steps") {
    // A lost wake-up would leave all threads asleep, which ends the run.
    for (std::uint64_t seed = 1; seed <= 600; ++seed) {
        CAPTURE(seed);
        Random random{seed};
        bool const has_keeper = random.one_in(2);
        Sync const sync = static_cast<Sync>(random.below(3));
        TurnPlatform machine;
        Turns{seed, machine}.run([&] {
            BasicLog<TurnPlatform> log{
                "log", {.segment_bytes = 64 << 10, .keeper = has_keeper}, machine};
            auto topic = log.topic<Bytes, Bytes>("t", {.sync = sync, .sync_interval = 20us});
            constexpr std::uint64_t each = 15;
            std::vector<TurnThread> threads;
            for (int i = 0; i < 2; ++i) {
                threads.emplace_back([&] {
                    auto consumer = topic.consumer();
                    std::uint64_t seen = 0;
                    while (seen < 2 * each) {
                        seen += consumer.poll(std::chrono::nanoseconds::max(), 3).size();
                    }
                    CHECK(seen == 2 * each);
                });
            }
            for (int i = 0; i < 2; ++i) {
                threads.emplace_back([&] {
                    std::string const value(5000, 'v');
                    for (std::uint64_t n = 0; n < each; ++n) {
                        topic.partition(0).append({}, as_bytes(value));
                    }
                });
            }
            for (auto& thread : threads) thread.join();
        });
    }
}

TEST_CASE("wakeup and close end a poll that waits for ever, whatever the order of steps") {
    for (std::uint64_t seed = 1; seed <= 600; ++seed) {
        CAPTURE(seed);
        TurnPlatform machine;
        Turns{seed, machine}.run([&] {
            BasicLog<TurnPlatform> log{"log", {.keeper = seed % 2 == 0}, machine};
            auto topic = log.topic<Bytes, Bytes>("t");
            auto consumer = topic.consumer();
            TurnThread poller{[&] {
                CHECK(consumer.poll(std::chrono::nanoseconds::max()).empty());
                CHECK(code_of([&] { (void)consumer.poll(std::chrono::nanoseconds::max()); }) ==
                      Errc::closed);
            }};
            for (std::uint64_t i = 0; i < seed % 7; ++i) Turns::let_others();
            consumer.wakeup();
            for (std::uint64_t i = 0; i < seed % 5; ++i) Turns::let_others();
            log.close();
            poller.join();
        });
    }
}

TEST_CASE("a keeper that sleeps is woken by the first record, whatever the order of steps") {
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        CAPTURE(seed);
        TurnPlatform machine;
        Turns{seed, machine}.run([&] {
            BasicLog<TurnPlatform> log{"log", {}, machine};
            auto topic = log.topic<Bytes, Bytes>(
                "t", {.sync = Sync::interval, .sync_interval = std::chrono::microseconds{50}});
            for (int i = 1; i <= 4; ++i) {
                topic.partition(0).append({}, as_bytes("value"));
                auto const give_up = machine.steady_now() + 10s;
                while (topic.durable_offset() < Offset(static_cast<unsigned>(i))) {
                    machine.wait({}, std::chrono::microseconds{seed % 70 + 1});
                    if (machine.steady_now() > give_up) break;
                }
                CHECK(topic.durable_offset() == Offset(static_cast<unsigned>(i)));
            }
        });
    }
}
