// SPDX-License-Identifier: MIT
// Who waits for a sync gets one that began after it came, and shares it with all who wait.
#include <annals/storage/group_commit.hpp>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <vector>

#include "catch.hpp"
#include "senders.hpp"
#include "turns.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

/// What is counted as sent, and what a sync that takes 100 us makes durable of it.
struct CountingDisk {
    TurnPlatform machine;
    storage::GroupCommit<TurnPlatform> group{machine};
    TurnAtomic<std::uint64_t> sent{0};
    TurnAtomic<std::uint64_t> durable{0};
    unsigned syncs = 0;
    unsigned syncs_to_fail = 0;
    bool is_syncing = false;

    void sync() {
        CHECK_FALSE(is_syncing);
        is_syncing = true;
        storage::Rollback const over{[&] { is_syncing = false; }};
        std::uint64_t const sampled = sent.load();
        machine.wait({}, 100us);
        if (++syncs <= syncs_to_fail) detail::raise_system("sync", "disk", EIO);
        durable.store(sampled);
    }

    /// Sends one more, and returns once that is durable.
    void send() {
        std::uint64_t const mine = sent.fetch_add(1) + 1;
        group.run([&] { return durable.load() >= mine; }, [&] { sync(); });
        CHECK(durable.load() >= mine);
    }
};

/// `body()` in so many threads.
template <class Body>
void in_threads(unsigned count, Body const& body) {
    std::vector<TurnThread> threads;
    for (unsigned i = 0; i < count; ++i) threads.emplace_back([&] { body(); });
    for (auto& thread : threads) thread.join();
}

}  // namespace

TEST_CASE("whoever waits for a sync gets one that began later, and one runs at a time") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        run_in_turns(seed, [&](Turns&, TurnPlatform machine) {
            CountingDisk disk{machine};
            in_threads(4, [&] {
                for (int i = 0; i < 10; ++i) {
                    disk.send();
                    machine.wait({}, std::chrono::microseconds{seed % 7 * 20});
                }
            });
            CHECK(disk.durable.load() == 40);
            CHECK(disk.syncs <= 40);
        });
    }
}

TEST_CASE("threads that do nothing but send share each sync, all of them") {
    constexpr unsigned threads = 8;
    constexpr unsigned each = 50;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        CAPTURE(seed);
        run_in_turns(seed, [&](Turns&, TurnPlatform machine) {
            CountingDisk disk{machine};
            in_threads(threads, [&] {
                for (unsigned i = 0; i < each; ++i) disk.send();
            });
            CHECK(disk.syncs <= each + each / 5);  // some are in vain until all have met
        });
    }
}

TEST_CASE("two groups of threads that came one after the other become one") {
    constexpr unsigned each = 50;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        run_in_turns(seed, [&](Turns&, TurnPlatform machine) {
            CountingDisk disk{machine};
            unsigned started = 0;
            in_threads(8, [&] {
                // Four begin during the second sync of the others.
                machine.wait({}, ++started % 2 == 0 ? 150us : 0us);
                for (unsigned i = 0; i < each; ++i) {
                    disk.send();
                    machine.wait({}, 20us);
                }
            });
            CHECK(disk.syncs <= each + each / 5);
        });
    }
}

TEST_CASE("threads that do much else are not waited for longer than a sync takes") {
    constexpr unsigned each = 200;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        run_in_turns(seed, [&](Turns&, TurnPlatform machine) {
            CountingDisk disk{machine};
            Random random{seed};
            auto const begin = machine.steady_now();
            in_threads(4, [&] {
                for (unsigned i = 0; i < each; ++i) {
                    disk.send();
                    machine.wait({}, std::chrono::microseconds{random.below(600)});
                }
            });
            // A sync of one's own, and another's or a wait for others before it.
            CHECK(machine.steady_now() - begin < each * (300us + 2 * 100us));
        });
    }
}

TEST_CASE("threads that pause for about as long as a sync takes go on taking turns") {
    constexpr unsigned each = 200;
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        CAPTURE(seed);
        run_in_turns(seed, [&](Turns&, TurnPlatform machine) {
            CountingDisk disk{machine};
            Random random{seed};
            auto const begin = machine.steady_now();
            in_threads(8, [&] {
                for (unsigned i = 0; i < each; ++i) {
                    disk.send();
                    machine.wait({}, std::chrono::microseconds{90 + random.below(40)});
                }
            });
            CHECK(machine.steady_now() - begin < each * 275us);
        });
    }
}

TEST_CASE("a sync that fails is told to its leader, and another leads the next one") {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        CAPTURE(seed);
        run_in_turns(seed, [&](Turns&, TurnPlatform machine) {
            CountingDisk disk{machine};
            disk.syncs_to_fail = 3;
            unsigned failures = 0;
            in_threads(5, [&] {
                for (int i = 0; i < 5; ++i) {
                    if (detail::attempt([&] { disk.send(); })) ++failures;
                }
            });
            CHECK(failures == 3);
            CHECK(disk.durable.load() == 25);
        });
    }
}
