// SPDX-License-Identifier: MIT
// A clock that is cheap beside what it measures, and percentiles of what it measured.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace bench {

/// The processor's constant counter where there is one (about 10 ns), else the steady clock.
[[nodiscard]] inline std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
    unsigned core = 0;
    return __rdtscp(&core);  // waits for what comes before it
#else
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

/// How many ticks a nanosecond has, measured once against the steady clock.
[[nodiscard]] inline double ticks_per_nanosecond() {
    static double const measured = [] {
        using Clock = std::chrono::steady_clock;
        auto const start = Clock::now();
        std::uint64_t const first = ticks();
        while (Clock::now() - start < std::chrono::milliseconds{50}) {
        }
        std::chrono::duration<double, std::nano> const took = Clock::now() - start;
        return static_cast<double>(ticks() - first) / took.count();
    }();
    return measured;
}

/// The sample below which the share `q` of them lies (nearest rank). Reorders them.
template <class T>
[[nodiscard]] T percentile(std::vector<T>& samples, double q) {
    if (samples.empty()) return T{};
    auto const rank = static_cast<std::size_t>(q * static_cast<double>(samples.size() - 1) + 0.5);
    auto const at = samples.begin() + static_cast<std::ptrdiff_t>(rank);
    std::nth_element(samples.begin(), at, samples.end());
    return *at;
}

}  // namespace bench
