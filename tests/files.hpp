// SPDX-License-Identifier: MIT
// All that lies below a directory of the real machine, to see whether anything changed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>

namespace annals::test {

/// By path: what a file holds, and when it or the directory last changed.
using FilesBelow = std::map<std::string, std::pair<std::string, std::int64_t>>;

[[nodiscard]] inline FilesBelow files_below(std::string const& path) {
    FilesBelow files;
    for (auto const& entry : std::filesystem::recursive_directory_iterator{path}) {
        auto& [text, time] = files[entry.path().native()];
        time = entry.last_write_time().time_since_epoch().count();
        if (!entry.is_regular_file()) continue;
        std::ifstream file{entry.path(), std::ios::binary};
        text.assign(std::istreambuf_iterator<char>{file}, {});
    }
    return files;
}

}  // namespace annals::test
