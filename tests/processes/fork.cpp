// SPDX-License-Identifier: MIT
// A child that was forked from a process with a log: what it inherits is none of its own. It may
// end, or let go of the handles, and nothing happens; to use them is an assertion.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <annals/annals.hpp>

#include "../child.hpp"
#include "../files.hpp"
#include "../numbered.hpp"
#include "../world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

::pid_t const first_process = ::getpid();

}  // namespace

/// LeakSanitizer asks at exit. A child has lost the threads that held what it would call leaks.
extern "C" int __lsan_is_turned_off();
extern "C" int __lsan_is_turned_off() { return ::getpid() != first_process ? 1 : 0; }

namespace {

using Numbers = Topic<std::string, std::int64_t>;

LogOptions const with_keeper{.segment_bytes = 64u << 10, .lock_timeout = 5s};
/// The keeper may still be at work for calls that have returned. Without it only a child is left
/// that could change a file.
LogOptions const without_keeper{.segment_bytes = 64u << 10, .lock_timeout = 5s, .keeper = false};

/// A log in use, with a handle of every kind.
struct ForkedLife {
    std::int64_t sent = 0;
    Log log;
    Numbers topic = log.topic<std::string, std::int64_t>("numbers", {.sync = Sync::never});
    Producer<std::string, std::int64_t> producer = topic.producer();
    Consumer<std::string, std::int64_t> consumer = topic.consumer({.group = "g"});
    Replay<std::string, std::int64_t> replay = (send(100), topic.replay());
    Replay<std::string, std::int64_t>::Iterator walk = replay.begin();
    Cursor cursor = topic.partition(0).cursor();
    Records<std::string, std::int64_t> polled = consumer.poll(1s);
    std::optional<RecordView> record = cursor.next();

    explicit ForkedLife(World<NativePlatform>& world, LogOptions const& options = with_keeper)
        : log{world.open(options)} {}

    void send(int count) {
        for (int i = 0; i < count; ++i) topic.producer().send("k", sent++);
    }
};

/// What the child's body ends with: its exit code, or the signal below zero. It may take 20 s.
int end_of_child(std::function<void()> body) {
    std::fflush(nullptr);  // else the child's exit would write it again
    Child child{[&](Child const&) {
        ::alarm(20);
        body();
    }};
    return child.join();
}

/// What a child that breaks the contract ends with, without the assertion's message.
int end_of_rogue(std::function<void()> body) {
    return end_of_child([&] {
        ::signal(SIGABRT, SIG_DFL);
        if (std::freopen("/dev/null", "w", stderr) == nullptr) std::abort();
        body();
    });
}

/// Leaves the process no descriptor; returns what was taken for that.
std::vector<int> take_descriptors() {
    constexpr rlimit few{64, 4096};
    require(::setrlimit(RLIMIT_NOFILE, &few) == 0, "no limit");
    std::vector<int> taken;
    for (int next = 0; (next = ::dup(0)) >= 0;) taken.push_back(next);
    return taken;
}

void give_descriptors(std::vector<int> const& taken) {
    constexpr rlimit many{4096, 4096};
    require(::setrlimit(RLIMIT_NOFILE, &many) == 0, "no limit");
    for (int const each : taken) ::close(each);
}

}  // namespace

TEST_CASE("a forked child that ends in any way leaves its parent's log as it is") {
    World<NativePlatform> world;
    auto life = std::make_unique<ForkedLife>(world, without_keeper);
    life->log.flush();
    auto const before = files_below(world.path);
    SECTION("it destroys every handle, and the log first") {
        CHECK(end_of_child([&] {
                  { auto const gone = std::move(life->log); }
                  life.reset();
              }) == 0);
    }
    SECTION("it destroys every handle, and the log last") {
        CHECK(end_of_child([&] { life.reset(); }) == 0);
    }
    CHECK(files_below(world.path) == before);
    CHECK(code_of([&] { (void)world.open(); }) == Errc::locked);
    life->send(5000);  // and rolls
    CHECK(life->topic.end_offset() == Offset{5100});
    life->log.close();
    auto const log = world.attach();
    CHECK(log.recovery().was_clean());
}

TEST_CASE("exit() of a forked child, with a static log, ends it and changes nothing") {
    World<NativePlatform> world;
    CHECK(end_of_child([&] {
              static std::optional<ForkedLife> life;
              life.emplace(world, without_keeper);
              life->log.flush();
              auto const before = files_below(world.path);
              int const code = end_of_child([] { std::exit(7); });
              require(code == 7, "exit() of the child did not end it");
              require(files_below(world.path) == before, "it changed files");
              life->send(10);
              life.reset();
          }) == 0);
    auto log = world.open();
    CHECK(log.recovery().was_clean());
    CHECK(values_of(log.topic<std::string, std::int64_t>("numbers").replay()) == range(0, 110));
}

TEST_CASE("a child forked while threads send, poll and wait can let go of everything") {
    World<NativePlatform> world;
    auto life = std::make_unique<ForkedLife>(world);
    std::atomic<bool> is_over = false;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&] {
            while (!is_over) life->producer.send("k", 1);
        });
    }
    threads.emplace_back([&] {
        for (unsigned n = 0; !is_over; ++n) {
            auto consumer = life->topic.consumer({.group = "h" + std::to_string(n % 3)});
            (void)consumer.poll(1ms, 10);
        }
    });
    for (int round = 0; round < 40; ++round) {
        REQUIRE(end_of_child([&] { (round % 2 == 0 ? void(life.reset()) : std::exit(0)); }) == 0);
    }
    is_over = true;
    threads.clear();
    life->log.close();
    CHECK(world.attach().recovery().was_clean());
}

TEST_CASE("to use a log in a forked child is an assertion") {
    World<NativePlatform> world;
    ForkedLife life{world};
    auto reader = world.attach();
    auto read = reader.topic<std::string, std::int64_t>("numbers");
    auto reading = read.consumer();
    std::function<void()> const uses[] = {
        [&] { (void)life.producer.send("k", 1); },
        [&] { (void)life.producer.send_batch("k", {std::int64_t{1}}); },
        [&] { (void)life.topic.partition(0).append({}, {}); },
        [&] { (void)life.consumer.poll(0ns); },
        [&] { life.consumer.commit(); },
        [&] { (void)life.consumer.lag(); },
        [&] { ++life.walk; },
        [&] { (void)life.replay.begin(); },
        [&] { (void)life.topic.replay(); },
        [&] { (void)life.topic.consumer(); },
        [&] { (void)life.topic.end_offset(); },
        [&] { (void)life.cursor.next(); },
        [&] { life.topic.flush(); },
        [&] { life.log.flush(); },
        [&] { life.log.close(); },
        [&] { life.log.remove_topic("numbers"); },
        [&] { (void)life.log.topic<std::string, std::int64_t>("numbers"); },
        [&] { (void)reading.poll(0ns); },
        [&] { (void)read.replay(); },
        [&] { (void)reader.topic<std::string, std::int64_t>("numbers"); },
    };
    int which = 0;
    for (auto const& use : uses) {
        CAPTURE(which++);
        CHECK(end_of_rogue(use) == -SIGABRT);
    }
    life.send(1);
    CHECK(life.topic.end_offset() == Offset{101});
}

TEST_CASE("a forked child may open logs of its own, and attach to its parent's") {
    World<NativePlatform> world;
    World<NativePlatform> other;
    ForkedLife life{world};
    CHECK(end_of_child([&] {
              auto reader = world.attach();
              auto topic = reader.topic<std::string, std::int64_t>("numbers");
              require(values_of(topic.replay()) == range(0, 100), "another log");
              require(code_of([&] { (void)world.open(); }) == Errc::locked, "not locked");
              ForkedLife own{other};
              own.send(10);
              require(own.topic.end_offset() == Offset{110}, "its own log");
              own.log.close();
          }) == 0);
    auto log = other.open();
    CHECK(log.recovery().was_clean());
}

TEST_CASE("the lock is free when the parent dies, though a forked child lives on") {
    World<NativePlatform> world;
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    Child parent{[&](Child const& test) {
        ForkedLife life{world};
        life.send(50);
        pid_t const heir = ::fork();
        if (heir == 0) {
            ::pause();
            ::_exit(0);
        }
        require(::write(ends[1], &heir, sizeof heir) > 0, "not told");
        test.say();
        test.hear();
    }};
    pid_t heir = 0;
    REQUIRE(::read(ends[0], &heir, sizeof heir) == sizeof heir);
    parent.hear();
    CHECK(code_of([&] { (void)world.open(); }) == Errc::locked);
    parent.kill();
    CHECK(::kill(heir, 0) == 0);
    {
        auto log = world.open({.lock_timeout = 20s});
        REQUIRE(log.recovery().partitions.size() == 1);
        CHECK(log.recovery().partitions[0].ending == Ending::process_death);
        CHECK(values_of(log.topic<std::string, std::int64_t>("numbers").replay()) == range(0, 150));
    }
    ::kill(heir, SIGKILL);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE("where the log's mappings were, a forked child may have its own, and keeps them") {
    World<NativePlatform> world;
    auto life = std::make_unique<ForkedLife>(world);
    CHECK(end_of_child([&] {
              // The kernel fills the holes that the parent's mappings have left.
              std::vector<std::byte*> own;
              for (std::size_t const bytes : {16u << 10, 64u << 10, 20u << 10, 24u << 10}) {
                  for (int i = 0; i < 64; ++i) {
                      void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                      require(memory != MAP_FAILED, "no memory");
                      own.push_back(static_cast<std::byte*>(memory));
                  }
              }
              life.reset();
              for (std::byte* const each : own) *each = std::byte{1};
          }) == 0);
}

TEST_CASE("a forked child without a descriptor left keeps no lock and loses no file of its own") {
    World<NativePlatform> world;
    auto life = std::make_unique<ForkedLife>(world);
    CHECK(end_of_child([&] {
              World<NativePlatform> mine;
              auto inner = std::make_unique<ForkedLife>(mine);
              auto const taken = take_descriptors();
              pid_t const child = ::fork();
              if (child == 0) {
                  give_descriptors({});
                  std::array<int, 8> own{};
                  for (int& each : own) each = ::dup(0);
                  inner.reset();
                  for (int const each : own) {
                      if (::fcntl(each, F_GETFD) < 0) ::_exit(2);
                  }
                  ::_exit(0);
              }
              int status = 0;
              ::waitpid(child, &status, 0);
              give_descriptors(taken);
              require(status == 0, "the child lost a file");
              inner.reset();
          }) == 0);
}

TEST_CASE("a forked child can let go of its handles whatever other threads were at") {
    using namespace storage;
    Machine<NativePlatform> machine;
    (void)machine.root.make_directory("topics");
    TopicState<NativePlatform>::create(machine.root, machine.platform, "t", {});
    auto const root = std::make_shared<NativeDirectory const>(
        machine.platform.open_directory(machine.path, Access::write));
    auto const context =
        std::make_shared<WriterContext<NativePlatform>>(machine.platform, 64 << 10, true);
    auto partition = std::make_shared<PartitionState<NativePlatform>>(
        std::make_shared<SegmentFiles<NativePlatform> const>(machine.platform, root, "t",
                                                             format::Id{}, 0),
        context, std::make_shared<TopicSettings<NativePlatform>>(),
        std::make_shared<Signal<NativePlatform>>(machine.platform), AfterDeath::detect);

    std::atomic<int> stage{0};
    std::jthread const busy{[&] {
        int tries = 0;
        context->relief.run([&] {
            if (tries++ == 0) detail::raise_system("told to fail", "here", EMFILE);
            stage = 1;  // holds the relief's mutex
            while (stage != 2) std::this_thread::yield();
        });
    }};
    while (stage != 1) std::this_thread::yield();
    ::pid_t const child = ::fork();
    if (child == 0) {
        ::alarm(5);
        partition.reset();
        ::_exit(0);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    stage = 2;
    CHECK(status == 0);  // 14: SIGALRM, it waits for ever
}
