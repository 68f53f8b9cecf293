// SPDX-License-Identifier: MIT
// Descriptors and mappings that run out: a thousand partitions live under the usual limit of 1,024;
// beyond it the call that needs one more says so, and succeeds once there are some.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "child.hpp"
#include "effort.hpp"
#include "limits/small_disk.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

using BytesTopic = Topic<Bytes, Bytes>;

constexpr std::uint64_t segment_size = 64 << 10;

/// Counted without opening another.
std::size_t open_descriptors() {
    std::size_t count = 0;
    for (int number = 0; number < 4096; ++number) {
        if (::fcntl(number, F_GETFD) >= 0) ++count;
    }
    return count;
}

/// Lowers a limit of this process for as long as it lives.
class Limit {
public:
    Limit(decltype(RLIMIT_NOFILE) resource, rlim_t value) : resource_{resource} {
        ::getrlimit(resource_, &before_);
        struct rlimit const lower{value, before_.rlim_max};
        REQUIRE(::setrlimit(resource_, &lower) == 0);
    }
    Limit(Limit const&) = delete;
    Limit& operator=(Limit const&) = delete;
    ~Limit() { ::setrlimit(resource_, &before_); }

private:
    decltype(RLIMIT_NOFILE) resource_;
    struct rlimit before_ {};
};

/// As long as it lives this process can open so many more and no others.
class FewDescriptors {
public:
    explicit FewDescriptors(rlim_t left) {
        int highest = 0;
        for (int number = 0; number < 4096; ++number) {
            if (::fcntl(number, F_GETFD) >= 0) highest = number;
        }
        for (;;) {
            fillers_.push_back(::dup(STDIN_FILENO));
            if (fillers_.back() > highest) break;
        }
        ::close(fillers_.back());
        fillers_.pop_back();
        limit_.emplace(RLIMIT_NOFILE, static_cast<rlim_t>(highest) + 1 + left);
    }
    FewDescriptors(FewDescriptors const&) = delete;
    FewDescriptors& operator=(FewDescriptors const&) = delete;
    ~FewDescriptors() {
        for (int const number : fillers_) ::close(number);
    }

private:
    std::vector<int> fillers_;
    std::optional<Limit> limit_;
};

/// A folder in memory, where there is enough of that: syncs are not what is tested here.
class FastFolder {
public:
    FastFolder() {
        struct statvfs status {};
        bool const has_room = ::statvfs("/dev/shm", &status) == 0 &&
                              status.f_bavail * status.f_bsize > std::uint64_t{1} << 30;
        if (has_room) pattern_ = "/dev/shm/annals-XXXXXX";
        path_ = ::mkdtemp(pattern_.data());
    }
    FastFolder(FastFolder const&) = delete;
    FastFolder& operator=(FastFolder const&) = delete;
    ~FastFolder() { std::filesystem::remove_all(path_); }
    [[nodiscard]] std::string const& path() const noexcept { return path_; }

private:
    std::string pattern_ = std::filesystem::temp_directory_path() / "annals-XXXXXX";
    std::string path_;
};

/// So many partitions, in one topic or in a topic each.
std::vector<BytesTopic> make_topics(Log& log, std::uint32_t topics, std::uint32_t partitions) {
    std::vector<BytesTopic> made;
    for (std::uint32_t i = 0; i < topics; ++i) {
        made.push_back(log.topic<Bytes, Bytes>("t" + std::to_string(i),
                                               {.partitions = partitions, .sync = Sync::never}));
    }
    return made;
}

std::string value_of(std::uint32_t partition, char mark) {
    std::string value(8'000, mark);
    return value.replace(0, 8, std::to_string(10'000'000 + partition));
}

/// One record to each partition, by four threads.
std::string send_to_all(std::vector<BytesTopic> const& topics, char mark) {
    std::atomic<unsigned> failures{0};
    std::string first;
    std::vector<std::jthread> threads;
    for (std::uint32_t thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&, thread] {
            auto const error = error_of([&] {
                for (auto const& topic : topics) {
                    std::uint32_t const count = topic.partition_count();
                    for (std::uint32_t i = 0; i < count; ++i) {
                        if ((count == 1 ? &topic - topics.data() : i) % 4 != thread) continue;
                        topic.partition(i).append({}, as_bytes(value_of(i, mark)));
                    }
                }
            });
            if (error && failures++ == 0) first = error->what();
        });
    }
    threads.clear();
    return first;
}

/// How many records there are, each where it was sent.
std::size_t count_where_sent(std::vector<BytesTopic> const& topics) {
    std::size_t count = 0;
    for (auto const& topic : topics) {
        for (auto const& record : topic.replay()) {
            auto const mark = as_text(record.value()).back();
            if (as_text(record.value()) == value_of(record.partition(), mark)) ++count;
        }
    }
    return count;
}

}  // namespace

TEST_CASE(
    "a thousand partitions are written, rolled, replayed and reopened with 1,024 descriptors") {
    auto const [topics, partitions] =
        GENERATE(std::pair<std::uint32_t, std::uint32_t>{1, 1000}, std::pair{1000u, 1u});
    bool const keeper = topics == 1;
    CAPTURE(topics, partitions);
    World<NativePlatform> world;
    FastFolder const folder;
    world.path = folder.path() + "/log";
    Limit const limit{RLIMIT_NOFILE, 1024};
    auto const idle = open_descriptors();
    std::size_t records = 0;
    for (int life = 0; life < 2; ++life) {
        auto const start = std::chrono::steady_clock::now();
        auto log = world.open({.segment_bytes = segment_size, .keeper = keeper});
        std::chrono::duration<double> const opening = std::chrono::steady_clock::now() - start;
        auto const made = make_topics(log, topics, partitions);
        CHECK(open_descriptors() < idle + 5);  // idle clean partitions hold none
        for (int i = 0; i < 9; ++i, records += 1000) {
            REQUIRE(send_to_all(made, static_cast<char>('a' + i)) == "");
        }
        CHECK(count_where_sent(made) == records);
        log.close();
        if (life == 0) continue;
        note_figure("opening 1,000 partitions in " + std::to_string(topics) + " topics",
                    std::to_string(opening.count()) + " s");
    }
    CHECK(open_descriptors() == idle);
}

// ---- sealed segments give theirs back

namespace {

/// Two partitions of a log whose keeper never comes.
struct Unkept {
    Machine<NativePlatform> machine{};
    std::shared_ptr<storage::WriterContext<NativePlatform>> context =
        std::make_shared<storage::WriterContext<NativePlatform>>(machine.platform, segment_size,
                                                                 true);
    std::vector<std::shared_ptr<storage::PartitionState<NativePlatform>>> partitions{};

    Unkept() {
        using namespace storage;
        (void)machine.root.make_directory("topics");
        TopicState<NativePlatform>::create(machine.root, machine.platform, "t", {.partitions = 2});
        auto const root = std::make_shared<NativeDirectory const>(
            machine.platform.open_directory(machine.path, Access::write));
        auto const settings = std::make_shared<TopicSettings<NativePlatform>>();
        settings->sync = Sync::never;
        for (std::uint32_t id = 0; id < 2; ++id) {
            auto files = std::make_shared<SegmentFiles<NativePlatform> const>(
                machine.platform, root, "t", format::Id{}, id);
            partitions.push_back(std::make_shared<PartitionState<NativePlatform>>(
                std::move(files), context, settings,
                std::make_shared<Signal<NativePlatform>>(machine.platform), AfterDeath::detect));
        }
    }
    void append(std::size_t partition) const {
        BasicPartition<NativePlatform>{partitions[partition], Access::write}.append(
            {}, as_bytes(value_of(0, 'v')));
    }
};

}  // namespace

TEST_CASE("where descriptors run out, the sealed segments of all partitions give theirs back") {
    Unkept const log;
    log.append(0);
    auto const begun = open_descriptors();
    while (open_descriptors() < begun + 10) log.append(0);
    FewDescriptors const few{1};
    SECTION("to another partition's first record") { log.append(1); }
    SECTION("to a roll") {
        for (int i = 0; i < 8; ++i) log.append(0);
    }
    CHECK(log.partitions[0]->durable() >= 10 * 7);
    for (int i = 0; i < 1'000; ++i) log.append(static_cast<std::size_t>(i % 2));
    for (auto const& partition : log.partitions) CHECK(partition->end() >= 500);
}

// ---- nothing left at all

namespace {

/// Everything that a program does with a log, each until it works; `failed` makes that possible.
template <class Failed>
void live_on(std::string const& path, Failed const& failed) {
    std::optional<Log> log;
    std::optional<BytesTopic> topic;
    std::size_t sent = 0;
    auto const until_it_works = [&](auto const& step) {
        auto const error = error_of(step);
        if (!error) return;
        failed(*error);
        step();
    };
    auto const require_all = [&] {
        auto const found = values_of(topic->replay()).size();
        require(found == sent, "records are missing");
    };
    until_it_works([&] { log.emplace(path, LogOptions{.segment_bytes = segment_size}); });
    until_it_works([&] { topic.emplace(log->topic<Bytes, Bytes>("t", {.partitions = 2})); });
    until_it_works([&] { sent = (topic->end_offset(0).value() + topic->end_offset(1).value()); });
    for (std::uint32_t i = 0; i < 20; ++i, ++sent) {
        until_it_works([&] { topic->partition(i % 2).append({}, as_bytes(value_of(i % 2, 'v'))); });
    }
    until_it_works(require_all);
    until_it_works([&] {
        auto consumer = topic->consumer({.group = "g"});
        require(consumer.poll(0ns, 3).size() == 3, "nothing to poll");
        consumer.commit();
    });
    until_it_works([&] { (void)log->topic<Bytes, Bytes>("new"); });
    until_it_works([&] { log->remove_topic("new"); });
    log->close();
    until_it_works(require_all);
}

}  // namespace

TEST_CASE(
    "with too few descriptors each call says so, loses nothing, and works once there are more") {
    World<NativePlatform> world;
    auto const idle = open_descriptors();
    std::size_t failures = 0;
    for (int life = 0; life < 2; ++life) {
        for (rlim_t spare = 0; spare < 14; ++spare) {
            CAPTURE(life, spare);
            std::optional<FewDescriptors> few{spare};
            live_on(world.path, [&](Error const& error) {
                CHECK(error.code() == Errc::io_error);
                CHECK(error.system_code() == EMFILE);
                ++failures;
                few.reset();
            });
            few.reset();
            CHECK(open_descriptors() == idle);
            if (life == 0) std::filesystem::remove_all(world.path);
        }
    }
    CHECK(failures > 10);
}

TEST_CASE(
    "a writer that comes after a death says which boot it is, however few descriptors it has") {
    for (rlim_t spare = 0; spare < 8; ++spare) {
        CAPTURE(spare);
        World<NativePlatform> world;
        auto const append = [](auto& log) {
            log.template topic<Bytes, Bytes>("t").partition(0).append({}, as_bytes("value"));
        };
        Child dies{[&](Child&) {
            auto log = world.open();
            append(log);
            ::_exit(0);
        }};
        REQUIRE(dies.join() == 0);
        auto log = world.open();
        std::optional<FewDescriptors> few{spare};
        auto const error = error_of([&] { append(log); });
        few.reset();
        if (error) append(log);
        auto const control = storage::read_control(world.directory("topics", "t", "0")).control;
        REQUIRE(control);
        REQUIRE(control->writer);
        CHECK(control->writer->boot_id == NativePlatform{}.boot_id());
    }
}

TEST_CASE("with too little memory to map each call says so and loses nothing") {
    World<NativePlatform> world;
    auto const used = [] {
        std::ifstream file{"/proc/self/statm"};
        rlim_t pages = 0;
        file >> pages;
        return pages * 4096;
    };
    rlim_t const stride = (effort() > 1 ? 48 : 208) << 10;
    bool has_failed = true;
    for (rlim_t room = 0; has_failed; room += stride) {
        CAPTURE(room);
        int const outcome = outcome_in_child([&] {
            bool failed = false;
            std::optional<Limit> limit{std::in_place, RLIMIT_AS, used() + room};
            live_on(world.path, [&](Error const& error) {
                failed = true;
                limit.reset();
                bool const is_memory = error.system_code() == ENOMEM ||
                                       contains(error.what(), "bad_alloc") ||
                                       contains(error.what(), "thread not started");
                require(error.code() == Errc::io_error && is_memory, error.what());
            });
            return failed ? 1 : 0;
        });
        REQUIRE((outcome == 0 || outcome == 1));
        has_failed = outcome == 1;
        REQUIRE(room < (64 << 20));
    }
}
