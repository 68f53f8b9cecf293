// SPDX-License-Identifier: MIT
// What lies behind the end at which a log was closed: nothing, unless it was damaged or its control
// file is one from before.
#include <string>

#include "catch.hpp"
#include "damage/judge.hpp"

using namespace annals;
using namespace annals::test;

namespace {

std::string const active_path = "topics/t/0/00000003.seg";

/// Where the log was closed, in its active segment.
std::uint64_t clean_end(MemoryPlatform const& machine) {
    auto const bytes = files_of(machine).at(control_path);
    return format::decode_control(as_bytes(bytes), control_path)->clean->end;
}

}  // namespace

TEST_CASE("garbage behind the clean end that looks like a frame is no part of the log") {
    SmallLog log;
    log.close();
    std::uint64_t const end = clean_end(log.machine());
    Tally tally;
    for (unsigned state = 0; state < 16; ++state) {
        for (std::uint64_t const length : {0u, 24u, 32u, 200u, 50'000u}) {
            format::FrameHeader header;
            header.word =
                format::FrameWord{static_cast<format::FrameState>(state), length, 77}.raw();
            header.number = 1;
            header.detail = 1'000'000'000;
            std::string const frame{as_text(format::bytes_of(header))};
            judge_damaged(log.machine(), log.truth(),
                          {active_path,
                           "state " + std::to_string(state) + ", length " + std::to_string(length),
                           [&](auto& machine) { patch(machine, active_path, end, frame); }},
                          tally);
        }
    }
    CHECK(tally.whole == tally.variants);
}

TEST_CASE("with a control file from before, what was sent since is there all the same") {
    SmallLog log;
    log.close();
    auto const before = files_of(log.machine()).at(control_path);
    log.open();
    for (int kind = 0; kind < 6; ++kind) log.append_some(0, kind);
    log.close();
    Tally tally;
    judge_damaged(log.machine(), log.truth(),
                  {control_path, "from before",
                   [&](auto& machine) { patch(machine, control_path, 0, before); }},
                  tally);
    CHECK(tally.whole == 1);

    MemoryPlatform const machine = log.machine().after_process_death();
    patch(machine, control_path, 0, before);
    MemoryLog opened{small_log_path, small_log_options, machine};
    REQUIRE(opened.recovery().partitions.size() == 1);
    auto const& found = opened.recovery().partitions[0];
    CHECK(found.ending == Ending::power_loss);
    CHECK(found.end == Offset{log.truth().records[0].size()});
    REQUIRE(found.notes.size() == 1);
    CHECK(contains(found.notes[0], "behind the end"));
}
