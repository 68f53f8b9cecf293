// SPDX-License-Identifier: MIT
// A log belongs to the process that opened it. A forked child has its objects, but neither its
// mappings nor its threads nor its lock.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/platform/platform.hpp>

namespace annals::inline v1::storage {

/// Remembers the process that made it. Any thread may call it.
template <Platform P>
class OwnProcess {
public:
    explicit OwnProcess(P platform) : platform_{std::move(platform)} {}

    /// Whether this is that process, and no child of it.
    [[nodiscard]] bool is_this() const noexcept { return platform_.process() == process_; }

    /// Where a child would do harm an assertion that may be compiled out is not enough.
    void require(std::string const& path) const {
        ANNALS_ASSERT(is_this());  // a log does not go into a forked child
        if (!is_this()) [[unlikely]] {
            detail::raise(Errc::closed, "the log is the parent's of this process", {.path = path});
        }
    }

private:
    P platform_;
    std::uint32_t process_ = platform_.process();
};

}  // namespace annals::inline v1::storage
