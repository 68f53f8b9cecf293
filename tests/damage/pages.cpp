// SPDX-License-Identifier: MIT
// Pages of a closed log's files are lost, or lie where others belong.
#include <string>
#include <vector>

#include "catch.hpp"
#include "damage/judge.hpp"
#include "effort.hpp"

using namespace annals;
using namespace annals::test;

namespace {

/// Puts `page` where page `index` of the file was, and judges.
class Pages {
public:
    Pages() { log_.close(); }

    [[nodiscard]] std::map<std::string, std::string> files() const {
        return files_of(log_.machine());
    }
    [[nodiscard]] Tally const& tally() const noexcept { return tally_; }

    void put(std::string const& path, std::size_t index, std::string const& page,
             std::string const& what) {
        put(path, {{index, page}}, "page " + std::to_string(index) + " " + what);
    }

    void put(std::string const& path, std::map<std::size_t, std::string> const& pages,
             std::string const& what) {
        Damaging const damaging{path, what, [&](MemoryPlatform const& machine) {
                                    for (auto const& [index, page] : pages) {
                                        patch(machine, path, index * format::page_bytes, page);
                                    }
                                }};
        judge_damaged(log_.machine(), log_.truth(), damaging, tally_);
    }

private:
    SmallLog log_;
    Tally tally_;
};

}  // namespace

TEST_CASE("whatever page of a closed log is lost, nobody reads wrong data") {
    Pages log;
    for (auto const& [path, bytes] : log.files()) {
        auto const pages = pages_of(bytes);
        for (std::size_t i = 0; i < pages.size(); ++i) {
            std::size_t const size = pages[i].size();
            log.put(path, i, std::string(size, '\0'), "as zeros");
            log.put(path, i, std::string(size, '\xFF'), "as ones");
            log.put(path, i, std::string(size, 'L'), "as text");
            log.put(path, i, pages[i].substr(0, size / 2) + std::string(size - size / 2, '\0'),
                    "half as zeros");
            for (std::size_t at = 0; at < size; at += format::sector_bytes) {
                std::size_t const sector = std::min<std::size_t>(size - at, format::sector_bytes);
                log.put(path, i, std::string{pages[i]}.replace(at, sector, sector, '\0'),
                        "sector " + std::to_string(at / format::sector_bytes) + " as zeros");
            }
        }
    }
    note_figure("one page of a closed log lost", log.tally().text());
}

TEST_CASE("whatever page of a closed log lies in another's place, nobody reads wrong data") {
    Pages log;
    for (auto const& [path, bytes] : log.files()) {
        auto const pages = pages_of(bytes);
        for (std::size_t i = 0; i + 1 < pages.size(); ++i) {
            log.put(path, i + 1, pages[i], "a double of the one before");
            log.put(path, i, pages[i + 1], "a double of the one behind");
            std::size_t const other = (i * 7 + 5) % pages.size();
            if (pages[i].size() != pages[other].size() || i == other) continue;
            log.put(path, {{i, pages[other]}, {other, pages[i]}},
                    "pages " + std::to_string(i) + " and " + std::to_string(other) + " swapped");
        }
    }
    note_figure("pages of a file of a closed log doubled and swapped", log.tally().text());
}

TEST_CASE("whatever page of a closed log comes from another file, nobody reads wrong data") {
    Pages log;
    auto const files = log.files();
    for (auto const& [path, bytes] : files) {
        for (auto const& [other_path, other_bytes] : files) {
            // Of a segment another segment's page is the one that might pass.
            bool const is_kin = other_bytes.size() == bytes.size();
            if (path == other_path || (!is_kin && effort() == 1)) continue;
            auto const pages = pages_of(bytes);
            auto const others = pages_of(other_bytes);
            for (std::size_t i = 0; i < std::min(pages.size(), others.size()); ++i) {
                if (pages[i] == others[i] || others[i].size() > pages[i].size()) continue;
                log.put(path, i, others[i], "from " + other_path);
            }
        }
    }
    note_figure("one page of a closed log from another file of it", log.tally().text());
}
