// SPDX-License-Identifier: MIT
// What package_history is asked to do: its command line.
#pragma once

#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "dpkg_log.hpp"

/// The file that is read where none is named.
inline std::string default_file() {
    char const* const chosen = std::getenv("PACKAGE_HISTORY_FILE");
    return chosen != nullptr ? chosen : "/var/log/dpkg.log";
}

inline constexpr std::string_view help_text =
    R"(usage: package_history [OPTION]... [FILE]...

Keeps dpkg's logs as an event log and tells from it what is installed, and since
when. Each line becomes a record once, however often it is given: run it again
on a file that has grown, or has been rotated, and only what is new is appended.

FILE is a log as dpkg writes it; - is standard input. Several are pieces of one
machine's history, in any order. Compressed ones go through standard input:
zcat /var/log/dpkg.log.*.gz | package_history - /var/log/dpkg.log.1. Without
FILE it is /var/log/dpkg.log, or what PACKAGE_HISTORY_FILE names, unless the
event log holds other files' lines only: then nothing but that log is read.

  --log DIR        where the event log lives (default: ./package-history)
  --at "YYYY-MM-DD HH:MM:SS"
                   what was installed at that local time: every line that bears
                   this second or an earlier one counts
  --package NAME   one package's history; with :ARCHITECTURE, or all of them
  --tsv            for programs: package, version and time, parted by tabs and
                   sorted by bytes (with --package: time, package and event, in
                   the order in which they happened); all else goes to stderr
  --help           this text

A package is installed if its last status line says so; since when is the time
of that line, as it is written there. Times are local times of this machine.
)";

struct Options {
    std::vector<std::string> files;
    std::string log = "package-history";
    std::optional<std::string> at;
    std::optional<std::string> package;
    bool tsv = false;
    bool help = false;
};

/// A mistake on the command line.
struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline Options parse_options(std::vector<std::string> const& arguments) {
    Options options;
    bool only_files = false;  // after --
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        std::string name = arguments[i];
        if (only_files || name == "-" || !name.starts_with('-')) {
            options.files.push_back(name);
            continue;
        }
        std::optional<std::string> attached;  // --name=value
        if (auto const sign = name.find('='); sign != std::string::npos) {
            attached = name.substr(sign + 1);
            name.resize(sign);
        }
        auto const value = [&] {
            if (attached) return *attached;
            if (i + 1 == arguments.size()) throw UsageError{name + " needs a value"};
            return arguments[++i];
        };
        if (name == "--log") {
            options.log = value();
        } else if (name == "--at") {
            options.at = value();
            if (!dpkg::parse_time(*options.at))
                throw UsageError{"--at takes \"YYYY-MM-DD HH:MM:SS\", not \"" + *options.at + '"'};
        } else if (name == "--package") {
            options.package = value();
        } else if (attached) {
            throw UsageError{"unknown option or no value taken: " + arguments[i]};
        } else if (name == "--tsv") {
            options.tsv = true;
        } else if (name == "--help" || name == "-h") {
            options.help = true;
        } else if (name == "--") {
            only_files = true;
        } else {
            throw UsageError{"unknown option: " + name};
        }
    }
    return options;
}
