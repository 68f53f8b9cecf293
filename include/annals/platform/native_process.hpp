// SPDX-License-Identifier: MIT
// Telling a process from the one that it was forked from.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include <annals/config.hpp>

namespace annals::inline v1::detail {

/// Another number in a forked child than in its parent, from the first call on. Costs a load, where
/// getpid() would cost a system call.
[[nodiscard]] inline std::uint32_t process_number() noexcept {
    static std::atomic<std::uint32_t> forks{0};
    [[maybe_unused]] static int const is_counted =
        ::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
    return forks.load(std::memory_order_relaxed);
}

}  // namespace annals::inline v1::detail
