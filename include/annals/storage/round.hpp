// SPDX-License-Identifier: MIT
// What a background thread finds when it visits a partition.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <annals/config.hpp>
#include <annals/error.hpp>

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

}  // namespace annals::inline v1::storage
