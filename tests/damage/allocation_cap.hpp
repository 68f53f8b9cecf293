// SPDX-License-Identifier: MIT
// No allocation of this test program may be larger than the damaged files justify.
#pragma once

#include <cstddef>

namespace annals::test {

/// While it lives, an allocation of this thread beyond so many bytes throws std::length_error.
class AllocationCap {
public:
    explicit AllocationCap(std::size_t bytes) noexcept;
    AllocationCap(AllocationCap const&) = delete;
    AllocationCap& operator=(AllocationCap const&) = delete;
    ~AllocationCap();

private:
    std::size_t outer_;
};

}  // namespace annals::test
