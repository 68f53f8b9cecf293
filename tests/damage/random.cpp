// SPDX-License-Identifier: MIT
// Several kinds of damage at once, drawn by many seeds, to logs that were closed and to logs whose
// writer died.
#include <string>

#include "catch.hpp"
#include "damage/judge.hpp"
#include "damage/random_damage.hpp"
#include "effort.hpp"

using namespace annals;
using namespace annals::test;

namespace {

void campaign(Left const& left, std::uint64_t seed, std::uint64_t most, Tally& tally) {
    RandomDamage random{seed};
    Truth truth = left.truth;
    Damaging const damaging{"", "seed " + std::to_string(seed), [&](MemoryPlatform const& machine) {
                                for (auto count = 1 + random.below(most); count != 0; --count) {
                                    allow_for(truth, random.damage(machine));
                                }
                            }};
    MemoryPlatform const copy = left.machine.after_process_death();
    damaging.apply(copy);
    judge_damaged(copy, truth,
                  {"", "seed " + std::to_string(seed) + ": " + random.what(), [](auto&) {}}, tally);
}

}  // namespace

TEST_CASE("whatever is damaged at once in a closed log, nobody reads wrong data") {
    Left const left = closed();
    Tally tally;
    for (std::uint64_t seed = 0; seed < 500 * effort(); ++seed) campaign(left, seed, 8, tally);
    note_figure("1 to 8 kinds of damage at once in a closed log", tally.text());
}

TEST_CASE("whatever is damaged once the writer has died, nobody reads wrong data") {
    Left const left = died();
    Tally tally;
    for (std::uint64_t seed = 0; seed < 400 * effort(); ++seed) {
        campaign(left, seed, seed % 4 == 0 ? 4 : 1, tally);
    }
    note_figure("1 to 4 kinds of damage in a log whose writer died", tally.text());
}

TEST_CASE("whatever is damaged once the power was lost, nobody reads wrong data") {
    Tally tally;
    for (std::uint64_t loss = 0; loss < 5; ++loss) {
        Left const left = lost_power(loss);
        for (std::uint64_t seed = 0; seed < 80 * effort(); ++seed) {
            campaign(left, 1'000'000 * loss + seed, seed % 4 == 0 ? 4 : 1, tally);
        }
    }
    note_figure("1 to 4 kinds of damage in a log after power loss", tally.text());
}
