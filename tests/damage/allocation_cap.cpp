// SPDX-License-Identifier: MIT
// The allocation functions of this test program, and that they notice what is too much.
#include "damage/allocation_cap.hpp"

#include <cstdlib>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"

namespace {

thread_local std::size_t most_bytes = std::numeric_limits<std::size_t>::max();

void* allocate(std::size_t size, std::size_t alignment) {
    if (size > most_bytes) {
        most_bytes = std::numeric_limits<std::size_t>::max();  // the message allocates too
        throw std::length_error{"an allocation of " + std::to_string(size) + " bytes"};
    }
    std::size_t const rounded = (size + alignment - 1) / alignment * alignment;
    if (void* const memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded)) {
        return memory;
    }
    throw std::bad_alloc{};
}

}  // namespace

// Inlined, the one would seem to the compiler not to fit the other.
[[gnu::noinline]] void* operator new(std::size_t size) {
    return allocate(size, alignof(std::max_align_t));
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
    return allocate(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}

namespace annals::test {

AllocationCap::AllocationCap(std::size_t bytes) noexcept
    : outer_{std::exchange(most_bytes, bytes)} {}

AllocationCap::~AllocationCap() { most_bytes = outer_; }

}  // namespace annals::test

TEST_CASE("an allocation beyond the cap is noticed") {
    annals::test::AllocationCap const cap{1'000};
    CHECK_NOTHROW(std::vector<char>(1'000));
    CHECK_THROWS_AS(std::vector<char>(1'001), std::length_error);
}
