// SPDX-License-Identifier: MIT
#include <annals/log.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "turns.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

using Names = std::vector<std::string>;

}  // namespace

// ---- where a log lies

TEMPLATE_TEST_CASE("a log makes its directory and what is missing above it", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    world.path += "/two/levels/deeper";
    {
        auto log = world.open();
        CHECK(log.topics().empty());
    }
    CHECK(names_in(world.directory()) == Names{"groups", "lock", "log.meta", "topics"});
}

TEMPLATE_TEST_CASE("a path is text of any kind, or has a native() string", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto const& platform = world.machine.platform;
    using LogType = BasicLog<TestType>;
    { LogType log{world.path, {}, platform}; }
    { LogType log{std::string_view{world.path}, {}, platform}; }
    { LogType log{world.path.c_str(), {}, platform}; }
    { LogType log{std::filesystem::path{world.path}, {}, platform}; }
    { LogType log{std::filesystem::path{world.machine.path} / "log", {}, platform}; }
    CHECK(names_in(world.machine.root) == Names{"log"});
    static_assert(std::is_constructible_v<LogType, char const(&)[4]>);
    static_assert(!std::is_constructible_v<LogType, int>);
    static_assert(!std::is_convertible_v<std::string, LogType>);
}

TEMPLATE_TEST_CASE("what is no path is told", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    world.path.clear();
    CHECK(code_of([&] { (void)world.open(); }) == Errc::invalid_argument);
    CHECK(code_of([&] { (void)world.attach(); }) == Errc::invalid_argument);
}

TEST_CASE("a path with a NUL inside is refused, not cut") {
    World<NativePlatform> world;
    world.path.append("\0hidden", 7);
    CHECK(code_of([&] { (void)world.open(); }) == Errc::invalid_argument);
}

TEMPLATE_TEST_CASE("a directory with something else in it is refused and left as it was", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto directory = world.machine.root.make_directory("log");
    make_file(directory, "thesis.txt", "years of work");
    auto const error = error_of([&] { (void)world.open(); });
    REQUIRE(error);
    CHECK(error->code() == Errc::not_a_log);
    CHECK(error->path() == world.path);
    CHECK(contains(error->what(), world.path));
    CHECK(code_of([&] { (void)world.attach(); }) == Errc::not_a_log);
    CHECK(names_in(directory) == Names{"thesis.txt"});
    CHECK(content(directory.open_file("thesis.txt", Access::read)) == "years of work");
}

TEMPLATE_TEST_CASE("the top of a disk that was just formatted takes a log", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    (void)world.machine.root.make_directory("log").make_directory("lost+found");
    CHECK(code_of([&] { (void)world.attach(); }) == Errc::not_found);
    (void)world.open();
    CHECK(names_in(world.directory()) ==
          Names{"groups", "lock", "log.meta", "lost+found", "topics"});
    CHECK(code_of([&] { (void)world.attach(); }) == Errc::ok);
}

TEMPLATE_TEST_CASE("a file where the directory should be is no log", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    make_file(world.machine.root, "log", "text");
    CHECK(code_of([&] { (void)world.open(); }) == Errc::not_a_log);
    CHECK(code_of([&] { (void)world.attach(); }) == Errc::not_a_log);
}

TEMPLATE_TEST_CASE("reading what is not there finds nothing and makes nothing", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto const error = error_of([&] { (void)world.attach(); });
    REQUIRE(error);
    CHECK(error->code() == Errc::not_found);
    CHECK(error->path() == world.path);
    CHECK(names_in(world.machine.root).empty());

    auto const empty = world.machine.root.make_directory("log");
    CHECK(code_of([&] { (void)world.attach(); }) == Errc::not_found);
    CHECK(names_in(empty).empty());
}

TEST_CASE("what the system does not allow is permission_denied") {
    World<NativePlatform> world;
    (void)world.open();
    std::filesystem::permissions(world.path, std::filesystem::perms::none);
    pid_t const child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        // A root's own checks would tell nothing: the child becomes nobody first.
        if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(3);
        auto const writing = error_of([&] { BasicLog<NativePlatform> log{world.path}; });
        auto const reading = error_of([&] { (void)world.attach(); });
        bool const told = writing && writing->code() == Errc::permission_denied &&
                          writing->system_code() == EACCES && reading &&
                          reading->code() == Errc::permission_denied;
        ::_exit(told ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    std::filesystem::permissions(world.path, std::filesystem::perms::owner_all);
    CHECK(WEXITSTATUS(status) == 0);
}

// ---- options

TEMPLATE_TEST_CASE("segment_bytes is a power of two from 64 KiB to 1 GiB", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    std::uint64_t const bad[] = {
        0,         1,          65'535,        65'537, 32u << 10,
        3u << 20u, 1ull << 31, 1'000'000'000, ~0ull,  (64ull << 10) + 4096};
    for (std::uint64_t const bytes : bad) {
        auto const error = error_of([&] { (void)world.open({.segment_bytes = bytes}); });
        REQUIRE(error);
        CHECK(error->code() == Errc::invalid_argument);
        CHECK(contains(error->what(), std::to_string(bytes)));
    }
    CHECK(names_in(world.machine.root).empty());
    for (std::uint64_t const bytes : {64ull << 10, 1ull << 30}) {
        auto log = world.open({.segment_bytes = bytes});
        log.template topic<std::string, std::string>("t").producer().send("k", "v");
    }
}

TEMPLATE_TEST_CASE("another size of segments holds for the segments to come", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto const send = [&](std::uint64_t segment_bytes, int count) {
        auto log = world.open({.segment_bytes = segment_bytes});
        auto topic = log.template topic<int, std::string>("t");
        auto producer = topic.producer();
        for (int i = 0; i < count; ++i) producer.send(i, std::string(1000, 'x'));
        return topic.end_offset();
    };
    CHECK(send(64u << 10, 200) == Offset{200});
    CHECK(send(1u << 20, 2000) == Offset{2200});
    CHECK(send(64u << 10, 200) == Offset{2400});
}

// ---- one writer

TEMPLATE_TEST_CASE("a second writer is refused until the first one ends", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto first = std::make_unique<BasicLog<TestType>>(world.open());
    auto const error = error_of([&] { (void)world.open(); });
    REQUIRE(error);
    CHECK(error->code() == Errc::locked);
    CHECK(contains(error->path(), world.path));

    SECTION("closed, whoever still holds it") { first->close(); }
    SECTION("destroyed") { first.reset(); }
    SECTION("moved away and closed there") {
        auto elsewhere = std::move(*first);
        CHECK(code_of([&] { (void)world.open(); }) == Errc::locked);
        elsewhere.close();
    }
    SECTION("replaced by another log") {
        World<TestType> other;
        *first = BasicLog<TestType>{other.path, {}, other.machine.platform};
        CHECK(code_of([&] { (void)world.open(); }) == Errc::ok);
        first.reset();
    }
    CHECK(code_of([&] { (void)world.open(); }) == Errc::ok);
}

TEMPLATE_TEST_CASE("with a lock_timeout a writer waits for its predecessor, and no longer", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto first = std::make_unique<BasicLog<TestType>>(world.open());
    auto const start = world.machine.platform.steady_now();
    CHECK(code_of([&] { (void)world.open({.lock_timeout = 60ms}); }) == Errc::locked);
    auto const waited = world.machine.platform.steady_now() - start;
    CHECK(waited >= 60ms);
    CHECK(waited < 5s);
}

TEST_CASE("the successor has the log as soon as its predecessor closes") {
    World<NativePlatform> world;
    auto first = std::make_unique<Log>(world.path);
    first->topic<std::string, int>("t").producer().send("k", 1);
    std::jthread const closer{[&] {
        std::this_thread::sleep_for(30ms);
        first.reset();
    }};
    auto second = world.open({.lock_timeout = 10s});
    CHECK(values_of(second.topic<std::string, int>("t").replay()) == std::vector{1});
}

TEMPLATE_TEST_CASE("logs in different directories have nothing to do with each other", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto const& platform = world.machine.platform;
    BasicLog<TestType> one{world.path + "-1", {}, platform};
    BasicLog<TestType> two{world.path + "-2", {}, platform};
    one.template topic<std::string, int>("t").producer().send("k", 1);
    two.template topic<std::string, int>("t").producer().send("k", 2);
    one.close();
    CHECK(two.template topic<std::string, int>("t").producer().send("k", 3).offset == Offset{1});
}

// ---- its topics

TEMPLATE_TEST_CASE("topics are listed by name, in this life and the next", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    Names const expected{"A", "a", "a-b", "b.c_d", "zz"};
    {
        auto log = world.open();
        for (auto const* name : {"zz", "a", "b.c_d", "A", "a-b", "zz"}) {
            (void)log.template topic<std::string, int>(name);
        }
        CHECK(log.topics() == expected);
        CHECK(world.attach().topics() == expected);
    }
    CHECK(world.open().topics() == expected);
    CHECK(world.attach().topics() == expected);
}

TEMPLATE_TEST_CASE("a removed topic is gone for good, and its name is free", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, int>("t", {.partitions = 2});
    auto other = log.template topic<std::string, int>("other");
    auto producer = topic.producer();
    for (int i = 0; i < 10; ++i) producer.send(std::to_string(i), i);
    auto consumer = topic.consumer({.group = "g"});
    auto const polled = consumer.poll(0ns);
    consumer.commit();
    auto partition = topic.partition(0);
    other.producer().send("k", 7);

    log.remove_topic("t");
    CHECK(log.topics() == Names{"other"});
    CHECK(names_in(world.directory("topics")) == Names{"other"});
    CHECK(code_of([&] { producer.send("k", 1); }) == Errc::closed);
    CHECK(code_of([&] { partition.append({}, {}); }) == Errc::closed);
    CHECK(code_of([&] { consumer.commit(); }) == Errc::closed);
    CHECK(code_of([&] { (void)consumer.poll(1s); }) == Errc::closed);
    CHECK(polled.size() == 10);
    CHECK(polled[0].key().size() == 1);
    CHECK(other.producer().send("k", 8).offset == Offset{1});
    CHECK(code_of([&] { log.remove_topic("t"); }) == Errc::not_found);

    auto again = log.template topic<int, std::string>("t");
    CHECK(again.partition_count() == 1);
    CHECK(again.end_offset() == Offset{0});
    CHECK(again.producer().send(1, "new").offset == Offset{0});
    auto fresh = again.consumer({.group = "g"});
    CHECK_FALSE(fresh.committed(0));
    CHECK(fresh.poll(0ns).size() == 1);
    CHECK(code_of([&] { producer.send("k", 1); }) == Errc::closed);
    CHECK(values_of(again.replay()) == Names{"new"});
}

TEMPLATE_TEST_CASE("a handle of a removed topic never shows another topic of that name", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto removed = log.template topic<std::string, std::string>("t");
    removed.producer().send("k", "old");
    log.remove_topic("t");
    auto again = log.template topic<std::string, std::string>("t");
    again.producer().send("k", "new");
    Names seen;
    auto const error = error_of([&] { seen = values_of(removed.replay()); });
    if (error) {
        CHECK(error->code() == Errc::closed);
    } else {
        CHECK(seen == Names{"old"});
    }
}

TEMPLATE_TEST_CASE("removing asks for the lock and a name", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    (void)log.template topic<std::string, int>("t");
    auto reader = world.attach();
    auto const error = error_of([&] { reader.remove_topic("t"); });
    REQUIRE(error);
    CHECK(error->code() == Errc::read_only);
    CHECK(code_of([&] { log.remove_topic("../t"); }) == Errc::invalid_name);
    CHECK(code_of([&] { log.remove_topic(""); }) == Errc::invalid_name);
    auto const missing = error_of([&] { log.remove_topic("none"); });
    REQUIRE(missing);
    CHECK(missing->code() == Errc::not_found);
    CHECK(contains(missing->what(), "none"));
    CHECK(log.topics() == Names{"t"});
}

TEST_CASE("a topic that can no longer be synced can still be removed") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto producer = log.topic<std::string, int>("t", {.sync = Sync::never}).producer();
    producer.send("k", 1);
    world.machine.platform.fail_next(Operation::sync, EIO);
    CHECK(code_of([&] { producer.flush(); }) == Errc::sync_failed);
    CHECK(code_of([&] { log.remove_topic("t"); }) == Errc::ok);
    CHECK(log.topics().empty());
    CHECK(log.topic<std::string, int>("t").producer().send("k", 2).offset == Offset{0});
}

TEST_CASE("a topic that is removed meanwhile is no trouble to who flushes the log") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        run_in_turns(seed, [&](Turns&, TurnPlatform machine) {
            BasicLog<TurnPlatform> log{"log", {.keeper = false}, machine};
            auto const kept = log.topic<std::string, int>("kept", {.sync = Sync::never});
            auto const removed = log.topic<std::string, int>("removed", {.sync = Sync::never});
            removed.producer().send("k", 1);
            kept.producer().send("k", 1);
            TurnThread remover{[&] { log.remove_topic("removed"); }};
            CHECK(code_of([&] { log.flush(); }) == Errc::ok);
            CHECK(kept.durable_offset() == Offset{1});
        });
    }
}

TEST_CASE("a change to a topic that is removed meanwhile does not reach the next of its name") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        TurnPlatform machine;
        bool is_mine = false;
        Turns{seed, machine}.run([&] {
            BasicLog<TurnPlatform> log{"log", {.keeper = false}, machine};
            (void)log.topic<std::string, int>("t", {.sync = Sync::never});
            TurnThread changer{[&] {
                auto const change = [&] {
                    (void)log.topic<std::string, int>("t", {.sync = Sync::always});
                };
                (void)code_of(change);
            }};
            log.remove_topic("t");
            is_mine = code_of([&] { (void)log.topic<int, int>("t"); }) == Errc::ok;
        });
        MemoryLog log{"log", {}, machine};
        if (is_mine) CHECK(code_of([&] { (void)log.topic<int, int>("t"); }) == Errc::ok);
    }
}

// ---- the end

namespace {

/// A topic whose log could not be closed properly: the lock is free, two of three records in doubt.
auto topic_of_failed_close(World<MemoryPlatform>& world) {
    auto log = world.open();
    auto topic = log.topic<std::string, int>("t");
    topic.producer().send("k", 0);
    log.flush();
    topic.producer().send("k", 1);
    topic.producer().send("k", 2);
    world.machine.platform.fail_next(Operation::sync, EIO);
    CHECK(code_of([&] { log.close(); }) == Errc::sync_failed);
    return topic;
}

}  // namespace

TEST_CASE("handles of a log that could not be closed keep their hands off the next writer's") {
    World<MemoryPlatform> world;
    auto stale = topic_of_failed_close(world);
    auto consumer = stale.consumer();
    auto log = world.open();
    auto topic = log.topic<std::string, int>("t");
    for (int i = 3; i < 10; ++i) topic.producer().send("k", i);
    log.flush();
    world.machine.platform.advance(2s);
    CHECK(code_of([&] { stale.flush(); }) == Errc::closed);
    CHECK(code_of([&] { (void)stale.delete_records_before(0, Offset{2}); }) == Errc::closed);
    CHECK(consumer.poll(0s).size() == 3);
    topic.producer().send("k", 10);
    log.close();
    auto again = world.open();
    auto const found = values_of(again.topic<std::string, int>("t").replay());
    CHECK(found == std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
}

TEMPLATE_TEST_CASE("closing ends all writing, and what was obtained stays readable", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, std::string>("t");
    auto producer = topic.producer();
    producer.send("k", "v");
    auto const replay = topic.replay();
    auto const record = *replay.begin();
    auto consumer = topic.consumer({.group = "g"});
    auto const polled = consumer.poll(0ns);

    log.close();
    log.close();
    auto const error = error_of([&] { producer.send("k", "late"); });
    REQUIRE(error);
    CHECK(error->code() == Errc::closed);
    CHECK(contains(error->path(), world.path));
    CHECK(code_of([&] { producer.send_batch("k", std::vector{"late"}); }) == Errc::closed);
    CHECK(code_of([&] { topic.producer().send("k", "late"); }) == Errc::closed);
    CHECK(code_of([&] { topic.partition(0).append({}, {}); }) == Errc::closed);
    CHECK(code_of([&] { consumer.commit(); }) == Errc::closed);
    CHECK(code_of([&] { (void)consumer.poll(1s); }) == Errc::closed);
    CHECK(code_of([&] { (void)consumer.poll(std::chrono::nanoseconds::max()); }) == Errc::closed);
    CHECK(consumer.poll(0ns).empty());
    CHECK(code_of([&] { (void)log.template topic<std::string, std::string>("t"); }) ==
          Errc::closed);
    CHECK(code_of([&] { log.remove_topic("t"); }) == Errc::closed);
    CHECK(code_of([&] { log.flush(); }) == Errc::closed);
    CHECK(log.recovery().was_clean());

    CHECK(record.value() == "v");
    CHECK(polled[0].value() == "v");
    CHECK(values_of(replay) == Names{"v"});
    CHECK(values_of(topic.replay()) == Names{"v"});
    CHECK(topic.end_offset() == Offset{1});
    CHECK(topic.durable_offset() == Offset{1});
    auto successor = world.open();
    successor.template topic<std::string, std::string>("t").producer().send("k", "next");
    CHECK(values_of(replay) == Names{"v"});
}

TEMPLATE_TEST_CASE("handles go in any order, also after the log", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = std::make_unique<BasicLog<TestType>>(world.open());
    using T = BasicTopic<std::string, std::string, TestType>;
    auto topic = std::make_unique<T>(log->template topic<std::string, std::string>("t"));
    auto producer = std::make_unique<decltype(topic->producer())>(topic->producer());
    producer->send("k", "v");
    auto consumer = std::make_unique<decltype(topic->consumer())>(topic->consumer({.group = "g"}));
    auto cursor = std::make_unique<BasicCursor<TestType>>(topic->partition(0).cursor());
    auto replay = std::make_unique<decltype(topic->replay())>(topic->replay());
    auto records = std::make_unique<Records<std::string, std::string>>(consumer->poll(0ns));
    auto record = std::make_unique<Record<std::string, std::string>>((*records)[0]);
    records.reset();
    SECTION("the log first") { log.reset(); }
    SECTION("the topic first") { topic.reset(); }
    SECTION("the log and the topic first") {
        log.reset();
        topic.reset();
    }
    CHECK(record->value() == "v");
    consumer.reset();
    CHECK(values_of(*replay) == Names{"v"});
    replay.reset();
    CHECK(cursor->next());
    CHECK_FALSE(cursor->next());
    producer.reset();
    cursor.reset();
    log.reset();
    CHECK(record->key() == "k");
}

TEMPLATE_TEST_CASE("everything may come from temporaries, also in a range-for", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    log.template topic<std::string, std::string>("t").producer().send("k", "v");
    Names seen;
    for (auto const& record : log.template topic<std::string, std::string>("t").replay()) {
        seen.emplace_back(record.value());
    }
    for (auto const& record :
         log.template topic<std::string, std::string>("t").consumer({.group = "g"}).poll(0ns)) {
        seen.emplace_back(record.value());
    }
    auto cursor = log.template topic<std::string, std::string>("t").partition(0).cursor();
    seen.emplace_back(as_text(cursor.next()->value()));
    for (auto const& record :
         world.attach().template topic<std::string, std::string>("t").replay()) {
        seen.emplace_back(record.value());
    }
    CHECK(seen == Names{"v", "v", "v", "v"});
}

TEMPLATE_TEST_CASE("handles survive the move of their log", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, int>("t");
    auto producer = topic.producer();
    producer.send("k", 1);
    BasicLog<TestType> moved{std::move(log)};
    producer.send("k", 2);
    std::vector<BasicLog<TestType>> logs;
    logs.push_back(std::move(moved));
    producer.send("k", 3);
    CHECK(values_of(logs.front().template topic<std::string, int>("t").replay()) ==
          std::vector{1, 2, 3});
    logs.clear();
    CHECK(code_of([&] { producer.send("k", 4); }) == Errc::closed);
    CHECK(values_of(topic.replay()) == std::vector{1, 2, 3});
    static_assert(!std::is_copy_constructible_v<BasicLog<TestType>>);
    static_assert(std::is_nothrow_move_constructible_v<BasicLog<TestType>>);
    static_assert(std::is_nothrow_move_assignable_v<BasicLog<TestType>>);
}

TEST_CASE("close throws what the destructor swallows, and frees the lock all the same") {
    World<MemoryPlatform> world;
    auto log = std::make_unique<MemoryLog>(world.open());
    log->topic<std::string, int>("t", {.sync = Sync::never}).producer().send("k", 1);
    world.machine.platform.fail_next(Operation::sync, EIO);
    SECTION("close") {
        auto const error = error_of([&] { log->close(); });
        REQUIRE(error);
        CHECK(error->code() == Errc::sync_failed);
        CHECK(error->system_code() == EIO);
        CHECK(contains(error->path(), ".seg"));
        CHECK(code_of([&] { log->close(); }) == Errc::ok);
    }
    SECTION("the destructor") { log.reset(); }
    auto next = world.open();
    auto topic = next.topic<std::string, int>("t");
    CHECK(values_of(topic.replay()) == std::vector{1});
    CHECK(topic.producer().send("k", 2).offset == Offset{1});
}

TEMPLATE_TEST_CASE("flush makes every topic durable", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto a = log.template topic<std::string, int>("a", {.sync = Sync::never});
    auto b = log.template topic<std::string, int>("b", {.partitions = 3, .sync = Sync::never});
    auto c = log.template topic<std::string, int>("never-written");
    for (int i = 0; i < 30; ++i) {
        a.producer().send(std::to_string(i), i);
        b.producer().send(std::to_string(i), i);
    }
    log.flush();
    CHECK(a.durable_offset() == Offset{30});
    for (std::uint32_t p = 0; p < 3; ++p) CHECK(b.durable_offset(p) == b.end_offset(p));
    CHECK(c.durable_offset() == Offset{0});
    CHECK(code_of([&] { log.flush(); }) == Errc::ok);
}

// ---- what opening finds

TEMPLATE_TEST_CASE("a log that was closed was clean", "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    {
        auto log = world.open();
        CHECK(log.recovery().was_clean());
        CHECK(log.recovery().partitions.empty());
        log.template topic<std::string, int>("t").producer().send("k", 1);
    }
    auto log = world.open();
    CHECK(log.recovery().was_clean());
    CHECK(log.recovery().partitions.empty());
}

TEST_CASE("what a death left is told, partition by partition") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto written = log.topic<std::string, int>("written", {.partitions = 2, .sync = Sync::never});
    (void)log.topic<std::string, int>("idle");
    for (int i = 0; i < 5; ++i) written.producer().send({}, i, {.partition = 1});

    auto const check = [&](MemoryPlatform machine, Ending ending, std::uint64_t end) {
        MemoryLog next{world.path, {}, machine};
        CHECK_FALSE(next.recovery().was_clean());
        REQUIRE(next.recovery().partitions.size() == 1);
        auto const& found = next.recovery().partitions[0];
        CHECK(found.topic == "written");
        CHECK(found.partition == 1);
        CHECK(found.ending == ending);
        CHECK(found.end == Offset{end});
        CHECK(found.records_voided == 0);
        auto topic = next.topic<std::string, int>("written");
        CHECK(topic.end_offset(1) == Offset{end});
        next.close();
        CHECK(next.recovery().partitions.size() == 1);
    };
    check(world.machine.platform.after_process_death(), Ending::process_death, 5);
    check(world.machine.platform.after_power_loss(), Ending::power_loss, 0);
    written.flush();
    check(world.machine.platform.after_power_loss(), Ending::power_loss, 5);
}

TEST_CASE("the rule of recovery can be forced") {
    World<MemoryPlatform> world;
    auto log = world.open();
    log.topic<std::string, int>("t", {.sync = Sync::never}).producer().send("k", 1);
    auto const machine = world.machine.platform.after_process_death();
    {
        MemoryLog reader{
            world.path, {.read_only = true, .after_death = AfterDeath::power_loss}, machine};
        CHECK(reader.topic<std::string, int>("t").end_offset() ==
              Offset{1});  // the pages are whole
    }
    MemoryLog next{world.path, {.after_death = AfterDeath::power_loss}, machine};
    REQUIRE(next.recovery().partitions.size() == 1);
    CHECK(next.recovery().partitions[0].ending == Ending::power_loss);
}

TEMPLATE_TEST_CASE("a damaged description of the log is corrupt, a newer one unsupported", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    (void)world.open();
    auto file = world.directory().open_file("log.meta", Access::write);
    Errc expected{};
    SECTION("its magic") {
        flip(file, 0);
        expected = Errc::corrupt;
    }
    SECTION("its identity") {
        flip(file, 30);
        expected = Errc::corrupt;
    }
    SECTION("its version") {
        flip(file, 8);
        expected = Errc::unsupported_format;
    }
    SECTION("a feature that this program lacks") {
        flip(file, 12);
        expected = Errc::unsupported_format;
    }
    for (auto const& error :
         {error_of([&] { (void)world.open(); }), error_of([&] { (void)world.attach(); })}) {
        REQUIRE(error);
        CHECK(error->code() == expected);
        CHECK(contains(error->path(), "log.meta"));
        CHECK(error->place());
    }
}

TEMPLATE_TEST_CASE("a damaged topic keeps no other from being used", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    {
        auto log = world.open();
        log.template topic<std::string, int>("bad").producer().send("k", 1);
        log.template topic<std::string, int>("good").producer().send("k", 1);
    }
    flip(world.directory("topics", "bad").open_file("topic.meta", Access::write), 40);
    std::vector<Event> events;
    auto log = world.open({.on_event = [&](Event const& event) { events.push_back(event); }});
    REQUIRE(events.size() == 1);
    CHECK(events[0].kind == Event::Kind::damage);
    CHECK(contains(events[0].path, "bad"));
    CHECK_FALSE(log.recovery().notes.empty());

    auto const error = error_of([&] { (void)log.template topic<std::string, int>("bad"); });
    REQUIRE(error);
    CHECK(error->code() == Errc::corrupt);
    CHECK(contains(error->path(), "topics/bad/topic.meta"));
    CHECK(log.template topic<std::string, int>("good").producer().send("k", 2).offset == Offset{1});
    CHECK(log.topics() == Names{"bad", "good"});
    log.remove_topic("bad");
    CHECK(log.template topic<std::string, int>("bad").end_offset() == Offset{0});
}

// ---- calls from where none may come

TEMPLATE_TEST_CASE("calls into the log from an event handler are refused", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    {
        auto log = world.open();
        (void)log.template topic<std::string, int>("bad");
    }
    flip(world.directory("topics", "bad").open_file("topic.meta", Access::write), 40);
    World<TestType> other;
    auto bystander = other.open();
    auto topic = bystander.template topic<std::string, int>("t");
    topic.producer().send("k", 1);
    auto consumer = topic.consumer({.group = "g"});
    std::vector<Errc> codes;
    auto const handler = [&](Event const&) {
        codes.push_back(code_of([&] { topic.producer().send("k", 2); }));
        codes.push_back(code_of([&] { topic.producer().send_batch("k", std::vector{1}); }));
        codes.push_back(code_of([&] { topic.producer().flush(); }));
        codes.push_back(code_of([&] { topic.partition(0).append({}, {}); }));
        codes.push_back(code_of([&] { (void)topic.replay(); }));
        codes.push_back(code_of([&] { (void)topic.end_offset(); }));
        codes.push_back(code_of([&] { (void)topic.consumer(); }));
        codes.push_back(code_of([&] { (void)consumer.poll(0ns); }));
        codes.push_back(code_of([&] { (void)consumer.lag(); }));
        codes.push_back(code_of([&] { consumer.commit(); }));
        codes.push_back(code_of([&] { bystander.flush(); }));
        codes.push_back(code_of([&] { bystander.close(); }));
        codes.push_back(code_of([&] { bystander.remove_topic("t"); }));
        codes.push_back(code_of([&] { (void)bystander.template topic<std::string, int>("t"); }));
    };
    auto log = world.open({.on_event = handler});
    CHECK(codes == std::vector<Errc>(14, Errc::invalid_argument));
    CHECK(topic.end_offset() == Offset{1});
    CHECK(consumer.poll(0ns).size() == 1);
}

TEMPLATE_TEST_CASE("what an event handler throws goes nowhere", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    {
        auto log = world.open();
        (void)log.template topic<std::string, int>("bad");
    }
    flip(world.directory("topics", "bad").open_file("topic.meta", Access::write), 40);
    int calls = 0;
    auto log = world.open({.on_event = [&](Event const&) {
        ++calls;
        throw std::runtime_error{"the operator's phone is off"};
    }});
    CHECK(calls == 1);
    CHECK(log.topics() == Names{"bad"});
}

// ---- in memory

TEST_CASE("a log in memory takes its time from the machine") {
    MemoryPlatform machine;
    machine.set_time(Timestamp{1'700'000'000s});
    MemoryLog log{"/any/name", {}, machine};
    auto topic = log.topic<std::string, int>("t");
    CHECK(topic.producer().send("k", 1).timestamp == Timestamp{1'700'000'000s});
    machine.advance(90min);
    CHECK(topic.producer().send("k", 2).timestamp == Timestamp{1'700'005'400s});
    CHECK(values_of(topic.replay({.from = Timestamp{1'700'000'001s}})) == std::vector{2});
}

TEST_CASE("on a machine without a keeper an interval's sync is led by the calls after it") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto topic = log.topic<std::string, int>("t", {.sync_interval = 100ms});
    auto producer = topic.producer();
    producer.send("k", 1);
    CHECK(topic.durable_offset() == Offset{0});
    world.machine.platform.advance(150ms);
    SECTION("a send") { producer.send("k", 2); }
    SECTION("a flush") { producer.flush(); }
    SECTION("a commit") {
        auto consumer = topic.consumer({.group = "g"});
        consumer.commit();
    }
    SECTION("a poll") { (void)topic.consumer().poll(0ns); }
    CHECK(topic.durable_offset() >= Offset{1});
}
