// SPDX-License-Identifier: MIT
// One byte of one file of a closed log is not what it was.
#include <algorithm>
#include <string>
#include <vector>

#include "catch.hpp"
#include "damage/judge.hpp"
#include "effort.hpp"

using namespace annals;
using namespace annals::test;

namespace {

/// The places of all frames, the seal included.
std::vector<std::uint64_t> frames_of(std::string const& segment) {
    std::vector<std::uint64_t> places;
    for (std::uint64_t place = format::first_frame_place;
         place <= format::claimable_end(segment.size());) {
        auto const* const bytes = reinterpret_cast<std::byte const*>(segment.data());
        format::FrameWord const word{annals::detail::load<std::uint64_t>(bytes + place)};
        auto const frame = format::frame_at(as_bytes(segment), place, word);
        if (!frame) break;
        places.push_back(place);
        place = frame.end;
    }
    return places;
}

/// Where a byte of a segment matters most: the records of the first page, and frames' headers.
std::vector<bool> important_bytes(std::string const& segment) {
    std::vector<bool> is_important(segment.size());
    auto const mark = [&](std::uint64_t place, std::uint64_t count) {
        for (std::uint64_t i = place; i < place + count; ++i) is_important[i] = true;
    };
    mark(0, sizeof(format::SegmentHeader));
    mark(format::activation_place, sizeof(format::Activation));
    mark(format::completion_place, sizeof(format::Completion));
    mark(format::wait_word_place, sizeof(std::uint32_t));
    auto places = frames_of(segment);
    if (effort() == 1) places.resize(std::min<std::size_t>(places.size(), 8));
    for (std::uint64_t const place : places) mark(place, format::frame_header_bytes);
    return is_important;
}

std::vector<bool> important_bytes_of_control(std::string const& control) {
    std::vector<bool> is_important(control.size());
    for (std::uint64_t sector = 0; sector < control.size(); sector += format::sector_bytes) {
        auto const record = control.substr(sector, 64);
        if (record.find_first_not_of('\0') == std::string::npos && sector % 4'096 != 0) continue;
        for (std::uint64_t i = sector; i < sector + 64; ++i) is_important[i] = true;
    }
    return is_important;
}

/// Every `stride`-th byte, and all that are important.
std::vector<std::uint64_t> places_in(std::string const& path, std::string const& bytes,
                                     std::uint64_t stride) {
    std::vector<bool> is_chosen(bytes.size(), bytes.size() < 4'096);
    bool const is_like_another = path.starts_with("topics/t/1/");
    if (path.ends_with(".seg") && !is_like_another) is_chosen = important_bytes(bytes);
    if (path.ends_with("control") && !is_like_another) {
        is_chosen = important_bytes_of_control(bytes);
    }
    for (std::uint64_t i = stride / 2; i < bytes.size(); i += stride) is_chosen[i] = true;
    std::vector<std::uint64_t> places;
    for (std::uint64_t i = 0; i < bytes.size(); ++i) {
        if (is_chosen[i]) places.push_back(i);
    }
    return places;
}

/// Changes one byte after another, of those that are important one in `sparing`, to one of four
/// values; in a campaign all of them, to each.
void change_bytes(Left const& left, unsigned sparing, Tally& tally) {
    std::uint64_t const stride = std::max<std::uint64_t>(1, 997 * sparing / effort());
    for (auto const& [path, bytes] : files_of(left.machine)) {
        for (std::uint64_t const place : places_in(path, bytes, stride)) {
            for (unsigned kind = 0; kind < 4; ++kind) {
                char const was = bytes[place];
                char const value = std::array{static_cast<char>(was ^ 1),
                                              static_cast<char>(was ^ 0x80), '\0', '\xFF'}[kind];
                bool const is_chosen = place % (4 * sparing) == kind || effort() > 1;
                if (value == was || !is_chosen) continue;
                Damaging const damaging{
                    path, "byte " + std::to_string(place) + " as " + std::to_string(value),
                    [&, file = path](auto& machine) {
                        patch(machine, file, place, {&value, 1});
                    }};
                Truth truth = left.truth;
                if (!left.is_closed) allow_for(truth, path);
                judge_damaged(left.machine, truth, damaging, tally);
            }
        }
    }
}

}  // namespace

TEST_CASE("whatever state a frame seems to have, nobody reads wrong data") {
    SmallLog log;
    log.close();
    Tally tally;
    for (std::string const file : {"topics/t/0/00000001.seg", "topics/t/0/00000003.seg"}) {
        for (std::uint64_t const place : frames_of(files_of(log.machine()).at(file))) {
            for (unsigned state = 0; state < 16; ++state) {
                char const value = static_cast<char>(state << 4);
                judge_damaged(
                    log.machine(), log.truth(),
                    {file, "state " + std::to_string(state) + " at " + std::to_string(place),
                     [&](auto& machine) {
                         patch(machine, file, place + 3, {&value, 1});
                     }},
                    tally);
            }
        }
    }
    CHECK(tally.told > 0);
}

TEST_CASE("whatever byte of a closed log is changed, nobody reads wrong data") {
    Tally tally;
    change_bytes(closed(), 1, tally);
    CHECK(tally.whole > 0);
    CHECK(tally.refused > 0);
    CHECK(tally.told > 0);
    note_figure("one byte of a closed log changed", tally.text());
}

TEST_CASE("whatever byte is changed once the writer has died, nobody reads wrong data") {
    Tally tally;
    change_bytes(died(), 5, tally);
    CHECK(tally.whole > 0);
    CHECK(tally.refused > 0);
    CHECK(tally.told > 0);
    note_figure("one byte of a log whose writer died changed", tally.text());
}
