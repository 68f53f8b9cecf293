// SPDX-License-Identifier: MIT
// Where user code runs inside the log's own work, a call back into the log would wait for itself.
#pragma once

#include <annals/config.hpp>
#include <annals/error.hpp>

namespace annals::inline v1::detail {

inline thread_local unsigned user_code_depth = 0;

/// While it lives, this thread runs code of the user's inside a claim or an event handler.
class UserCodeScope {
public:
    UserCodeScope() noexcept { ++user_code_depth; }
    UserCodeScope(UserCodeScope const&) = delete;
    UserCodeScope& operator=(UserCodeScope const&) = delete;
    ~UserCodeScope() { --user_code_depth; }
};

/// Throws `invalid_argument` inside such a scope.
[[gnu::always_inline]] inline void require_outside_user_code() {
    if (user_code_depth != 0) [[unlikely]] {
        raise(Errc::invalid_argument,
              "a call into the log from inside an encoding or an event handler");
    }
}

}  // namespace annals::inline v1::detail
