// SPDX-License-Identifier: MIT
// From one thread's send to another's hand: a consumer that sleeps in poll, and one that looks
// again and again; beside a bare futex, and a bare word in memory.
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <thread>

#include "groups/groups.hpp"
#include "harness/scratch.hpp"
#include "harness/ticks.hpp"
#include "subjects/channel.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;  // one for both threads

[[nodiscard]] std::int64_t now() { return Clock::now().time_since_epoch().count(); }

/// The median and the 99th percentile of the time that a number takes, in nanoseconds. Each is sent
/// when the one before it has long arrived, so that the receiver waits again.
[[nodiscard]] std::vector<double> time_hand_overs(Channel& channel, Waiting waiting,
                                                  std::uint64_t rounds) {
    std::vector<std::int64_t> samples(rounds);
    std::atomic<std::uint64_t> received{0};
    std::exception_ptr error;
    std::thread receiver{[&] {
        try {
            for (std::uint64_t i = 0; i < rounds; ++i) {
                std::int64_t const sent = channel.receive();
                samples[i] = now() - sent;
                received.store(i + 1, std::memory_order_release);
            }
        } catch (...) {
            error = std::current_exception();
            received.store(rounds, std::memory_order_release);
        }
    }};
    for (std::uint64_t i = 0; i < rounds; ++i) {
        if (waiting == Waiting::sleeping) {
            std::this_thread::sleep_for(std::chrono::microseconds{100});
        } else {
            for (auto const start = now(); now() - start < 5'000;) {
            }
        }
        channel.send(now());
        while (received.load(std::memory_order_acquire) <= i) std::this_thread::yield();
    }
    receiver.join();
    if (error) std::rethrow_exception(error);
    return {static_cast<double>(percentile(samples, 0.5)),
            static_cast<double>(percentile(samples, 0.99))};
}

/// A word of 32 bits, as the kernel waits on; the number itself lies beside it.
class FutexChannel : public Channel {
public:
    void send(std::int64_t number) override {
        number_ = number;
        word_.store(1, std::memory_order_release);
        ::syscall(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    }
    [[nodiscard]] std::int64_t receive() override {
        while (word_.load(std::memory_order_acquire) == 0) {
            ::syscall(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
        }
        std::int64_t const number = number_;
        word_.store(0, std::memory_order_relaxed);
        return number;
    }

private:
    std::atomic<std::uint32_t> word_{0};
    std::int64_t number_ = 0;
};

class SharedWord : public Channel {
public:
    void send(std::int64_t number) override { word_.store(number, std::memory_order_release); }
    [[nodiscard]] std::int64_t receive() override {
        for (;;) {
            std::int64_t const number = word_.load(std::memory_order_acquire);
            if (number == 0) continue;
            word_.store(0, std::memory_order_relaxed);
            return number;
        }
    }

private:
    alignas(64) std::atomic<std::int64_t> word_{0};
};

void compare_hand_overs(Bench& bench, std::string const& benchmark, Waiting waiting) {
    std::uint64_t const rounds = bench.scaled(20'000);
    auto const ceiling = [&] {
        std::unique_ptr<Channel> channel = std::make_unique<SharedWord>();
        if (waiting == Waiting::sleeping) channel = std::make_unique<FutexChannel>();
        return time_hand_overs(*channel, waiting, rounds);
    };
    auto const annals = [&] {
        Folder const folder{bench.unused_path()};
        auto const channel = open_annals_channel(folder.path() / "store", waiting);
        return time_hand_overs(*channel, waiting, rounds);
    };
    bench.compare(
        {{{benchmark + "_p50", "ns", Better::less}, {benchmark + "_p99", "ns", Better::less}},
         {.value_bytes = sizeof(std::int64_t)},
         {{"ceiling", ceiling}, {"annals", annals}}});
}

}  // namespace

void hand_over_sleeping(Bench& bench) {
    compare_hand_overs(bench, "hand_over_sleeping", Waiting::sleeping);
}

void hand_over_spinning(Bench& bench) {
    compare_hand_overs(bench, "hand_over_spinning", Waiting::spinning);
}

}  // namespace bench
