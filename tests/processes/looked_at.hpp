// SPDX-License-Identifier: MIT
// A machine on which somebody looks at the log in the midst of what others do.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include <annals/platform/memory.hpp>

namespace annals::test {

/// Calls `look` whenever a random number is drawn: for each file of the log that is made.
class LookedAtPlatform : public MemoryPlatform {
public:
    using MemoryPlatform::MemoryPlatform;
    explicit LookedAtPlatform(MemoryPlatform machine) noexcept
        : MemoryPlatform{std::move(machine)} {}

    inline static std::function<void()> look;

    [[nodiscard]] std::uint64_t random() const {
        auto const call = std::exchange(look, nullptr);
        if (call) call();
        look = call;
        return MemoryPlatform::random();
    }
};

}  // namespace annals::test
