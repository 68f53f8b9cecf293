// SPDX-License-Identifier: MIT
// Files as text, in the form of `hexdump -C`: sixteen bytes a line, a star for lines like the one
// before, and at the end the size.
#pragma once

#include <cstdio>
#include <sstream>
#include <string>
#include <string_view>

namespace annals::test {

inline std::string to_hexdump(std::string_view bytes) {
    std::string text;
    std::string_view previous;
    bool is_repeating = false;
    char buffer[32];
    for (std::size_t place = 0; place < bytes.size(); place += 16) {
        std::string_view const line = bytes.substr(place, 16);
        if (line == previous) {
            if (!is_repeating) text += "*\n";
            is_repeating = true;
            continue;
        }
        previous = line;
        is_repeating = false;
        std::snprintf(buffer, sizeof buffer, "%08zx ", place);
        text += buffer;
        for (std::size_t i = 0; i < 16; ++i) {
            if (i == 8) text += ' ';
            std::snprintf(buffer, sizeof buffer, " %02x",
                          i < line.size() ? static_cast<unsigned char>(line[i]) : 0u);
            text += i < line.size() ? buffer : "   ";
        }
        text += "  |";
        for (char const c : line) text += c >= ' ' && c <= '~' ? c : '.';
        text += "|\n";
    }
    std::snprintf(buffer, sizeof buffer, "%08zx\n", bytes.size());
    return bytes.empty() ? text : text + buffer;
}

inline std::string from_hexdump(std::string const& text) {
    std::string bytes;
    std::string previous;
    bool is_repeating = false;
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        if (line == "*") {
            is_repeating = true;
            continue;
        }
        auto const place = std::stoull(line.substr(0, 8), nullptr, 16);
        while (is_repeating && bytes.size() < place) bytes += previous;
        is_repeating = false;
        if (line.size() == 8) break;
        previous.clear();
        std::istringstream digits{line.substr(8, line.find('|') - 8)};
        for (unsigned byte = 0; digits >> std::hex >> byte;) {
            previous += static_cast<char>(byte);
        }
        bytes += previous;
    }
    return bytes;
}

}  // namespace annals::test
