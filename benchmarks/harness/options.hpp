// SPDX-License-Identifier: MIT
// What annals_bench is told on its command line.
#pragma once

#include <chrono>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace bench {

struct Options {
    enum class Action { run, list, help };

    Action action = Action::run;
    std::filesystem::path directory = ".";
    std::vector<std::string> only{};  ///< empty: all
    std::filesystem::path json{};     ///< empty: none is written
    std::filesystem::path markdown{};
    unsigned runs = 5;
    double scale = 1;                            ///< of the records at full size
    std::chrono::duration<double> patience{10};  ///< a peer's run is cut off after it
    enum class Journal { automatic, never } journal = Journal::automatic;
};

/// Throws std::invalid_argument with a message for the user: options that are not known, or make
/// no sense.
[[nodiscard]] Options parse_options(std::span<char const* const> arguments);

/// The text of --help.
[[nodiscard]] std::string usage();

}  // namespace bench
