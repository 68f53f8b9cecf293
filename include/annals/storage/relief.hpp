// SPDX-License-Identifier: MIT
// What is done where descriptors or mappings run out: those that sealed segments still hold are
// given back first.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <vector>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/platform/platform.hpp>

namespace annals::inline v1::storage {

/// Whether the process or the machine has no more descriptors, mappings or memory to give.
[[nodiscard]] inline bool is_exhaustion(Error const& error) noexcept {
    int const code = error.system_code();
    return code == EMFILE || code == ENFILE || code == ENOMEM;
}

/// Knows all writers of a log. Any thread may call it that holds no lock of a partition.
template <Platform P, class Writer>
class Relief {
public:
    void add(Writer& writer) {
        std::lock_guard const lock{mutex_};
        writers_.push_back(&writer);
    }
    void remove(Writer& writer) {
        std::lock_guard const lock{mutex_};
        std::erase(writers_, &writer);
    }

    /// Something was given back, here or anywhere.
    void count() noexcept { given_back_.fetch_add(1, std::memory_order_relaxed); }

    /// Does the work; where that runs out of something, lets all writers of the log give back what
    /// they can and does it again, for as long as something is given back and others are quicker to
    /// take it. Throws what the work throws.
    template <class Work>
    void run(Work const& work) {
        auto const error = detail::attempt(work);
        if (!error) return;
        if (!is_exhaustion(*error)) detail::raise_again(*error);
        std::lock_guard const lock{mutex_};  // who was quicker comes to wait here, too
        while (!has_run(work)) {
        }
    }

private:
    template <class Work>
    [[nodiscard]] bool has_run(Work const& work) {
        std::uint64_t const before = given_back_.load(std::memory_order_relaxed);
        for (Writer* const each : writers_) {
            // What fails here concerns that writer, which remembers it.
            (void)detail::attempt([&] { each->give_back(); });
        }
        auto const error = detail::attempt(work);
        bool const is_hopeless = before == given_back_.load(std::memory_order_relaxed);
        if (error && (is_hopeless || !is_exhaustion(*error))) detail::raise_again(*error);
        return !error;
    }

    typename P::Mutex mutex_;
    std::vector<Writer*> writers_;
    typename P::template Atomic<std::uint64_t> given_back_{0};
};

}  // namespace annals::inline v1::storage
