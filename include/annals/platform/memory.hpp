// SPDX-License-Identifier: MIT
// A platform for tests: files in memory, a clock that the test sets, no thread, and deaths and
// failures on request. Not part of <annals/annals.hpp>.
#pragma once

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/platform/common.hpp>
#include <annals/platform/memory_copy.hpp>
#include <annals/platform/memory_directory.hpp>
#include <annals/platform/memory_machine.hpp>
#include <annals/platform/platform.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {

/// A simulated machine: copies of this handle are the same machine, and a machine lives as long as
/// a handle, file or mapping of it. It does the same each time, whatever real machine it runs on.
///
/// Each file has two states: what is visible, and what was synced and is left after power loss.
/// Directories too: a name is durable once its directory was synced.
///
/// The threads of a test may share a machine, but it has no keeper. A mapped file cannot grow, and
/// paths that begin with `/` and paths that do not are the same.
class MemoryPlatform {
public:
    using Directory = MemoryDirectory;
    using Mutex = std::mutex;
    template <class T>
    using Atomic = std::atomic<T>;
    template <class T>
    using AtomicRef = std::atomic_ref<T>;

    /// There is no thread on this machine; nothing may start one.
    class Thread {
    public:
        Thread() noexcept = default;
        template <class Body>
        requires(!std::is_same_v<std::remove_cvref_t<Body>, Thread>) explicit Thread(Body&&) {
            detail::raise(Errc::invalid_argument, "the memory platform has no threads");
        }
        [[nodiscard]] bool joinable() const noexcept { return false; }
        void join() noexcept {}
    };

    static constexpr bool has_threads = false;

    /// An empty machine at 2000-01-01 00:00 UTC, the same each time.
    MemoryPlatform() : MemoryPlatform{1} {}
    /// The seed decides the random numbers, the files' device and the boot ids.
    explicit MemoryPlatform(std::uint64_t seed);

    // ---- what Annals asks for (the concept Platform)

    /// With Access::write what is missing of the path is made, and is durable when the call
    /// returns.
    [[nodiscard]] Directory open_directory(std::string const& path, Access access) const;
    [[nodiscard]] Timestamp now() const {
        std::lock_guard const lock{machine_->mutex};
        return machine_->system_time;
    }
    [[nodiscard]] Timestamp coarse_now() const { return now(); }
    [[nodiscard]] std::chrono::nanoseconds steady_now() const {
        std::lock_guard const lock{machine_->mutex};
        return machine_->steady_time;
    }
    [[nodiscard]] std::uint64_t random() const {
        std::lock_guard const lock{machine_->mutex};
        return detail::next_random(machine_->random_state);
    }
    [[nodiscard]] BootId boot_id() const;
    [[nodiscard]] std::uint32_t process() const noexcept { return 0; }
    void relax(unsigned) const noexcept { std::this_thread::yield(); }
    /// Returns at once if a word differs. Otherwise time passes as if nothing had happened; a wait
    /// without end throws invalid_argument, because nothing can happen.
    void wait(std::span<WaitWord const> words, std::chrono::nanoseconds timeout) const;
    void wake(std::uint32_t const*) const noexcept {}

    // ---- the clock

    /// Sets the system clock; the steady clock goes on from where it is.
    void set_time(Timestamp time) {
        std::lock_guard const lock{machine_->mutex};
        machine_->system_time = time;
    }
    /// Lets time pass on both clocks.
    void advance(std::chrono::nanoseconds duration) {
        std::lock_guard const lock{machine_->mutex};
        machine_->advance(duration);
    }

    // ---- deaths: each returns another machine, and this one with its handles goes on as it is.
    // Exact while no other thread stores or syncs; else as far from one instant as a copy taken of
    // a running system.

    /// The machine after its processes died: all that was visible, synced or not, the same boot id,
    /// the same inodes, no locks.
    [[nodiscard]] MemoryPlatform after_process_death() const { return copy(std::nullopt); }
    /// The machine after power loss and start: only what was synced, a new boot id, no locks.
    [[nodiscard]] MemoryPlatform after_power_loss() const { return copy(detail::PowerLoss{}); }
    /// The same, but each unsynced page of 4 KiB, size of a file and change of a directory is left
    /// or lost at random by the seed.
    [[nodiscard]] MemoryPlatform after_power_loss(std::uint64_t seed) const {
        return copy(detail::PowerLoss{.seed = seed});
    }

    // ---- failures

    /// From now on files can grow by so many bytes in all. Removing a file gives its size back.
    void set_free_space(std::uint64_t bytes) {
        std::lock_guard const lock{machine_->mutex};
        machine_->limit_bytes = detail::add_saturating(machine_->used_bytes, bytes);
    }
    /// No limit any more.
    void clear_free_space() {
        std::lock_guard const lock{machine_->mutex};
        machine_->limit_bytes.reset();
    }
    /// The next such operation but `after` fails once, with this error number and without any other
    /// effect. A failed sync or write-back also loses for good what the file had not made durable:
    /// as on Linux its later syncs succeed and change nothing.
    void fail_next(Operation operation, int system_code, unsigned after = 0) {
        std::lock_guard const lock{machine_->mutex};
        machine_->failures.push_back({operation, system_code, after});
    }
    /// Whether something that was told to fail has not been asked for yet.
    [[nodiscard]] bool has_failures() const {
        std::lock_guard const lock{machine_->mutex};
        return !machine_->failures.empty();
    }
    void clear_failures() {
        std::lock_guard const lock{machine_->mutex};
        machine_->failures.clear();
    }

    // ---- stores

    /// While it lives, this thread calls the function after every store into a mapping that
    /// recovery may have to make sense of, on any machine; not for stores made by the function
    /// itself, which may copy the machine and open the copy, but must not throw.
    class StoreHook {
    public:
        using Function = std::function<void(std::byte const* address, std::size_t size)>;

        explicit StoreHook(Function function)
            : function_{std::move(function)}, outer_{std::exchange(current_, this)} {}
        StoreHook(StoreHook const&) = delete;
        StoreHook& operator=(StoreHook const&) = delete;
        ~StoreHook() { current_ = outer_; }

    private:
        friend class MemoryPlatform;
        inline static thread_local StoreHook* current_ = nullptr;

        Function function_;
        StoreHook* outer_;
    };

    static void store_point(std::byte const* address, std::size_t size) noexcept {
        StoreHook* const hook = std::exchange(StoreHook::current_, nullptr);
        if (hook == nullptr) return;
        hook->function_(address, size);
        StoreHook::current_ = hook;
    }

private:
    explicit MemoryPlatform(std::shared_ptr<detail::MemoryMachine> machine) noexcept
        : machine_{std::move(machine)} {}

    [[nodiscard]] MemoryPlatform copy(std::optional<detail::PowerLoss> loss) const {
        std::lock_guard const lock{machine_->mutex};
        return MemoryPlatform{detail::MachineCopy{*machine_, loss}.machine()};
    }

    std::shared_ptr<detail::MemoryMachine> machine_;
};

inline MemoryPlatform::MemoryPlatform(std::uint64_t seed)
    : machine_{std::make_shared<detail::MemoryMachine>()} {
    machine_->seed = seed;
    machine_->random_state = seed;
    machine_->system_time = std::chrono::sys_days{std::chrono::year{2000} / 1 / 1};
}

inline MemoryDirectory MemoryPlatform::open_directory(std::string const& path,
                                                      Access access) const {
    if (path.empty()) detail::raise(Errc::invalid_argument, "not a path", {.path = path});
    std::lock_guard const lock{machine_->mutex};
    std::vector<std::shared_ptr<detail::MemoryDirectoryNode>> way{machine_->root};
    std::string_view rest{path};
    while (!rest.empty()) {
        auto const name = rest.substr(0, rest.find('/'));
        rest.remove_prefix(name.size() < rest.size() ? name.size() + 1 : name.size());
        if (name == ".." && way.size() > 1) way.pop_back();
        if (name.empty() || name == "." || name == "..") continue;
        auto& parent = *way.back();
        auto entry = parent.find(name);
        if (entry.file) detail::raise(Errc::not_a_log, "not a directory", {.path = path});
        if (!entry && access == Access::read)
            detail::raise_system("directory not opened", path, ENOENT);
        if (!entry) {
            machine_->check(Operation::make_directory, path);
            entry.directory = machine_->make_directory();
            parent.change({.name = std::string{name}, .entry = entry});
        }
        if (access == Access::write) parent.make_durable();
        way.push_back(entry.directory);
    }
    machine_->check(Operation::open, path);
    return {machine_, way.back(), path};
}

inline BootId MemoryPlatform::boot_id() const {
    std::lock_guard const lock{machine_->mutex};
    std::uint64_t state = machine_->seed ^ machine_->boots << 32;
    std::array<std::uint64_t, 2> const numbers{detail::next_random(state),
                                               detail::next_random(state)};
    BootId id;
    std::memcpy(id.data(), numbers.data(), sizeof id);
    return id;
}

inline void MemoryPlatform::wait(std::span<WaitWord const> words,
                                 std::chrono::nanoseconds timeout) const {
    for (auto const& [word, expected] : words)
        if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != expected) return;
    if (timeout == std::chrono::nanoseconds::max())
        detail::raise(Errc::invalid_argument,
                      "a wait without end, and nothing can happen on a machine without threads");
    std::lock_guard const lock{machine_->mutex};
    if (timeout.count() > 0) machine_->advance(timeout);
}

static_assert(Platform<MemoryPlatform>);

template <class P>
class BasicLog;

/// A log on a simulated machine; include <annals/annals.hpp> to use it.
using MemoryLog = BasicLog<MemoryPlatform>;

}  // namespace annals::inline v1
