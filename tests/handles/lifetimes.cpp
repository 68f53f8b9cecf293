// SPDX-License-Identifier: MIT
// Handles that outlive what they came from, go in any order, are moved, and what is left in those
// that were moved from.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <annals/annals.hpp>

#include "../child.hpp"
#include "../effort.hpp"
#include "../senders.hpp"
#include "../storage/lives.hpp"
#include "../world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

template <class P>
using Texts = BasicTopic<std::string, std::string, P>;

/// One of every kind of handle of one log, each of which may go.
template <class P>
struct Handles {
    using Replay = BasicReplay<std::string, std::string, P>;
    using Text = Record<std::string, std::string>;

    std::optional<BasicLog<P>> log{};
    std::optional<Texts<P>> topic{};
    std::optional<BasicProducer<std::string, std::string, P>> producer{};
    std::optional<BasicConsumer<std::string, std::string, P>> consumer{};
    std::optional<BasicPartition<P>> partition{};
    std::optional<BasicCursor<P>> cursor{};
    std::optional<Replay> replay{};
    std::optional<typename Replay::Iterator> walk{};
    std::optional<Records<std::string, std::string>> polled{};
    std::optional<Text> record{};
    std::optional<RecordView> view{};

    static constexpr std::size_t kinds = 11;

    explicit Handles(World<P>& world) {
        log.emplace(world.open({.segment_bytes = 64u << 10}));
        topic.emplace(log->template topic<std::string, std::string>("t"));
        producer.emplace(topic->producer());
        for (int i = 0; i < 40; ++i) producer->send("k", text(i));  // four segments of them
        consumer.emplace(topic->consumer({.group = "g"}));
        partition.emplace(topic->partition(0));
        cursor.emplace(partition->cursor(Offset{30}));
        replay.emplace(topic->replay());
        walk.emplace(replay->begin());
        polled.emplace(consumer->poll(0ns, 20));
        record.emplace((*polled)[15]);
        view.emplace(*cursor->next());
    }

    [[nodiscard]] static std::string text(int i) {
        return std::to_string(i) + std::string(5000, 'x');
    }

    void drop(std::size_t which) {
        std::size_t at = 0;
        auto const reset = [&](auto&... each) { ((at++ == which ? each.reset() : void()), ...); };
        reset(log, topic, producer, consumer, partition, cursor, replay, walk, polled, record,
              view);
    }

    /// Moves each handle that is there to another place and back.
    void move_all() {
        auto const swap = [](auto& each) {
            if (!each) return;
            auto moved = std::move(*each);
            each.emplace(std::move(moved));
        };
        swap(log), swap(topic), swap(producer), swap(consumer), swap(partition), swap(cursor);
        swap(replay), swap(walk), swap(polled), swap(record), swap(view);
    }

    /// What each of them must still do.
    void use() {
        bool const is_open = log.has_value();
        auto const writes = [&](auto const& call) {
            CHECK(code_of(call) == (is_open ? Errc::ok : Errc::closed));
        };
        if (producer) writes([&] { producer->send("k", "more"); });
        if (partition) writes([&] { partition->append({}, as_bytes("more")); });
        if (topic) {
            writes([&] { topic->producer().send("k", "more"); });
            CHECK(topic->replay().begin()->value() == text(0));
            CHECK(topic->end_offset() >= Offset{40});
        }
        if (consumer) {
            writes([&] { consumer->commit(); });
            CHECK(consumer->position(0) >= Offset{20});
            auto const more = consumer->poll(0ns, 1);
            if (!more.empty()) CHECK(more[0].offset() + 1 == consumer->position(0));
        }
        if (cursor) {
            auto const next = cursor->offset();
            if (auto const found = cursor->next()) CHECK(found->offset() == next);
        }
        if (replay) {
            int i = 0;
            for (auto const& each : *replay) CHECK(each.value() == text(i++));
            CHECK(i == 40);
        }
        if (walk && *walk != std::default_sentinel) {
            CHECK((*walk)->value() == text(static_cast<int>((*walk)->offset().value())));
            ++*walk;
        }
        if (polled) {
            REQUIRE(polled->size() == 20);
            for (std::size_t i = 0; i < 20; ++i) {
                CHECK((*polled)[i].value() == text(static_cast<int>(i)));
            }
        }
        if (record) CHECK(record->value() == text(15));
        if (view) CHECK(view->offset() == Offset{30});
        if (view) CHECK(view->value().size() == text(30).size());
    }
};

/// What a child that breaks the contract ends with: the signal, below zero.
int end_of_rogue(std::function<void()> body) {
    std::fflush(nullptr);
    Child child{[&](Child const&) {
        ::alarm(20);
        ::signal(SIGABRT, SIG_DFL);
        ::signal(SIGSEGV, SIG_DFL);
        if (std::freopen("/dev/null", "w", stderr) == nullptr) std::abort();
        body();
    }};
    return child.join();
}

}  // namespace

TEMPLATE_TEST_CASE("handles go in every order, are moved, and do what they may to the end", "",
                   MemoryPlatform, NativePlatform) {
    std::size_t order[Handles<TestType>::kinds];
    for (std::size_t i = 0; i < std::size(order); ++i) order[i] = i;
    Random random{static_cast<std::uint64_t>(::getpid())};
    unsigned const rounds = (std::is_same_v<TestType, MemoryPlatform> ? 60 : 8) * effort();
    for (unsigned round = 0; round < rounds; ++round) {
        for (std::size_t i = std::size(order); i > 1; --i) {
            std::swap(order[i - 1], order[random.below(i)]);
        }
        std::string shown;
        for (std::size_t const each : order) shown += std::to_string(each) + " ";
        CAPTURE(shown);
        World<TestType> world;
        Handles<TestType> handles{world};
        for (std::size_t const each : order) {
            handles.use();
            if (random.one_in(3)) handles.move_all();
            handles.drop(each);
            if (each == 0) CHECK(code_of([&] { (void)world.open(); }) == Errc::ok);  // the lock
        }
    }
}

TEST_CASE("a walk of a temporary topic of a temporary handle is whole") {
    World<MemoryPlatform> world;
    auto log = world.open();
    log.topic<std::string, std::string>("t").producer().send("k", "0");
    log.topic<std::string, std::string>("t").producer().send_batch("k", {"1", "2"});
    int next = 0;
    for (auto const& record : log.topic<std::string, std::string>("t").replay()) {
        CHECK(record.value() == std::to_string(next++));
    }
    for (auto const& record : log.topic<std::string, std::string>("t").consumer().poll(0ns)) {
        CHECK(record.value() == std::to_string(next++ - 3));
    }
    CHECK(next == 6);
    auto const record =
        log.topic<std::string, std::string>("t").partition(0).cursor(Offset{2}).next();
    REQUIRE(record);
    CHECK(record->value().front() == std::byte{'2'});
}

TEST_CASE("to use what was moved from is an assertion, to destroy or assign it is not") {
    World<NativePlatform> world;
    Handles<NativePlatform> old{world};
    Handles<NativePlatform> now{std::move(old)};
    now.use();
    std::function<void()> const uses[] = {
        [&] { (void)old.log->topics(); },
        [&] { old.log->close(); },
        [&] { (void)old.topic->name(); },
        [&] { (void)old.topic->producer(); },
        [&] { (void)old.topic->replay(); },
        [&] { (void)old.topic->consumer(); },
        [&] { (void)old.topic->end_offset(); },
        [&] { old.producer->send("k", "v"); },
        [&] { old.producer->flush(); },
        [&] { (void)old.consumer->poll(0ns); },
        [&] { old.consumer->commit(); },
        [&] { old.consumer->wakeup(); },
        [&] { (void)old.consumer->position(0); },
        [&] { (void)old.partition->append({}, {}); },
        [&] { (void)old.partition->end_offset(); },
        [&] { (void)old.cursor->next(); },
        [&] { (void)old.record->value(); },
        [&] { (void)old.view->key(); },
        [&] { (void)(*old.polled)[0]; },
    };
    int which = 0;
    for (auto const& use : uses) {
        CAPTURE(which++);
        // In the child the log itself may not be used either; these assert before they get there.
        CHECK(end_of_rogue(use) == -SIGABRT);
    }
    *old.topic = *now.topic;
    CHECK(old.topic->name() == "t");
    old.log.reset();
    now.use();
}

TEST_CASE("a log that goes inside an event handler takes no more, and its handles have the lock") {
    World<MemoryPlatform> world;
    LogOptions const options{.keeper = false};
    std::optional<MemoryLog> log{world.open(options)};
    auto topic = std::make_optional(log->topic<std::string, std::string>("t"));
    auto producer = std::make_optional(topic->producer());
    producer->send("k", "a");
    {
        detail::UserCodeScope const handler;
        log.reset();
    }
    CHECK(code_of([&] { producer->send("k", "b"); }) == Errc::closed);
    CHECK(code_of([&] { (void)world.open(options); }) == Errc::locked);
    producer.reset();
    topic.reset();
    auto next = world.open(options);
    CHECK(values_of(next.topic<std::string, std::string>("t").replay()) ==
          std::vector<std::string>{"a"});
}

namespace {

/// A log with one topic, which is closed while its handles stay, and followed by another.
struct Handed {
    World<MemoryPlatform> world{};
    LogOptions options{.segment_bytes = small_segment, .keeper = false};
    MemoryLog log = world.open(options);
    BasicTopic<std::string, std::string, MemoryPlatform> topic =
        log.topic<std::string, std::string>("t", {.sync = Sync::never});
};

}  // namespace

TEST_CASE("what a closed log's handles read ends where it ended, whoever goes on") {
    Handed handed;
    auto& [world, options, log, topic] = handed;
    topic.producer().send("k", "a");
    auto consumer = topic.consumer();
    auto cursor = topic.partition(0).cursor();
    log.close();
    auto next = world.open(options);
    auto const again = next.topic<std::string, std::string>("t");
    again.producer().send("k", "b");
    CHECK(values_of(consumer.poll(0ns)) == std::vector<std::string>{"a"});
    CHECK(consumer.poll(0ns).empty());
    CHECK(cursor.next());
    CHECK_FALSE(cursor.next());
}

TEST_CASE("a closed log's handles know where it ended, also when that is removed") {
    Handed handed;
    auto& [world, options, log, topic] = handed;
    append_to(topic, 3);
    auto consumer = topic.consumer();
    log.close();
    auto next = world.open(options);
    auto const again = next.topic<std::string, std::string>("t");
    append_to(again, 40);
    CHECK(again.delete_records_before(0, Offset{30}) == Offset{30});
    CHECK(topic.end_offset() == Offset{3});
    topic.flush();
    CHECK(consumer.lag() == 3);
    CHECK(code_of([&] { (void)consumer.poll(0ns); }) == Errc::closed);
}

TEST_CASE("what another writer removes of a closed log is gone for its handles, and they say so") {
    Handed handed;
    auto& [world, options, log, topic] = handed;
    append_to(topic, 20);
    auto const replay = topic.replay();
    auto cursor = topic.partition(0).cursor();
    log.close();
    auto next = world.open(options);
    auto const again = next.topic<std::string, std::string>("t");
    CHECK(again.delete_records_before(0, Offset{18}) == Offset{18});
    CHECK(code_of([&] { (void)values_of(replay); }) == Errc::closed);
    CHECK(code_of([&] { (void)cursor.next(); }) == Errc::closed);
    CHECK(values_of(again.replay()).size() == 2);
}
