// SPDX-License-Identifier: MIT
// Appending so many records with so many producers, against the clock.
#pragma once

#include <chrono>
#include <cstdint>

#include "harness/pool.hpp"
#include "subjects/store.hpp"

namespace bench {

struct Pace {
    std::uint64_t records = 0;
    unsigned producers = 1;
    std::uint32_t batch = 1;
    /// After it the producers stop where they are.
    std::chrono::duration<double> patience = std::chrono::hours{24};
    /// After so many records they look at the clock; divides the pool.
    std::size_t look_after = 800;
};

struct Appended {
    std::uint64_t records = 0;
    double seconds = 0;

    [[nodiscard]] double rate() const noexcept { return static_cast<double>(records) / seconds; }
};

/// The clock runs from the moment when all producers are ready to when the last one is done.
/// Throws what a producer threw, Interrupted, and where the store then has not as many records as
/// were appended.
Appended append(Store& store, Pace const& pace);

}  // namespace bench
