// SPDX-License-Identifier: MIT
// Syncs that fail on Linux: this program has sync functions of its own, which hand on to the kernel
// or fail when they are told to.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "senders.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

enum class Call : std::uint8_t { fdatasync, fsync, msync, sync_file_range };

/// Which call is to fail, and which segments have met such a failure.
class Faults {
public:
    /// The next such call but `after` fails with EIO, once.
    void fail_next(Call call, unsigned after) {
        std::lock_guard const lock{mutex_};
        armed_ = {call, after};
        failed_.clear();
        is_repeated_ = false;
    }
    /// Whether it has failed.
    [[nodiscard]] bool has_failed() {
        std::lock_guard const lock{mutex_};
        return !armed_;
    }
    void disarm() {
        std::lock_guard const lock{mutex_};
        armed_.reset();
    }
    /// Whether a segment was synced once more after its failure: Linux reports success then, over
    /// lost pages.
    [[nodiscard]] bool is_repeated() {
        std::lock_guard const lock{mutex_};
        return is_repeated_;
    }

    [[nodiscard]] bool fails(Call call, int descriptor) {
        std::lock_guard const lock{mutex_};
        std::string const path = segment_behind(descriptor);
        is_repeated_ = is_repeated_ || failed_.contains(path);
        if (!armed_ || armed_->first != call || armed_->second-- > 0) return false;
        armed_.reset();
        if (!path.empty()) failed_.insert(path);
        errno = EIO;
        return true;
    }

private:
    /// Nothing where it is another file.
    static std::string segment_behind(int descriptor) {
        std::error_code error;
        auto const link = "/proc/self/fd/" + std::to_string(descriptor);
        auto const path = std::filesystem::read_symlink(link, error);
        bool const is_segment = path.extension() == ".seg" && path.filename().native()[0] != '.';
        return is_segment ? path.native() : "";
    }

    std::mutex mutex_{};
    std::optional<std::pair<Call, unsigned>> armed_{};
    std::set<std::string> failed_{};
    bool is_repeated_ = false;
};

Faults faults;

int hand_on(Call call, int descriptor, auto const&... arguments) {
    constexpr std::array numbers{SYS_fdatasync, SYS_fsync, SYS_msync, SYS_sync_file_range};
    if (faults.fails(call, descriptor)) return -1;
    return static_cast<int>(::syscall(numbers[static_cast<std::size_t>(call)], arguments...));
}

}  // namespace

extern "C" {
int fdatasync(int file) { return hand_on(Call::fdatasync, file, file); }
int fsync(int file) { return hand_on(Call::fsync, file, file); }
int msync(void* address, std::size_t size, int flags) {
    return hand_on(Call::msync, -1, address, size, flags);
}
int sync_file_range(int file, off64_t place, off64_t size, unsigned flags) {
    return hand_on(Call::sync_file_range, file, file, place, size, flags);
}
}

namespace {

using BytesTopic = Topic<Bytes, Bytes>;

/// By offset, the values of the records whose append has returned.
using Acknowledged = std::map<std::uint64_t, std::string>;

/// Makes the call, and makes it again where it meets the failure.
template <class F>
auto outlive(unsigned& failures, F const& call) {
    try {
        return call();
    } catch (Error const& error) {
        CHECK(error.code() == Errc::sync_failed);
        ++failures;
    }
    return call();
}

void require_all(Acknowledged const& acknowledged, BytesTopic const& topic) {
    std::size_t found = 0;
    for (auto const& record : topic.replay({.check = Check::always})) {
        auto const known = acknowledged.find(record.offset().value());
        if (known == acknowledged.end()) continue;
        CHECK(as_text(record.value()) == known->second);
        ++found;
    }
    CHECK(found == acknowledged.size());
}

}  // namespace

TEST_CASE("whichever sync of a life fails, nothing promised is lost, and no file is tried again") {
    Call const call = GENERATE(Call::fdatasync, Call::fsync, Call::msync);
    unsigned sites = 0;
    for (bool has_failed = true; has_failed; ++sites) {
        CAPTURE(static_cast<int>(call), sites);
        World<NativePlatform> world;
        Acknowledged acknowledged;
        unsigned failures = 0;
        LogOptions const options{.segment_bytes = 64 << 10, .lock_timeout = 5s, .keeper = false};
        faults.fail_next(call, sites);
        {
            auto log = outlive(failures, [&] { return world.open(options); });
            auto const topic = outlive(
                failures, [&] { return log.topic<Bytes, Bytes>("t", {.sync = Sync::always}); });
            for (int i = 0; i < 10; ++i) {
                std::string const value(8'000, static_cast<char>('a' + i));
                auto const offset = outlive(
                    failures, [&] { return topic.partition(0).append({}, as_bytes(value)); });
                CHECK(acknowledged.emplace(offset.value(), value).second);
            }
            auto consumer = topic.consumer({.group = "g"});
            (void)consumer.poll(0ns, 5);
            outlive(failures, [&] { consumer.commit(); });
            outlive(failures, [&] { log.close(); });
        }
        has_failed = faults.has_failed();
        faults.disarm();
        CHECK(failures <= 1);
        CHECK_FALSE(faults.is_repeated());
        auto log = outlive(failures, [&] { return world.open(options); });
        auto const topic = log.topic<Bytes, Bytes>("t");
        require_all(acknowledged, topic);
        CHECK(topic.end_offset().value() <= acknowledged.size() + failures);
    }
    CHECK(sites > 2);
}

TEST_CASE("all who wait for a sync that fails are told, and the next send goes to another file") {
    constexpr unsigned senders = 4;
    World<NativePlatform> world;
    Acknowledged acknowledged;
    {
        auto log = world.open({.segment_bytes = 1 << 20});
        auto const topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::always});
        topic.partition(0).append({}, as_bytes("first"));
        faults.fail_next(Call::fdatasync, 50);
        std::mutex mutex;
        std::atomic<unsigned> told{0};
        std::vector<std::jthread> threads;
        for (unsigned sender = 0; sender < senders; ++sender) {
            threads.emplace_back([&, sender] {
                bool was_told = false;
                for (int i = 0; i < 200; ++i) {
                    std::string const value = std::to_string(sender) + ':' + std::to_string(i);
                    auto const error = error_of([&] {
                        auto const offset = topic.partition(0).append({}, as_bytes(value));
                        std::lock_guard const lock{mutex};
                        acknowledged.emplace(offset.value(), value);
                    });
                    if (!error) continue;
                    if (error->code() != Errc::sync_failed || was_told) std::abort();
                    was_told = true;
                    ++told;
                }
            });
        }
        threads.clear();
        CHECK(faults.has_failed());
        CHECK(told >= 1);
        CHECK(acknowledged.size() == senders * 200 - told);
        CHECK(topic.end_offset() == Offset{1 + senders * 200});  // open: here they are there
        require_all(acknowledged, topic);
    }
    CHECK_FALSE(faults.is_repeated());
    auto log = world.open();
    CHECK(log.recovery().was_clean());
    require_all(acknowledged, log.topic<Bytes, Bytes>("t"));
}

TEST_CASE("early write-back that fails moves the log to another file, and is told") {
    World<NativePlatform> world;
    Acknowledged acknowledged;
    std::atomic<unsigned> told{0};
    {
        auto log = world.open({.segment_bytes = 16 << 20, .on_event = [&](Event const& event) {
                                   if (event.kind == Event::Kind::sync_error) ++told;
                               }});
        auto const topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
        faults.fail_next(Call::sync_file_range, 0);
        for (int i = 0; i < 2'000 && !faults.has_failed(); ++i) {
            std::string const value(64'000, static_cast<char>('a' + i % 26));
            auto const offset = topic.partition(0).append({}, as_bytes(value));
            acknowledged.emplace(offset.value(), value);
        }
        REQUIRE(faults.has_failed());
        unsigned failures = 0;  // a flush that waits for the one that fails is told, too
        outlive(failures, [&] { log.flush(); });
        CHECK(topic.durable_offset() == topic.end_offset());
    }
    CHECK(told >= 1);
    CHECK_FALSE(faults.is_repeated());
    require_all(acknowledged, world.open().topic<Bytes, Bytes>("t"));
}

TEST_CASE("after a failed sync, too, only sync_failed leaves open whether a record was sent") {
    auto const operation = GENERATE(Operation::open, Operation::map, Operation::read);
    bool has_happened = true;
    for (unsigned after = 0; has_happened; ++after) {
        REQUIRE(after < 200);
        World<MemoryPlatform> world;
        auto& machine = world.machine.platform;
        auto log = world.open({.segment_bytes = 64 << 10});
        auto const topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::always});
        auto partition = topic.partition(0);
        partition.append({}, as_bytes("a"));  // durable, so that the old segment stays in the list
        machine.fail_next(Operation::sync, EIO);
        CHECK(code_of([&] { partition.append({}, as_bytes("b")); }) == Errc::sync_failed);
        machine.fail_next(operation, EMFILE, after);
        auto const error = error_of([&] { partition.append({}, as_bytes("c")); });
        has_happened = !machine.has_failures();
        machine.clear_failures();
        CAPTURE(static_cast<int>(operation), after, error ? error->what() : "no error");
        if (error && error->code() != Errc::sync_failed) CHECK(topic.end_offset() == Offset{2});
        if (!error) CHECK(topic.end_offset() == Offset{3});
    }
}
