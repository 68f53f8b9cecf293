// SPDX-License-Identifier: MIT
// Waiting and waking on words that several processes map (futexes), and a thread that no signal
// interrupts.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include <annals/config.hpp>
#include <annals/detail/chrono.hpp>
#include <annals/platform/common.hpp>
#include <annals/platform/native_process.hpp>
#include <annals/platform/platform.hpp>

namespace annals::inline v1 {

namespace detail {

/// Durations below zero count as zero.
[[nodiscard]] inline timespec to_timespec(std::chrono::nanoseconds duration) noexcept {
    auto const count = duration.count() < 0 ? 0 : duration.count();
    return {.tv_sec = count / 1'000'000'000, .tv_nsec = count % 1'000'000'000};
}

[[nodiscard]] inline std::chrono::nanoseconds read_clock(clockid_t clock) noexcept {
    timespec time{};
    ::clock_gettime(clock, &time);
    return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

inline void sleep_for(std::chrono::nanoseconds duration) noexcept {
    auto const time = to_timespec(duration);
    ::nanosleep(&time, nullptr);
}

inline void pause_processor() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

/// futex(2) and futex_waitv(2) as the kernel numbers them; older headers lack the second. The words
/// lie in files, so none of the calls is told that they are private to the process.
inline constexpr int futex_wait = 0;
inline constexpr int futex_wake = 1;
inline constexpr long futex_waitv_call = 449;
inline constexpr std::uint32_t futex_32_bits = 2;
inline constexpr std::size_t futex_waitv_limit = 128;

struct FutexWaiter {
    std::uint64_t value;
    std::uint64_t address;
    std::uint32_t flags;
    std::uint32_t reserved;
};
static_assert(sizeof(FutexWaiter) == 24);

/// Sets which signals the calling thread leaves to others, and returns what it was: bit n stands
/// for signal n + 1. <signal.h> would cost whoever includes Annals 600 lines for this one call.
inline std::uint64_t set_blocked_signals(std::uint64_t blocked) noexcept {
    constexpr int set_mask = 2;
    std::uint64_t before = 0;
    ::syscall(SYS_rt_sigprocmask, set_mask, &blocked, &before, sizeof blocked);
    return before;
}

/// All but the two by which glibc cancels threads and changes their user, as sigfillset() has it.
inline constexpr std::uint64_t all_signals = ~(std::uint64_t{3} << 31);

[[nodiscard]] inline bool any_differs(std::span<WaitWord const> words) noexcept {
    for (auto const& [word, expected] : words)
        if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != expected) return true;
    return false;
}

[[nodiscard]] inline long wait_for_one(WaitWord const& word,
                                       std::chrono::nanoseconds timeout) noexcept {
    auto const time = to_timespec(timeout);
    bool const forever = timeout == std::chrono::nanoseconds::max();
    return ::syscall(SYS_futex, word.word, futex_wait, word.expected, forever ? nullptr : &time,
                     nullptr, 0);
}

[[nodiscard]] inline long wait_for_any(std::span<WaitWord const> words,
                                       std::chrono::nanoseconds timeout) noexcept {
    std::array<FutexWaiter, futex_waitv_limit> waiters;
    for (std::size_t i = 0; i < words.size(); ++i)
        waiters[i] = {.value = words[i].expected,
                      .address = reinterpret_cast<std::uintptr_t>(words[i].word),
                      .flags = futex_32_bits,
                      .reserved = 0};
    auto const now = read_clock(CLOCK_MONOTONIC);
    bool const forever = timeout > std::chrono::nanoseconds::max() - now;
    auto const deadline = to_timespec(forever ? now : now + timeout);
    return ::syscall(futex_waitv_call, waiters.data(), words.size(), 0,
                     forever ? nullptr : &deadline, CLOCK_MONOTONIC);
}

inline void wait_for_words(std::span<WaitWord const> words,
                           std::chrono::nanoseconds timeout) noexcept {
    if (words.empty()) return sleep_for(timeout);
    if (words.size() <= futex_waitv_limit) {
        auto const result =
            words.size() == 1 ? wait_for_one(words[0], timeout) : wait_for_any(words, timeout);
        if (result >= 0 || errno == EAGAIN || errno == ETIMEDOUT || errno == EINTR) return;
    }
    // More words than the kernel takes, a kernel before 5.16, or a sandbox that forbids the call.
    constexpr std::chrono::nanoseconds nap = std::chrono::milliseconds{1};
    if (!any_differs(words)) sleep_for(timeout < nap ? timeout : nap);
}

}  // namespace detail

/// A thread that leaves all signals to the program's other threads. Must be joined before it is
/// destroyed or assigned to. A forked child has no such thread: there joining does nothing.
class NativeThread {
public:
    NativeThread() noexcept = default;

    /// Runs `body` on a new thread. Throws io_error where the system has none to give.
    template <class Body>
    requires(!std::is_same_v<std::remove_cvref_t<Body>, NativeThread>) explicit NativeThread(
        Body&& body) {
        using Stored = std::decay_t<Body>;
        start(std::make_unique<Stored>(std::forward<Body>(body)));
    }

    NativeThread(NativeThread&& other) noexcept
        : thread_{other.thread_},
          process_{other.process_},
          joinable_{std::exchange(other.joinable_, false)} {}
    NativeThread& operator=(NativeThread other) noexcept {
        ANNALS_ASSERT(!joinable_);
        std::swap(thread_, other.thread_);
        std::swap(process_, other.process_);
        std::swap(joinable_, other.joinable_);
        return *this;
    }
    ~NativeThread() { ANNALS_ASSERT(!joinable_); }

    [[nodiscard]] bool joinable() const noexcept { return joinable_; }
    void join() noexcept {
        ANNALS_ASSERT(joinable_);
        if (process_ == detail::process_number()) ::pthread_join(thread_, nullptr);
        joinable_ = false;
    }

private:
    template <class Body>
    static void* run(void* body) noexcept {
        (*std::unique_ptr<Body>{static_cast<Body*>(body)})();
        return nullptr;
    }

    template <class Body>
    void start(std::unique_ptr<Body> body) {
        // A thread begins with its maker's mask.
        auto const before = detail::set_blocked_signals(detail::all_signals);
        int const result = ::pthread_create(&thread_, nullptr, &run<Body>, body.get());
        detail::set_blocked_signals(before);
        if (result != 0)
            detail::raise(Errc::io_error, "thread not started", {.system_code = result});
        body.release();  // the thread's now
        joinable_ = true;
    }

    pthread_t thread_{};
    std::uint32_t process_ = detail::process_number();
    bool joinable_ = false;
};

}  // namespace annals::inline v1
