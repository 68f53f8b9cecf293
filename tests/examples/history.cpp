// SPDX-License-Identifier: MIT
// The history of package_history: pieces of one log, given in any way, make the one log again.
#include "../../examples/package_history/history.hpp"

#include <annals/types.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../examples/package_history/input.hpp"
#include "catch.hpp"

using dpkg::History;
using dpkg::Line;

namespace {

using Lines = std::vector<Line>;

// A night's work of dpkg as it comes: a second of several lines, equal lines within one second.
Lines some_lines() {
    Lines lines;
    for (int second = 0; second < 12; ++second) {
        std::string const time = "2026-05-09 07:29:" + std::to_string(10 + second) + ' ';
        std::string const package =
            "p" + std::to_string(second / 3) + ":all 1." + std::to_string(second % 3);
        for (auto const* event :
             {"startup archives unpack", "status unpacked ", "configure ", "status unpacked ",
              "status half-configured ", "status installed ", "startup archives unpack",
              "startup packages configure"}) {
            std::string text = time + event;
            if (text.back() == ' ') text += package;
            lines.push_back({.text = std::move(text)});
        }
    }
    return lines;
}

Lines part(Lines const& lines, std::size_t from, std::size_t to) {
    return {lines.begin() + static_cast<std::ptrdiff_t>(from),
            lines.begin() + static_cast<std::ptrdiff_t>(to)};
}

std::vector<std::string> texts(Lines const& lines) {
    std::vector<std::string> out;
    for (auto const& line : lines) out.push_back(line.text);
    return out;
}

/// A history and the records that were appended for it.
struct Kept {
    History history;
    std::vector<std::pair<Line, std::optional<annals::Offset>>> records;

    std::size_t merge(Lines const& lines) {
        std::size_t const before = records.size();
        history.merge(lines, [&](Line const& line, std::optional<annals::Offset> successor) {
            records.emplace_back(line, successor);
            return annals::Offset{records.size() - 1};
        });
        return records.size() - before;
    }

    /// Whether the records, replayed, are these lines in this order.
    [[nodiscard]] bool rebuilds(Lines const& lines) const {
        History again;
        std::uint64_t offset = 0;
        for (auto const& [line, before] : records)
            again.restore(line, annals::Offset{offset++}, before);
        Lines out;
        for (auto const& entry : again.entries()) out.push_back(entry.line);
        return texts(out) == texts(lines);
    }
};

}  // namespace

TEST_CASE("a log cut anywhere, given in order, is whole again and doubles nothing") {
    auto const all = some_lines();
    for (std::size_t cut = 1; cut < all.size(); ++cut) {
        CAPTURE(cut);
        Kept kept;
        CHECK(kept.merge(part(all, 0, cut)) == cut);
        CHECK(kept.merge(part(all, cut, all.size())) == all.size() - cut);
        CHECK(kept.rebuilds(all));
        CHECK(kept.merge(all) == 0);
        CHECK(kept.merge(part(all, cut, all.size())) == 0);
    }
}

TEST_CASE("the older part given later stands before the newer one") {
    auto const all = some_lines();
    for (std::size_t cut = 9; cut < all.size(); ++cut) {
        CAPTURE(cut);
        Kept kept;
        kept.merge(part(all, cut, all.size()));
        kept.merge(part(all, 0, cut));
        CHECK(kept.rebuilds(all));
        CHECK(kept.merge(part(all, 0, cut)) == 0);
    }
}

TEST_CASE("a part from the middle given last finds its place") {
    auto const all = some_lines();
    Kept kept;
    kept.merge(part(all, 0, 30));
    kept.merge(part(all, 61, all.size()));
    kept.merge(part(all, 30, 61));
    CHECK(kept.rebuilds(all));
}

TEST_CASE("parts that overlap add only what is new") {
    auto const all = some_lines();
    Kept kept;
    CHECK(kept.merge(part(all, 0, 50)) == 50);
    CHECK(kept.merge(part(all, 20, 70)) == 20);
    CHECK(kept.merge(part(all, 66, all.size())) == all.size() - 70);
    CHECK(kept.rebuilds(all));
}

TEST_CASE("a selection of known lines adds nothing") {
    auto const all = some_lines();
    Lines selection;
    for (auto const& line : all)
        if (line.event().starts_with("status")) selection.push_back(line);
    Kept kept;
    kept.merge(all);
    CHECK(kept.merge(selection) == 0);
}

TEST_CASE("an appending that is cut off is completed by the next") {
    auto const all = some_lines();
    for (std::size_t cut = 1; cut < all.size(); ++cut) {
        for (std::size_t died = cut; died < all.size(); ++died) {
            Kept kept;
            kept.merge(part(all, 0, cut));
            auto const rest = part(all, cut, all.size());
            kept.merge(part(rest, 0, died - cut));
            kept.merge(rest);
            CAPTURE(cut, died);
            REQUIRE(kept.rebuilds(all));
        }
    }
}

TEST_CASE("lines of dpkg's log are told from others") {
    auto const is_line = [](std::string text) {
        return dpkg::parse_line(std::move(text)).has_value();
    };
    CHECK(is_line("2026-05-09 07:29:02 startup archives unpack"));
    CHECK(is_line("2026-05-09 07:29:02 conffile /etc/x keep"));
    CHECK(is_line("2024-02-29 23:59:59 status installed a:all 1"));
    CHECK_FALSE(is_line(""));
    CHECK_FALSE(is_line("2026-05-09 07:29:02"));
    CHECK_FALSE(is_line("2026-05-09 07:29:02 "));
    CHECK_FALSE(is_line("2026-05-09T07:29:02 startup archives unpack"));
    CHECK_FALSE(is_line("2026-05-09 24:00:00 startup archives unpack"));
    CHECK_FALSE(is_line("2025-02-29 07:29:02 startup archives unpack"));
    CHECK_FALSE(is_line("2026-05-09 07:29:02 status installed a:all"));
    CHECK_FALSE(is_line("2026-05-09 07:29:02 install"));
}

TEST_CASE("the hour that comes twice is told by the line above") {
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);  // as in Berlin
    tzset();
    dpkg::LocalClock clock;
    auto const seconds = [&](std::string_view time) {
        return std::chrono::floor<std::chrono::seconds>(clock.moment(time))
            .time_since_epoch()
            .count();
    };
    CHECK(seconds("2025-10-26 01:59:59") == 1761436799);
    CHECK(seconds("2025-10-26 02:10:30") == 1761437430);  // summer time
    CHECK(seconds("2025-10-26 02:10:40") == 1761437440);
    CHECK(seconds("2025-10-26 02:10:20") == 1761441020);  // an hour later by the same clock
    CHECK(seconds("2025-10-26 02:59:59") == 1761443999);
    CHECK(seconds("2025-10-26 03:00:00") == 1761444000);
    CHECK(seconds("2026-03-29 02:30:00") >
          seconds("2026-03-29 01:59:59"));  // left out, yet written
    CHECK(seconds("2026-07-01 12:00:00") == 1782900000);
    unsetenv("TZ");
    tzset();
}

TEST_CASE("an event names its package where it has one") {
    CHECK(dpkg::package_of("status installed a:all 1") == "a:all");
    CHECK(dpkg::package_of("upgrade a:all 1 2") == "a:all");
    CHECK(dpkg::package_of("trigproc a:all 1 <none>") == "a:all");
    CHECK(dpkg::package_of("startup archives unpack") == std::nullopt);
    CHECK(dpkg::package_of("conffile /etc/x keep") == std::nullopt);
}

TEST_CASE("a stream that goes back behind its beginning is two pieces") {
    auto const all = some_lines();
    std::string text;
    for (auto const& line : part(all, 40, all.size())) text += line.text + '\n';
    for (auto const& line : part(all, 0, 40)) text += line.text + '\n';
    std::istringstream stream{text};
    dpkg::Input input;
    input.read(stream, "stream");
    REQUIRE(input.pieces.size() == 2);
    input.sort();
    CHECK(texts(input.pieces.front().lines) == texts(part(all, 0, 40)));
    CHECK(texts(input.pieces.back().lines) == texts(part(all, 40, all.size())));
}
