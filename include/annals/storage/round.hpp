// SPDX-License-Identifier: MIT
// What a background thread finds when it visits a partition, and how that is told.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/platform/platform.hpp>

namespace annals::inline v1::storage {

/// One visit, or many taken together.
struct Round {
    bool is_busy = false;               ///< something moved since the last one
    bool is_behind = false;             ///< and there is more to do at once
    std::optional<std::int64_t> due{};  ///< when to come again, in nanoseconds on the steady clock
    std::optional<Error> trouble{};     ///< the first there was

    /// One duty that fails does not keep the others from being done.
    template <class Work>
    void attempt(Work const& work) {
        auto error = detail::attempt(work);
        if (error && !trouble) trouble = std::move(error);
    }

    void come_again(std::int64_t at) noexcept {
        if (!due || at < *due) due = at;
    }
};

/// Tells a trouble when it begins, and not again until it has gone away.
class Complaint {
public:
    [[nodiscard]] std::optional<Error> once(std::optional<Error> trouble) {
        std::string const said = trouble ? trouble->what() : "";
        if (said == told_) return std::nullopt;
        told_ = said;
        return trouble;
    }

private:
    std::string told_;
};

/// Something that happened, until somebody takes it to tell it. Any thread may call it.
template <Platform P>
class Incident {
public:
    void set(Error what) {
        std::lock_guard const lock{mutex_};
        what_ = std::move(what);
        is_there_.store(true, std::memory_order_relaxed);
    }
    [[nodiscard]] std::optional<Error> take() {
        if (!is_there_.exchange(false, std::memory_order_relaxed)) return std::nullopt;
        std::lock_guard const lock{mutex_};
        return std::exchange(what_, std::nullopt);
    }

private:
    typename P::Mutex mutex_;
    std::optional<Error> what_;
    typename P::template Atomic<bool> is_there_{false};
};

}  // namespace annals::inline v1::storage
