// SPDX-License-Identifier: MIT
// Reading dpkg's log files: every line of every file, cut into pieces that go forward in time.
#pragma once

#include <cerrno>
#include <cstddef>
#include <fstream>
#include <iostream>
#include <list>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "dpkg_log.hpp"

namespace dpkg {

/// Consecutive lines of one file.
struct Piece {
    std::string file;
    std::vector<Line> lines;
};

/// All that was read.
struct Input {
    std::list<Piece> pieces;
    std::size_t lines = 0;

    /// Reads a stream to its end; what is not a line of dpkg's log is counted and told.
    void read(std::istream& in, std::string const& name) {
        std::size_t skipped = 0;
        std::vector<Line>* piece = nullptr;
        LocalClock clock;
        for (std::string text; std::getline(in, text); ++lines) {
            auto line = parse_line(std::move(text));
            if (!line) {
                ++skipped;
                continue;
            }
            // What goes back behind its own beginning is another piece, as in `cat dpkg.log*`,
            // which gives the newest file first. A smaller step back is a clock that was set.
            if (!piece ||
                (line->time() < piece->back().time() &&
                 (line->time() < piece->front().time() || line->text == piece->front().text))) {
                piece = &pieces.emplace_back(Piece{name, {}}).lines;
                clock = {};
            }
            line->moment = clock.moment(line->time());
            piece->push_back(std::move(*line));
        }
        if (in.bad()) throw std::system_error{errno, std::generic_category(), name};
        if (skipped > 0)
            std::cerr << name << ": skipped " << skipped << " lines that are not dpkg's\n";
    }

    /// Reads a file; "-" is standard input. Throws std::system_error.
    void read(std::string const& name) {
        if (name == "-") return read(std::cin, name);
        std::ifstream in{name};
        if (!in) throw std::system_error{errno, std::generic_category(), name};
        read(in, name);
    }

    /// The oldest first, as History::merge wants them.
    void sort() {
        pieces.sort([](Piece const& a, Piece const& b) {
            return a.lines.front().time() < b.lines.front().time();
        });
    }
};

}  // namespace dpkg
