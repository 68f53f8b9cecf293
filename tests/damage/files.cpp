// SPDX-License-Identifier: MIT
// Files of a closed log are missing, empty, cut, longer, garbage, or another's.
#include <algorithm>
#include <string>
#include <vector>

#include "catch.hpp"
#include "damage/judge.hpp"
#include "effort.hpp"

using namespace annals;
using namespace annals::test;

namespace {

class Files {
public:
    Files() { log_.close(); }

    [[nodiscard]] std::map<std::string, std::string> all() const {
        return files_of(log_.machine());
    }
    [[nodiscard]] Tally const& tally() const noexcept { return tally_; }

    void put(std::string const& path, std::optional<std::string> const& bytes,
             std::string const& what) {
        Truth truth = log_.truth();
        // Nobody can tell a group that never committed from one whose file is gone.
        if (path.starts_with("groups/") && !bytes) truth.is_group_certain = false;
        Damaging const damaging{path, what, [&](auto& machine) { replace(machine, path, bytes); }};
        judge_damaged(log_.machine(), truth, damaging, tally_);
    }

private:
    SmallLog log_;
    Tally tally_;
};

}  // namespace

TEST_CASE("whatever file of a closed log is gone or another, nobody reads wrong data") {
    Files log;
    auto const files = log.all();
    for (auto const& [path, bytes] : files) {
        if (path != "lock") log.put(path, std::nullopt, "missing");
        log.put(path, "", "empty");
        for (std::size_t const size : {std::size_t{1}, bytes.size(), std::size_t{100'000}}) {
            log.put(path, std::string(size, '\0'), "zeros");
            log.put(path, std::string(size, 'x'), "text");
        }
        for (auto const& [other_path, other_bytes] : files) {
            if (other_bytes != bytes) log.put(path, other_bytes, "in its place " + other_path);
        }
    }
    note_figure("one file of a closed log missing or another", log.tally().text());
}

TEST_CASE("wherever a file of a closed log is cut, nobody reads wrong data") {
    Files log;
    for (auto const& [path, bytes] : log.all()) {
        std::size_t const step = bytes.size() < 4'096 ? 1 : std::max(1U, 1'021 / effort());
        for (std::size_t size = 0; size < bytes.size(); size += step) {
            log.put(path, bytes.substr(0, size), "cut to " + std::to_string(size));
        }
        for (std::size_t size = 4'096; size < bytes.size(); size += 4'096) {
            log.put(path, bytes.substr(0, size), "cut to " + std::to_string(size));
        }
        if (!bytes.empty()) log.put(path, bytes.substr(0, bytes.size() - 1), "cut by a byte");
    }
    note_figure("one file of a closed log cut", log.tally().text());
}

TEST_CASE("whatever is behind the end of a file of a closed log, nobody reads wrong data") {
    Files log;
    for (auto const& [path, bytes] : log.all()) {
        for (std::size_t const more : {1u, 8u, 16u, 4'096u, 65'536u}) {
            log.put(path, bytes + std::string(more, '\0'), "longer by zeros");
            log.put(path, bytes + std::string(more, 'x'), "longer by text");
        }
        log.put(path, bytes + bytes, "twice");
    }
    note_figure("one file of a closed log longer", log.tally().text());
}
