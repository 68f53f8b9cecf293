// SPDX-License-Identifier: MIT
// What is installed on this machine, since when, and at any past moment: every Debian machine keeps
// a true event log, and from a log of events any state can be rebuilt.
//
// A line of dpkg's log is a record: the key is the package, the value the event, the timestamp the
// line's. Two headers travel along: "time", the time as it was written, for a local time cannot be
// had back from a moment; and "file", where the line was read. A third, "before", stands on those
// few records that came late and belong in front of another one.
#include <annals/annals.hpp>

#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "package_history/dpkg_log.hpp"
#include "package_history/history.hpp"
#include "package_history/input.hpp"
#include "package_history/options.hpp"
#include "package_history/report.hpp"
#include "package_history/sample.hpp"

using namespace std::chrono_literals;
using Topic = annals::Topic<std::string, std::string>;

/// The topic, replayed into one history.
struct Replayed {
    dpkg::History history;
    std::size_t records = 0;
    bool from_default_file = false;
};

Replayed replay(Topic const& topic) {
    Replayed result;
    std::string const own = default_file();
    for (auto const& record : topic.replay()) {
        dpkg::Line line{.text = std::string{annals::as_text(record.header("time").value())},
                        .moment = record.timestamp()};
        line.text.append(" ").append(record.value());
        std::optional<annals::Offset> before;
        if (auto const header = record.header("before"))
            before = annals::Offset{annals::load_le<std::uint64_t>(*header)};
        result.history.restore(std::move(line), record.offset(), before);
        ++result.records;
        if (annals::as_text(record.header("file").value()) == own) result.from_default_file = true;
    }
    return result;
}

/// Appends every line that `known` does not have, and returns how many there were. Where it is cut
/// off, what was appended stays, and the next run appends the rest.
std::size_t append(Topic const& topic, dpkg::History& known, dpkg::Input const& input) {
    auto producer = topic.producer();
    std::size_t count = 0;
    for (auto const& piece : input.pieces) {
        known.merge(piece.lines, [&](dpkg::Line const& line, std::optional<annals::Offset> before) {
            std::array<std::byte, 8> successor{};
            std::vector<annals::Header> headers{{"time", annals::as_bytes(line.time())},
                                                {"file", annals::as_bytes(piece.file)}};
            if (before) {
                annals::store_le(successor, before->value());
                headers.push_back({"before", successor});
            }
            annals::SendOptions const options{.timestamp = line.moment, .headers = headers};
            ++count;
            if (auto const package = dpkg::package_of(line.event()))
                return producer.send(*package, line.event(), options).offset;
            return producer.send(std::nullopt, line.event(), options).offset;
        });
    }
    return count;
}

/// Reads this machine's own file, if there is one.
void read_default(dpkg::Input& input) {
    std::error_code missing;
    auto const size = std::filesystem::file_size(default_file(), missing);
    if (!missing && size > 0) input.read(default_file());
    if (input.lines == 0) fmt::print(stderr, "{} is missing or empty\n", default_file());
}

int run(Options const& options) {
    dpkg::Input input;  // read whole before anything is changed
    Measure reading = measure([&] {
        for (auto const& file : options.files) input.read(file);
        return input.lines;
    });

    annals::Log log{options.log, {.lock_timeout = 10s}};
    Topic topic = log.topic<std::string, std::string>("dpkg");
    Replayed known = replay(topic);
    if (options.files.empty() && (known.records == 0 || known.from_default_file)) {
        reading = measure([&] { return read_default(input), input.lines; });
        if (known.records == 0 && input.lines == 0) {
            fmt::print(stderr, "here is a small sample instead\n");
            std::istringstream sample{sample_log};
            reading = measure([&] { return input.read(sample, "sample"), input.lines; });
            topic = log.topic<std::string, std::string>("sample");  // apart from what is true
            known = replay(topic);
        }
    }

    input.sort();
    Measure const appending = measure([&] { return append(topic, known.history, input); });
    Replayed now;
    Measure const replaying = measure([&] { return now = replay(topic), now.records; });

    if (options.package) {
        if (print_package(now.history, options) == 0) {
            fmt::print(stderr, "no record of a package {}\n", *options.package);
            return 1;
        }
    } else {
        print_installed(now.history, options);
    }
    std::FILE* const out = options.tsv ? stderr : stdout;
    print_measure(out, "lines read", reading);
    print_measure(out, "records appended", appending);
    print_measure(out, "records replayed", replaying);
    if (std::fflush(stdout) != 0)
        throw std::system_error{errno, std::generic_category(), "standard output"};
    return 0;
}

int main(int count, char* arguments[]) {
    try {
        Options const options = parse_options({arguments + 1, arguments + count});
        if (options.help) {
            fmt::print("{}", help_text);
            return 0;
        }
        return run(options);
    } catch (UsageError const& mistake) {
        fmt::print(stderr, "package_history: {}\nTry package_history --help.\n", mistake.what());
        return 2;
    } catch (std::exception const& error) {
        fmt::print(stderr, "package_history: {}\n", error.what());
        return 1;
    }
}
