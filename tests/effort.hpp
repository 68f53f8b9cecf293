// SPDX-License-Identifier: MIT
// How hard the long tests try, and where they leave the figures of what they did.
#pragma once

#include <cstdlib>
#include <fstream>
#include <string>

namespace annals::test {

/// How many times the usual rounds a long test shall do: 1, or what ANNALS_TEST_EFFORT says.
[[nodiscard]] inline unsigned effort() {
    char const* const text = std::getenv("ANNALS_TEST_EFFORT");
    return text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : 1;
}

/// Leaves a line for the table of campaigns, where ANNALS_TEST_FIGURES names a directory for them.
inline void note_figure(std::string const& campaign, std::string const& outcome) {
    char const* const directory = std::getenv("ANNALS_TEST_FIGURES");
    if (directory == nullptr) return;
    std::ofstream{std::string{directory} + "/" + campaign} << "| " << campaign << " | " << outcome
                                                           << " |\n";
}

}  // namespace annals::test
