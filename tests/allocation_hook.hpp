// SPDX-License-Identifier: MIT
// The allocation functions of a test program that watches or limits its allocations. For one file
// of the program, which defines the hook.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace annals::test {

/// Called before each allocation, on the thread that makes it; what it throws, that throws.
void before_allocation(std::size_t size);

[[nodiscard]] inline void* allocate(std::size_t size, std::size_t alignment) {
    before_allocation(size);
    std::size_t const rounded = (size + alignment - 1) / alignment * alignment;
    if (void* const memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded)) {
        return memory;
    }
    throw std::bad_alloc{};
}

}  // namespace annals::test

// Inlined, the one would seem to the compiler not to fit the other.
[[gnu::noinline]] void* operator new(std::size_t size) {
    return annals::test::allocate(size, alignof(std::max_align_t));
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
    return annals::test::allocate(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
    return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
