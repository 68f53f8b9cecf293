// SPDX-License-Identifier: MIT
// What package_history answers: the view of what is installed, one package's history, the figures.
#pragma once

#include <fmt/core.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "dpkg_log.hpp"
#include "history.hpp"
#include "options.hpp"

/// How much was done, and in what time.
struct Measure {
    std::size_t count = 0;
    std::chrono::duration<double> time{};
};

template <class Work>
Measure measure(Work work) {
    auto const started = std::chrono::steady_clock::now();
    std::size_t const count = work();
    return {count, std::chrono::steady_clock::now() - started};
}

struct Installed {
    std::string_view version;
    std::string_view since;
};

/// What was installed, by package. The lines are taken in their order and not up to a moment of the
/// log's (`ReplayOptions::until`), for a clock that was set back, or a file that came late, would
/// end that too early.
inline std::map<std::string_view, Installed> installed(dpkg::History const& history,
                                                       std::optional<std::string> const& at) {
    std::map<std::string_view, Installed> view;
    for (auto const& [line, offset] : history.entries()) {
        auto const status = dpkg::status_of(line.event());
        if (!status || (at && line.time() > *at)) continue;
        if (status->state == "installed") {
            view.insert_or_assign(status->package, Installed{status->version, line.time()});
        } else {
            view.erase(status->package);
        }
    }
    return view;
}

inline void print_installed(dpkg::History const& history, Options const& options) {
    auto const view = installed(history, options.at);
    if (options.tsv) {
        for (auto const& [package, is] : view)
            fmt::print("{}\t{}\t{}\n", package, is.version, is.since);
        return;
    }
    fmt::print("{:<44} {:<32} {}\n", "package", "version", "since");
    for (auto const& [package, is] : view)
        fmt::print("{:<44} {:<32} {}\n", package, is.version, is.since);
    fmt::print("{} packages installed{}\n", view.size(), options.at ? " at " + *options.at : "");
}

/// Prints one package's lines; NAME without an architecture is the package in all of them.
inline std::size_t print_package(dpkg::History const& history, Options const& options) {
    std::size_t found = 0;
    for (auto const& [line, offset] : history.entries()) {
        auto const package = dpkg::package_of(line.event());
        if (!package || (options.at && line.time() > *options.at)) continue;
        if (*package != *options.package && !package->starts_with(*options.package + ':')) continue;
        ++found;
        if (options.tsv) {
            fmt::print("{}\t{}\t{}\n", line.time(), *package, line.event());
        } else {
            fmt::print("{}  {}\n", line.time(), line.event());
        }
    }
    return found;
}

inline void print_measure(std::FILE* out, std::string_view what, Measure const& measured) {
    double const seconds = measured.time.count();
    fmt::print(out, "{:<17}{:>9} in {:>9.3f} ms", what, measured.count, seconds * 1e3);
    if (measured.count > 0)
        fmt::print(out, ", {:>10.0f} a second", static_cast<double>(measured.count) / seconds);
    fmt::print(out, "\n");
}
