// SPDX-License-Identifier: MIT
// Other programs, and this one again: a process that dies in the middle of its work, or whose
// memory is its own.
#pragma once

#include <string>
#include <vector>

namespace bench {

/// How a process ended, and what it had printed.
struct Ended {
    int exit_code = 0;  ///< of a shell's kind: 128 + signal where one ended it
    std::string output{};
};

/// Runs a program found in PATH and waits for it.
[[nodiscard]] Ended run_program(std::vector<std::string> const& command);

/// Runs this program as `annals_bench --child ...`.
[[nodiscard]] Ended run_child(std::vector<std::string> const& arguments);

/// Ends this process as `kill -9` does.
[[noreturn]] void die();

}  // namespace bench
