// SPDX-License-Identifier: MIT
// Memory that cannot be had, at each allocation of each call in turn: the call throws, and nothing
// is left behind: no claim that others wait for, no lock, no half of anything.
#include <annals/annals.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../allocation_hook.hpp"
#include "../effort.hpp"
#include "../storage/lives.hpp"
#include "../world.hpp"

namespace {

/// How many allocations of this thread succeed from now on, and how many fail then.
thread_local std::uint64_t succeeding = 0;
thread_local std::uint64_t failing = 0;
thread_local bool has_failed = false;

/// Of all threads' allocations one in so many fails; 0: none.
std::atomic<std::uint64_t> failing_one_in = 0;
std::atomic<std::uint64_t> made = 0;

}  // namespace

void annals::test::before_allocation(std::size_t) {
    if (failing != 0) {
        if (succeeding == 0) {
            --failing;
            has_failed = true;
            throw std::bad_alloc{};
        }
        --succeeding;
    }
    auto const one_in = failing_one_in.load(std::memory_order_relaxed);
    if (one_in != 0 && made.fetch_add(1, std::memory_order_relaxed) % one_in == 0) {
        throw std::bad_alloc{};
    }
}

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

/// A value whose size is not known before it is encoded.
struct Text {
    std::string text{};
};

}  // namespace

template <>
struct annals::Codec<Text> {
    static constexpr std::string_view name = "text";
    static void encode(Text const& value, Buffer& out) { out.append(as_bytes(value.text)); }
    static Text decode(Bytes bytes) {
        return {std::string{reinterpret_cast<char const*>(bytes.data()), bytes.size()}};
    }
};

namespace {

using OwnTexts = Topic<std::string, Text>;

constexpr std::uint64_t all_of_them = ~std::uint64_t{0};

/// What a call that ran out of memory came to.
struct Outcome {
    bool has_failed = false;  ///< an allocation did
    bool has_thrown = false;  ///< and the call
    std::uint64_t at = 0;
};

template <class Call>
Outcome with_memory_for(std::uint64_t allocations, std::uint64_t failures, Call const& call) {
    Outcome outcome{.at = allocations};
    succeeding = allocations;
    has_failed = false;
    failing = failures;
    try {
        call();
    } catch (std::bad_alloc const&) {
        outcome.has_thrown = true;
    } catch (Error const&) {
        outcome.has_thrown = true;
    }
    failing = 0;
    outcome.has_failed = has_failed;
    return outcome;
}

/// Hundreds of logs are opened and closed; on a disk their syncs would take minutes.
struct FolderInMemory {
    FolderInMemory() {
        if (std::filesystem::is_directory("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", 1);
    }
};

/// A log without a keeper, so that all its work is done by whoever calls; and what was sent to it.
struct ShortLife {
    FolderInMemory folder{};
    World<NativePlatform> world{};
    std::optional<Log> log{};
    std::optional<OwnTexts> topic{};
    std::vector<std::string> sent{};

    explicit ShortLife(Sync sync = Sync::never) { open(sync); }

    void open(std::optional<Sync> sync = {}) {
        log.reset();
        log.emplace(world.open({.segment_bytes = 64u << 10, .keeper = false}));
        topic.emplace(log->topic<std::string, Text>("texts", {.partitions = 2, .sync = sync}));
    }
    [[nodiscard]] std::string next() const {
        return std::to_string(sent.size()) + std::string(5000, 'x');
    }
    void send() {
        topic->producer().send("k", Text{next()}, {.partition = 0});
        sent.push_back(next());
    }
    [[nodiscard]] std::vector<std::string> found() const {
        std::vector<std::string> texts;
        for (auto const& record : topic->replay()) texts.push_back(record.value().text);
        return texts;
    }
    /// Whatever happened: the log works, holds what it should, and closes.
    void check() {
        CHECK(found() == sent);
        send();
        send();
        CHECK(found() == sent);
        topic->flush();
        log->close();
        CHECK(code_of([&] { (void)world.open(); }) == Errc::ok);
        open();
        CHECK(log->recovery().was_clean());
        CHECK(found() == sent);
        send();
        CHECK(found() == sent);
    }
};

/// Runs `act(life)` with memory for no allocation, for one, and so on until it needs no more.
/// `prepare(life)` comes before with all the memory there is; `judge(life, outcome)` behind.
/// Returns how many that were.
template <class Prepare, class Act, class Judge>
std::uint64_t at_each_allocation(Prepare const& prepare, Act const& act, Judge const& judge,
                                 Sync sync = Sync::never) {
    std::uint64_t most = 0;
    for (std::uint64_t const failures : {std::uint64_t{1}, all_of_them}) {
        std::uint64_t const stride = effort() > 1 ? 1 : 3;  // where there are many
        std::uint64_t n = 0;
        for (bool goes_on = true; goes_on; n += n < 64 ? 1 : stride) {
            CAPTURE(n, failures);
            ShortLife life{sync};
            prepare(life);
            Outcome const outcome = with_memory_for(n, failures, [&] { act(life); });
            goes_on = outcome.has_failed;
            if (!goes_on) CHECK_FALSE(outcome.has_thrown);
            judge(life, outcome);
            life.check();
            REQUIRE(n < 5000);
        }
        most = std::max(most, n);
    }
    return most - 1;
}

auto const nothing = [](ShortLife&) {};

}  // namespace

TEST_CASE("without memory a send sends nothing: the first of a life, in each kind of sync") {
    for (Sync const sync : {Sync::never, Sync::always}) {
        auto const needed = at_each_allocation(
            nothing,
            [](ShortLife& life) {
                Text const text{life.next()};
                life.topic->producer().send("k", text, {.partition = 0});
            },
            [](ShortLife& life, Outcome const& outcome) {
                if (!outcome.has_thrown) life.sent.push_back(life.next());
            },
            sync);
        CHECK(needed > 0);
    }
}

TEST_CASE("without memory a send that rolls sends nothing") {
    for (Sync const sync : {Sync::never, Sync::interval, Sync::always}) {
        auto const needed = at_each_allocation(
            [](ShortLife& life) {
                for (int i = 0; i < 12; ++i) life.send();
            },
            [](ShortLife& life) {
                Text const text{life.next()};
                life.topic->producer().send("k", text, {.partition = 0});
            },
            [](ShortLife& life, Outcome const& outcome) {
                if (!outcome.has_thrown) life.sent.push_back(life.next());
            },
            sync);
        CHECK(needed > 0);
    }
}

TEST_CASE("without memory the first send after a restart, or after a death, sends nothing") {
    bool const dies = GENERATE(false, true);
    auto const needed = at_each_allocation(
        [&](ShortLife& life) {
            for (int i = 0; i < 3; ++i) life.send();
            if (dies) {
                // A copy of the files is what a dead machine leaves.
                World<NativePlatform> copy;
                std::filesystem::copy(life.world.path, copy.path,
                                      std::filesystem::copy_options::recursive);
                life.log.reset();
                std::filesystem::remove_all(life.world.path);
                std::filesystem::copy(copy.path, life.world.path,
                                      std::filesystem::copy_options::recursive);
            }
            life.open();
        },
        [](ShortLife& life) {
            Text const text{life.next()};
            life.topic->producer().send("k", text, {.partition = 0});
        },
        [](ShortLife& life, Outcome const& outcome) {
            if (!outcome.has_thrown) life.sent.push_back(life.next());
        });
    CHECK(needed > 0);
}

TEST_CASE("without memory a batch is sent as a whole or not at all") {
    std::vector<Text> const batch(3, Text{"batch"});
    auto const needed = at_each_allocation(
        nothing,
        [&](ShortLife& life) { life.topic->producer().send_batch("k", batch, {.partition = 0}); },
        [](ShortLife& life, Outcome const& outcome) {
            if (!outcome.has_thrown) life.sent.insert(life.sent.end(), 3, "batch");
        });
    CHECK(needed > 0);
}

TEST_CASE("without memory a poll loses no record") {
    std::vector<std::string> polled;
    std::optional<Consumer<std::string, Text>> consumer;
    auto const keep = [&](auto const& records) {
        for (auto const& record : records) polled.push_back(record.value().text);
    };
    auto const needed = at_each_allocation(
        [&](ShortLife& life) {
            for (int i = 0; i < 20; ++i) life.send();
            consumer.emplace(life.topic->consumer());
            polled.clear();
            polled.reserve(20);
        },
        [&](ShortLife&) {
            auto const records = consumer->poll(0ns);
            failing = 0;  // what is done with them is not the log's
            keep(records);
        },
        [&](ShortLife& life, Outcome const&) {
            keep(consumer->poll(0ns));
            CHECK(polled == life.sent);
        });
    CHECK(needed > 0);
}

TEST_CASE("without memory nothing is lost or wrong in a replay") {
    auto const needed = at_each_allocation(
        [](ShortLife& life) {
            for (int i = 0; i < 20; ++i) life.send();
        },
        [](ShortLife& life) {
            std::uint64_t count = 0;
            for (auto const& record : life.topic->replay({.check = Check::always})) {
                if (record.offset() != Offset{count++}) std::abort();
            }
            if (count != life.sent.size()) std::abort();
        },
        [](ShortLife&, Outcome const&) {});
    CHECK(needed > 0);
}

TEST_CASE("without memory a commit commits, or leaves what was committed") {
    std::optional<Consumer<std::string, Text>> consumer;
    auto const needed = at_each_allocation(
        [&](ShortLife& life) {
            consumer.reset();
            for (int i = 0; i < 4; ++i) life.send();
            consumer.emplace(life.topic->consumer({.group = "g"}));
            (void)consumer->poll(0ns, 1);
            consumer->commit();
            (void)consumer->poll(0ns, 1);
        },
        [&](ShortLife&) { consumer->commit(); },
        [&](ShortLife& life, Outcome const& outcome) {
            std::uint64_t const position = outcome.has_thrown ? 1 : 2;
            CHECK(consumer->committed(0) == Offset{position});
            consumer.reset();
            auto const next = life.topic->consumer({.group = "g"});
            CHECK(next.position(0) == Offset{position});
        });
    CHECK(needed > 0);
}

TEST_CASE("without memory no consumer is made and its group is free") {
    auto const needed =
        at_each_allocation([](ShortLife& life) { life.send(); },
                           [](ShortLife& life) { (void)life.topic->consumer({.group = "g"}); },
                           [](ShortLife& life, Outcome const&) {
                               auto consumer = life.topic->consumer({.group = "g"});
                               CHECK(consumer.poll(0ns).size() == 1);
                           });
    CHECK(needed > 0);
}

TEST_CASE("without memory a log is not opened, and its lock is free") {
    auto const needed = at_each_allocation(
        [](ShortLife& life) {
            for (int i = 0; i < 3; ++i) life.send();
            life.topic.reset();
            life.log.reset();
        },
        [](ShortLife& life) { life.open(); },
        [](ShortLife& life, Outcome const&) {
            life.topic.reset();
            life.log.reset();
            life.open();
        });
    CHECK(needed > 0);
}

TEST_CASE("without memory a topic is made as a whole or not at all") {
    auto const needed = at_each_allocation(
        nothing,
        [](ShortLife& life) {
            (void)life.log->topic<std::string, std::string>("new", {.partitions = 3});
        },
        [](ShortLife& life, Outcome const&) {
            auto topic = life.log->topic<std::string, std::string>("new", {.partitions = 3});
            topic.producer().send("k", "v");
            CHECK(topic.replay().begin() != std::default_sentinel);
            life.log->remove_topic("new");
        });
    CHECK(needed > 0);
}

TEST_CASE("without memory a topic that was to be removed is there, or can be removed again") {
    auto const needed = at_each_allocation(
        [](ShortLife& life) {
            auto topic = life.log->topic<std::string, std::string>("old");
            topic.producer().send("k", "v");
        },
        [](ShortLife& life) { life.log->remove_topic("old"); },
        [](ShortLife& life, Outcome const&) {
            (void)code_of([&] { life.log->remove_topic("old"); });
            CHECK(life.log->topics() == std::vector<std::string>{"texts"});
            auto topic = life.log->topic<std::string, std::string>("old");
            CHECK(topic.end_offset() == Offset{0});
            topic.producer().send("k", "v");
            life.log->remove_topic("old");
        });
    CHECK(needed > 0);
}

TEST_CASE("a close needs no memory to free the lock and to refuse what is sent") {
    auto const needed = at_each_allocation(
        [](ShortLife& life) {
            for (int i = 0; i < 3; ++i) life.send();
        },
        [](ShortLife& life) { life.log->close(); },
        [](ShortLife& life, Outcome const&) {
            CHECK(code_of([&] { life.topic->producer().send("k", {}); }) == Errc::closed);
            life.open();  // before the old handles go
        });
    CHECK(needed == 0);
}

TEST_CASE("the destructor of a log needs no memory") {
    auto const needed = at_each_allocation(
        [](ShortLife& life) {
            for (int i = 0; i < 3; ++i) life.send();
        },
        [](ShortLife& life) { life.log.reset(); },
        [](ShortLife& life, Outcome const& outcome) {
            CHECK_FALSE(outcome.has_thrown);
            CHECK(code_of([&] { life.topic->producer().send("k", {}); }) == Errc::closed);
            life.open();
        });
    CHECK(needed == 0);
}

TEST_CASE(
    "where memory is short for the keeper too, what was sent is there and the log closes clean") {
    FolderInMemory const folder;
    for (std::uint64_t const one_in : {2u, 3u, 7u, 20u, 100u}) {
        CAPTURE(one_in);
        World<NativePlatform> world;
        std::atomic<unsigned> told = 0;
        std::vector<std::int64_t> sent;
        sent.reserve(8'000);
        {
            auto log =
                world.open({.segment_bytes = 64u << 10, .on_event = [&](Event const&) { ++told; }});
            auto topic = log.topic<std::string, std::int64_t>(
                "t", {.sync = Sync::interval, .sync_interval = 2ms});
            auto producer = topic.producer();
            failing_one_in = one_in;
            for (std::int64_t i = 0; i < 8'000; ++i) {
                try {
                    producer.send("k", i);
                    sent.push_back(i);
                } catch (std::bad_alloc const&) {
                } catch (Error const&) {
                }
            }
            failing_one_in = 0;
            CHECK(topic.end_offset() == Offset{sent.size()});
            producer.send("k", -1);
            sent.push_back(-1);
            log.close();
        }
        auto log = world.open();
        CHECK(log.recovery().was_clean());
        CHECK((values_of(log.topic<std::string, std::int64_t>("t").replay()) == sent));
    }
}

TEST_CASE("an allocation that fails while a life begins leaves its first segment there once") {
    bool is_over = false;
    for (std::uint64_t after = 0; !is_over; ++after) {
        CAPTURE(after);
        REQUIRE(after < 500);
        Ground ground;
        MemoryLife life{ground};
        auto partition = life.partition();
        std::string const value(8'000, 'v');
        has_failed = false;
        succeeding = after;
        failing = 1;
        (void)annals::detail::attempt([&] { partition.append({}, as_bytes(value)); });
        failing = 0;
        is_over = !has_failed;
        life.append("x");
        CHECK(life.state().segments().snapshot().size() == 1);
    }
}
