// SPDX-License-Identifier: MIT
// The allocation functions of this test program, and that they notice what is too much.
#include "damage/allocation_cap.hpp"

#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "allocation_hook.hpp"
#include "catch.hpp"

namespace {

thread_local std::size_t most_bytes = std::numeric_limits<std::size_t>::max();

}  // namespace

void annals::test::before_allocation(std::size_t size) {
    if (size <= most_bytes) return;
    most_bytes = std::numeric_limits<std::size_t>::max();  // the message allocates too
    throw std::length_error{"an allocation of " + std::to_string(size) + " bytes"};
}

namespace annals::test {

AllocationCap::AllocationCap(std::size_t bytes) noexcept
    : outer_{std::exchange(most_bytes, bytes)} {}

AllocationCap::~AllocationCap() { most_bytes = outer_; }

}  // namespace annals::test

TEST_CASE("an allocation beyond the cap is noticed") {
    annals::test::AllocationCap const cap{1'000};
    // Calls, which no compiler may leave out, as it may an unused vector's.
    CHECK_NOTHROW(::operator delete(::operator new(1'000)));
    CHECK_THROWS_AS(::operator delete(::operator new(1'001)), std::length_error);
}
