// SPDX-License-Identifier: MIT
// The segment that is made in advance, and the ordinals that it shares with those that are not.
#include <annals/storage/spare.hpp>

#include <cerrno>
#include <cstdint>
#include <optional>

#include "catch.hpp"
#include "storage/lives.hpp"

using namespace annals;
using namespace annals::test;

namespace {

using MemorySpare = storage::Spare<MemoryPlatform>;

std::uint64_t ordinal_of_spare(MemorySpare& spare) {
    return spare.get(small_segment, Blocks::reserved).ordinal;
}

}  // namespace

TEST_CASE("a spare that is made beside another segment does not get its ordinal") {
    Ground ground;
    MemorySpare spare{ground.files(), std::nullopt, 5};
    auto const taken = spare.take_ordinal();
    CHECK(taken == 5);
    // The other one is made meanwhile, which takes a while.
    spare.make_where_missing([] { return small_segment; }, Blocks::reserved);
    CHECK(ordinal_of_spare(spare) == 6);
    spare.used_ordinal();
    CHECK(spare.lowest_next() == 6);
}

TEST_CASE("an ordinal for another segment takes the place of the spare's, which goes") {
    Ground ground;
    MemorySpare spare{ground.files(), std::nullopt, 1};
    CHECK(ordinal_of_spare(spare) == 1);
    CHECK(ground.names() == "00000001.seg control");
    CHECK(spare.take_ordinal() == 2);
    CHECK(ground.names() == "control");
    spare.used_ordinal();
    CHECK(ordinal_of_spare(spare) == 3);
}

TEST_CASE("who tries again to make another segment gets the same ordinal, until it is used") {
    Ground ground;
    MemorySpare spare{ground.files(), std::nullopt, 1};
    CHECK(spare.take_ordinal() == 1);
    CHECK(spare.take_ordinal() == 1);
    spare.used_ordinal();
    CHECK(spare.take_ordinal() == 2);
}
