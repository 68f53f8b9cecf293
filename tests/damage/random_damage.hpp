// SPDX-License-Identifier: MIT
// Damage of every kind, drawn by a seed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>

#include "damage/small_log.hpp"

namespace annals::test {

/// Damages a machine's log, one file at a time, and tells what it did.
class RandomDamage {
public:
    explicit RandomDamage(std::uint64_t seed) : random_{seed} {}

    [[nodiscard]] std::uint64_t below(std::uint64_t limit) {
        return limit == 0 ? 0 : random_() % limit;
    }

    /// The file that was damaged. `what()` tells how.
    std::string damage(MemoryPlatform const& machine) {
        auto const files = files_of(machine);
        if (files.empty()) return {};
        auto const file =
            std::next(files.begin(), static_cast<std::ptrdiff_t>(below(files.size())));
        auto const& [path, bytes] = *file;
        if (std::string changed = bytes; !bytes.empty() && change_in_place(changed, files)) {
            patch(machine, path, 0, changed);
        } else {
            replace(machine, path, another_file(bytes));
        }
        what_ += path + " " + done_ + "; ";
        return path;
    }

    /// All that was done so far.
    [[nodiscard]] std::string const& what() const noexcept { return what_; }

private:
    using Files = std::map<std::string, std::string>;

    [[nodiscard]] char random_byte() { return static_cast<char>(below(256)); }

    /// A byte where there is something rather than zeros, if there is.
    [[nodiscard]] std::size_t place_of_interest(std::string const& bytes) {
        std::size_t place = below(bytes.size());
        if (below(4) == 0) return place;
        while (place != 0 && bytes[place] == '\0') --place;
        return place;
    }

    /// False: it shall be another file instead.
    bool change_in_place(std::string& bytes, Files const& files) {
        std::size_t const size = bytes.size();
        std::size_t const place = place_of_interest(bytes);
        std::size_t const page = place / format::page_bytes * format::page_bytes;
        std::size_t const in_page = std::min<std::size_t>(format::page_bytes, size - page);
        auto const tell = [&](std::string const& done) {
            done_ = done + " at " + std::to_string(place);
            return true;
        };
        switch (below(9)) {
            case 0:
                bytes[place] = static_cast<char>(bytes[place] ^ (1 << below(8)));
                return tell("bit");
            case 1: bytes[place] = random_byte(); return tell("byte");
            case 2: {
                std::size_t const count = std::min<std::size_t>(1 + below(64), size - place);
                for (std::size_t i = 0; i < count; ++i) bytes[place + i] = random_byte();
                return tell("random bytes");
            }
            case 3: {
                std::size_t const sector = place / format::sector_bytes * format::sector_bytes;
                std::size_t const count =
                    std::min<std::size_t>(format::sector_bytes, size - sector);
                bytes.replace(sector, count, count, '\0');
                return tell("zeroed sector");
            }
            case 4: bytes.replace(page, in_page, in_page, '\0'); return tell("zeroed page");
            case 5: return copy_page(bytes, page, bytes) && tell("page of its own");
            case 6: {
                auto const other =
                    std::next(files.begin(), static_cast<std::ptrdiff_t>(below(files.size())));
                return copy_page(bytes, page, other->second) && tell("page of " + other->first);
            }
            case 7: {
                std::size_t const count = std::min<std::size_t>(8, size - place);
                std::rotate(bytes.begin() + static_cast<std::ptrdiff_t>(place),
                            bytes.begin() + static_cast<std::ptrdiff_t>(place + count / 2),
                            bytes.begin() + static_cast<std::ptrdiff_t>(place + count));
                return tell("rotated bytes");
            }
            default: return false;
        }
    }

    bool copy_page(std::string& bytes, std::size_t page, std::string from) {
        if (from.empty()) return false;
        std::size_t const source = below(from.size()) / format::page_bytes * format::page_bytes;
        from = from.substr(source, format::page_bytes);
        from.resize(std::min(from.size(), bytes.size() - page));
        bytes.replace(page, from.size(), from);
        return true;
    }

    [[nodiscard]] std::optional<std::string> another_file(std::string const& bytes) {
        switch (below(5)) {
            case 0: done_ = "missing"; return std::nullopt;
            case 1: done_ = "empty"; return std::string{};
            case 2: done_ = "cut"; return bytes.substr(0, below(bytes.size()));
            case 3: done_ = "longer"; return bytes + std::string(1 + below(9'000), random_byte());
            default: done_ = "garbage"; return std::string(1 + below(70'000), random_byte());
        }
    }

    std::mt19937_64 random_;
    std::string what_;
    std::string done_;
};

}  // namespace annals::test
