// SPDX-License-Identifier: MIT
// Calls back into the log from inside a claim or an event handler are refused, not deadlocked.
#include <annals/storage/reentrancy.hpp>

#include <functional>
#include <thread>

#include "catch.hpp"
#include "turns.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

/// A value whose encoding, inside its claim, runs what the test wants.
struct Calling {
    std::function<void()> call{};
};

}  // namespace

template <>
struct annals::Codec<Calling> {
    static constexpr std::string_view name = "calling";
    static constexpr bool encode_in_place = true;
    static std::size_t size(Calling const&) { return 1; }
    static void encode(Calling const& value, MutableBytes out) {
        out[0] = std::byte{1};
        value.call();
    }
    static Calling decode(Bytes) { return {}; }
};

TEST_CASE("inside a scope of user code calls are refused, and behind it they are not") {
    CHECK_NOTHROW(detail::require_outside_user_code());
    {
        detail::UserCodeScope const outer;
        {
            detail::UserCodeScope const inner;
            CHECK(code_of([] { detail::require_outside_user_code(); }) ==
                  Errc::invalid_argument);
        }
        CHECK(code_of([] { detail::require_outside_user_code(); }) == Errc::invalid_argument);
        // It is this thread that runs user code; another one may call.
        std::jthread{[] { CHECK_NOTHROW(detail::require_outside_user_code()); }}.join();
    }
    CHECK_NOTHROW(detail::require_outside_user_code());
}

TEMPLATE_TEST_CASE("a call into the log from an encoding inside a claim throws invalid_argument",
                   "", MemoryPlatform, NativePlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, Calling>("t");
    auto other = log.template topic<std::string, std::string>("other");
    auto consumer = topic.consumer({.group = "g"});
    auto producer = topic.producer();
    producer.send("k", {[] {}});
    std::function<void()> const calls[] = {
        [&] { producer.send("k", {[] {}}); },
        [&] { other.producer().send("k", "v"); },
        [&] { (void)topic.end_offset(); },
        [&] { (void)topic.replay(); },
        [&] { topic.flush(); },
        [&] { log.flush(); },
        [&] { log.close(); },
        [&] { log.remove_topic("other"); },
        [&] { (void)log.template topic<std::string, std::string>("new"); },
        [&] { (void)topic.consumer(); },
        [&] { (void)consumer.poll(1h); },
        [&] { consumer.commit(); },
        [&] { (void)consumer.lag(); },
        [&] { consumer.seek_to_end(); },
        [&] {
            auto cursor = topic.partition(0).cursor(topic.beginning_offset() + 1);
            (void)cursor.next();
        },
    };
    std::uint64_t sent = 1;
    for (auto const& call : calls) {
        CAPTURE(sent);
        CHECK(code_of([&] { producer.send("k", {call}); }) == Errc::invalid_argument);
        CHECK(topic.end_offset() == Offset{++sent});  // a void
    }
    CHECK(producer.send("k", {[] {}}).offset == Offset{sent});
    CHECK(log.topics() == std::vector<std::string>{"other", "t"});
}

TEST_CASE("a batch whose values are made while it is written may not call the log either") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto topic = log.topic<std::string, std::string>("t");
    std::vector<int> const numbers{1, 2};
    /// Gives text, and on the second walk, inside the claim, calls the log.
    struct Values {
        std::vector<int> const& numbers;
        std::function<void()> call;
        mutable int walks = 0;

        struct Iterator {
            std::vector<int>::const_iterator at;
            Values const* values;
            std::string operator*() const {
                if (values->walks == 2) values->call();
                return std::to_string(*at);
            }
            Iterator& operator++() { return ++at, *this; }
            bool operator!=(Iterator const& other) const { return at != other.at; }
        };
        [[nodiscard]] Iterator begin() const { return ++walks, Iterator{numbers.begin(), this}; }
        [[nodiscard]] Iterator end() const { return {numbers.end(), this}; }
    };
    Values const values{numbers, [&] { (void)topic.end_offset(); }};
    auto const code = code_of([&] { topic.producer().send_batch("k", values); });
    CHECK((code == Errc::ok || code == Errc::invalid_argument));
    CHECK(topic.end_offset() == Offset{2});
}

TEST_CASE("an event handler that calls the log is refused, also while another thread closes it") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        TurnPlatform machine;
        unsigned told = 0;
        Turns{seed, machine}.run([&] {
            BasicLog<TurnPlatform>* opened = nullptr;
            auto const handler = [&](Event const& event) {
                ++told;
                CHECK(event.kind == Event::Kind::sync_error);
                if (!opened) return;
                CHECK(code_of([&] { opened->flush(); }) == Errc::invalid_argument);
                CHECK(code_of([&] { opened->close(); }) == Errc::invalid_argument);
                CHECK(code_of([&] { opened->remove_topic("t"); }) == Errc::invalid_argument);
                opened->flush();  // and what the handler throws does not end the program
            };
            BasicLog<TurnPlatform> log{"log", {.on_event = handler}, machine};
            opened = &log;
            auto topic = log.topic<Bytes, Bytes>(
                "t", {.sync = Sync::interval, .sync_interval = std::chrono::microseconds{5}});
            topic.partition(0).append({}, as_bytes("value"));
            machine.fail_next(Operation::sync, EIO);
            for (std::uint64_t i = 0; i < seed; ++i) Turns::let_others();
            auto const code = code_of([&] { log.close(); });
            CHECK((code == Errc::ok || code == Errc::sync_failed));
        });
        CHECK(told <= 2);  // of the failure, and of the copy
    }
}
