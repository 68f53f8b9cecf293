// SPDX-License-Identifier: MIT
// A simulated machine whose threads take turns: one runs at a time, and at each step on what they
// share a seed decides who goes on. The same seed gives the same run; a deadlock or a wake-up that
// is lost ends the program and says so. Orders of memory other than the strongest are not explored.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <semaphore>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include <annals/platform/memory.hpp>

namespace annals::test {

/// One run. Everything in it is read and changed by the thread whose turn it is.
class Turns {
public:
    using Nanoseconds = std::chrono::nanoseconds;

    Turns(std::uint64_t seed, MemoryPlatform machine) : seed_{seed}, machine_{std::move(machine)} {
        // Often, so that many threads meet, or seldom, so that one stays behind for long.
        constexpr unsigned paces[] = {2, 4, 8, 32, 128};
        switch_one_in_ = paces[detail::next_random(random_) % std::size(paces)];
    }
    Turns(Turns const&) = delete;
    Turns& operator=(Turns const&) = delete;

    /// Runs `body` as the first thread. All threads that it starts must be joined when it returns.
    template <class Body>
    void run(Body const& body) {
        tasks_.push_back(std::make_unique<Task>());
        active_ = this;
        self_ = tasks_.front().get();
        body();
        self_ = nullptr;
        active_ = nullptr;
        for (auto const& task : tasks_) {
            if (task->thread.joinable()) task->thread.join();
        }
    }

    [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }

    /// Calls `visit` at that step, while all threads stand still.
    void at_step(std::uint64_t step, std::function<void()> visit) {
        visit_at_ = step;
        visit_ = std::move(visit);
    }

    // What the platform calls. Outside a run none of these does anything.

    /// Another thread may go on here.
    static void step() noexcept {
        if (Turns* const turns = active_; turns && self_) turns->take_step();
    }

    /// Another thread must, if there is one.
    static void let_others() noexcept {
        if (Turns* const turns = active_; turns && self_) turns->take_turn_of_another();
    }

    /// Sleeps until `wake` of one of the words, or the time is over.
    static void wait(std::span<WaitWord const> words, Nanoseconds timeout) {
        Turns* const turns = active_;
        if (!turns || !self_) return;
        turns->take_step();
        for (WaitWord const& word : words) {
            if (__atomic_load_n(word.word, __ATOMIC_SEQ_CST) != word.expected) return;
        }
        self_->words.assign(words.begin(), words.end());
        self_->deadline = timeout == Nanoseconds::max() ? timeout : turns->now() + timeout;
        turns->block("a word, or until a time");
        self_->words.clear();
        self_->deadline = Nanoseconds::max();
    }

    static void wake(std::uint32_t const* word) noexcept {
        Turns* const turns = active_;
        if (!turns || !self_) return;
        for (auto const& task : turns->tasks_) {
            for (WaitWord const& each : task->words) {
                if (each.word == word) task->blocked_on = nullptr;
            }
        }
        turns->take_step();
    }

    static void block_on(void const* what) {
        if (active_ && self_) {
            self_->object = what;
            active_->block("a mutex or thread");
        }
    }
    static void unblock(void const* what) noexcept {
        Turns* const turns = active_;
        if (!turns || !self_) return;
        for (auto const& task : turns->tasks_) {
            if (task->object != what) continue;
            task->object = nullptr;
            task->blocked_on = nullptr;
        }
    }

    struct Task {
        std::binary_semaphore turn{0};
        std::thread thread{};
        char const* blocked_on = nullptr;
        void const* object = nullptr;
        std::vector<WaitWord> words{};
        Nanoseconds deadline = Nanoseconds::max();
        bool is_done = false;
    };

    static Task* spawn(std::function<void()> body) {
        Turns* const turns = active_;
        Task* const task = turns->tasks_.emplace_back(std::make_unique<Task>()).get();
        task->thread = std::thread{[turns, task, body = std::move(body)] {
            task->turn.acquire();
            self_ = task;
            body();
            task->is_done = true;
            unblock(task);
            turns->choose()->turn.release();
        }};
        step();
        return task;
    }

    static void join(Task* task) {
        while (!task->is_done) block_on(task);
    }

private:
    static constexpr std::uint64_t most_steps = 20'000'000;

    [[nodiscard]] Nanoseconds now() const { return machine_.steady_now(); }

    void take_step() noexcept {
        if (++steps_ == visit_at_) std::exchange(visit_, nullptr)();
        if (steps_ > most_steps) fail("no end in sight");
        if (detail::next_random(random_) % switch_one_in_ == 0) go_on_with(choose());
    }

    void take_turn_of_another() noexcept {
        if (++steps_ > most_steps) fail("no end in sight");
        Task* const another = choose_but(self_);
        if (another) go_on_with(another);
    }

    void block(char const* what) {
        self_->blocked_on = what;
        go_on_with(choose());
    }

    void go_on_with(Task* next) noexcept {
        if (next == self_) return;
        Task* const self = self_;
        next->turn.release();
        self->turn.acquire();
    }

    /// Any thread that can run; time passes to the first deadline where none can.
    [[nodiscard]] Task* choose() noexcept {
        machine_.advance(Nanoseconds{500});
        for (;;) {
            if (Task* const task = choose_but(nullptr)) return task;
            Nanoseconds first = Nanoseconds::max();
            for (auto const& task : tasks_) {
                if (!task->is_done) first = std::min(first, task->deadline);
            }
            if (first == Nanoseconds::max()) fail("all threads sleep, and nobody will wake them");
            machine_.advance(first - now());
        }
    }

    [[nodiscard]] Task* choose_but(Task const* excluded) noexcept {
        Nanoseconds const time = now();
        ready_.clear();
        for (auto const& task : tasks_) {
            bool const is_over = task->deadline <= time;
            bool const can_run = !task->is_done && (!task->blocked_on || is_over);
            if (can_run && task.get() != excluded) ready_.push_back(task.get());
        }
        if (ready_.empty()) return nullptr;
        Task* const chosen = ready_[detail::next_random(random_) % ready_.size()];
        chosen->blocked_on = nullptr;
        return chosen;
    }

    [[noreturn]] void fail(char const* why) const noexcept {
        std::fprintf(stderr, "seed %llu, step %llu: %s\n", static_cast<unsigned long long>(seed_),
                     static_cast<unsigned long long>(steps_), why);
        for (std::size_t i = 0; i < tasks_.size(); ++i) {
            Task const& task = *tasks_[i];
            char const* const state = task.is_done ? "done" : task.blocked_on;
            std::fprintf(stderr, "  thread %zu: %s\n", i, state ? state : "can run");
        }
        std::abort();
    }

    inline static Turns* active_ = nullptr;
    inline static thread_local Task* self_ = nullptr;

    std::uint64_t seed_;
    MemoryPlatform machine_;
    std::uint64_t random_ = seed_;
    std::uint64_t switch_one_in_ = 2;
    std::uint64_t steps_ = 0;
    std::uint64_t visit_at_ = 0;
    std::function<void()> visit_;
    std::vector<std::unique_ptr<Task>> tasks_;
    std::vector<Task*> ready_;
};

template <class T>
class TurnAtomic {
public:
    TurnAtomic() noexcept = default;
    constexpr TurnAtomic(T value) noexcept : value_{value} {}  // NOLINT: as std::atomic
    TurnAtomic(TurnAtomic const&) = delete;
    TurnAtomic& operator=(TurnAtomic const&) = delete;
    T operator=(T value) noexcept {  // NOLINT: as std::atomic
        store(value);
        return value;
    }

    [[nodiscard]] T load(std::memory_order = std::memory_order_seq_cst) const noexcept {
        Turns::step();
        return value_.load();
    }
    void store(T value, std::memory_order = std::memory_order_seq_cst) noexcept {
        Turns::step();
        value_.store(value);
    }
    T exchange(T value, std::memory_order = std::memory_order_seq_cst) noexcept {
        Turns::step();
        return value_.exchange(value);
    }
    T fetch_add(T value, std::memory_order = std::memory_order_seq_cst) noexcept {
        Turns::step();
        return value_.fetch_add(value);
    }
    T fetch_sub(T value, std::memory_order = std::memory_order_seq_cst) noexcept {
        Turns::step();
        return value_.fetch_sub(value);
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order,
                               std::memory_order) noexcept {
        Turns::step();
        return value_.compare_exchange_strong(expected, desired);
    }

private:
    std::atomic<T> value_{};  // first, for who waits on its address
};

template <class T>
class TurnAtomicRef {
public:
    explicit TurnAtomicRef(T& value) noexcept : value_{value} {}

    [[nodiscard]] T load(std::memory_order order) const noexcept {
        Turns::step();
        return std::atomic_ref<T>{value_}.load(order);
    }
    void store(T value, std::memory_order order) const noexcept {
        Turns::step();
        std::atomic_ref<T>{value_}.store(value, order);
    }
    T fetch_add(T value, std::memory_order order) const noexcept {
        Turns::step();
        return std::atomic_ref<T>{value_}.fetch_add(value, order);
    }

private:
    T& value_;
};

class TurnMutex {
public:
    void lock() {
        Turns::step();
        while (is_locked_) Turns::block_on(this);
        is_locked_ = true;
    }
    [[nodiscard]] bool try_lock() {
        Turns::step();
        return !std::exchange(is_locked_, true);
    }
    void unlock() {
        is_locked_ = false;
        Turns::unblock(this);
        Turns::step();
    }

private:
    bool is_locked_ = false;
};

class TurnThread {
public:
    TurnThread() noexcept = default;
    template <class Body>
    requires(!std::same_as<std::remove_cvref_t<Body>, TurnThread>) explicit TurnThread(Body body)
        : task_{Turns::spawn(std::move(body))} {}
    TurnThread(TurnThread&& other) noexcept : task_{std::exchange(other.task_, nullptr)} {}
    TurnThread& operator=(TurnThread other) noexcept {
        std::swap(task_, other.task_);
        return *this;
    }
    ~TurnThread() {
        if (joinable()) join();
    }

    [[nodiscard]] bool joinable() const noexcept { return task_ != nullptr; }
    void join() { Turns::join(std::exchange(task_, nullptr)); }

private:
    Turns::Task* task_ = nullptr;
};

/// The simulated machine with threads, and so with a keeper.
class TurnPlatform : public MemoryPlatform {
public:
    using Mutex = TurnMutex;
    using Thread = TurnThread;
    template <class T>
    using Atomic = TurnAtomic<T>;
    template <class T>
    using AtomicRef = TurnAtomicRef<T>;

    static constexpr bool has_threads = true;

    using MemoryPlatform::MemoryPlatform;

    void relax(unsigned) const noexcept { Turns::let_others(); }
    void wait(std::span<WaitWord const> words, std::chrono::nanoseconds timeout) const {
        Turns::wait(words, timeout);
    }
    void wake(std::uint32_t const* word) const noexcept { Turns::wake(word); }
    static void store_point(std::byte const* address, std::size_t size) noexcept {
        MemoryPlatform::store_point(address, size);
        Turns::step();
    }
};
static_assert(Platform<TurnPlatform>);

/// Runs `body(turns, machine)` as the first thread of a run on an empty machine.
template <class Body>
void run_in_turns(std::uint64_t seed, Body const& body) {
    TurnPlatform machine;
    Turns turns{seed, machine};
    turns.run([&] { body(turns, machine); });
}

}  // namespace annals::test
