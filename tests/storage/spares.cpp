// SPDX-License-Identifier: MIT
// The segments that are made in advance, and the ordinals that they share with those that are not.
#include <annals/storage/spares.hpp>

#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <vector>

#include "catch.hpp"
#include "storage/lives.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

using MemorySpares = storage::Spares<MemoryPlatform>;

void make_one(MemorySpares& spares) {
    spares.make_where_due([](std::uint64_t) { return small_segment; }, Blocks::reserved);
}

std::uint64_t ordinal_of_spare(MemorySpares& spares) {
    return spares.get(small_segment, Blocks::reserved).ordinal;
}

}  // namespace

TEST_CASE("a spare that is made beside another segment does not get its ordinal") {
    Ground ground;
    MemorySpares spares{ground.files(), std::nullopt, 5};
    auto const taken = spares.take_ordinal();
    CHECK(taken == 5);
    // The other one is made meanwhile, which takes a while.
    make_one(spares);
    CHECK(ordinal_of_spare(spares) == 6);
    spares.used_ordinal();
    CHECK(spares.lowest_next() == 6);
}

TEST_CASE("an ordinal for another segment takes the place of the spare's, which goes") {
    Ground ground;
    MemorySpares spares{ground.files(), std::nullopt, 1};
    CHECK(ordinal_of_spare(spares) == 1);
    CHECK(ground.names() == "00000001.seg control");
    CHECK(spares.take_ordinal() == 2);
    CHECK(ground.names() == "control");
    spares.used_ordinal();
    CHECK(ordinal_of_spare(spares) == 3);
}

TEST_CASE("who tries again to make another segment gets the same ordinal, until it is used") {
    Ground ground;
    MemorySpares spares{ground.files(), std::nullopt, 1};
    CHECK(spares.take_ordinal() == 1);
    CHECK(spares.take_ordinal() == 1);
    spares.used_ordinal();
    CHECK(spares.take_ordinal() == 2);
}

TEST_CASE("how large a spare must be is asked, behind which other, until there are two") {
    Ground ground;
    MemorySpares spares{ground.files(), std::nullopt, 1};
    std::vector<std::uint64_t> last;
    std::uint64_t wanted = 0;
    auto const ask = [&](std::uint64_t capacity) { return last.push_back(capacity), wanted; };
    spares.make_where_due(ask, Blocks::reserved);
    CHECK(ground.names() == "control");
    wanted = small_segment;
    for (int n = 0; n < 3; ++n) spares.make_where_due(ask, Blocks::reserved);
    CHECK(last == std::vector<std::uint64_t>{0, 0, small_segment});
    CHECK(ground.names() == "00000001.seg 00000002.seg control");
}

TEST_CASE("spares are used in the order of their ordinals, and give way to a larger one together") {
    Ground ground;
    MemorySpares spares{ground.files(), std::nullopt, 1};
    for (int n = 0; n < 2; ++n) make_one(spares);
    CHECK(spares.lowest_next() == 1);
    CHECK(ordinal_of_spare(spares) == 1);
    spares.used();
    CHECK(spares.lowest_next() == 2);
    make_one(spares);
    CHECK(spares.get(2 * small_segment, Blocks::reserved).ordinal == 4);
    CHECK(ground.names() == "00000001.seg 00000004.seg control");
}

TEST_CASE("who gets a spare does not wait for the one that is made behind it") {
    Ground ground;
    MemorySpares spares{ground.files(), std::nullopt, 1};
    make_one(spares);
    std::future<void> sender;
    bool has_come = false;
    auto const while_it_is_made = [&](std::uint64_t) {
        sender = std::async(std::launch::async, [&] {
            (void)ordinal_of_spare(spares);
            spares.used();
        });
        has_come = sender.wait_for(10s) == std::future_status::ready;
        return small_segment;
    };
    spares.make_where_due(while_it_is_made, Blocks::reserved);
    sender.get();
    CHECK(has_come);
    CHECK(ordinal_of_spare(spares) == 2);
}

TEST_CASE("of the spares one is kept when no more are needed") {
    Ground ground;
    MemorySpares spares{ground.files(), std::nullopt, 1};
    spares.keep_one();
    for (int n = 0; n < 2; ++n) make_one(spares);
    spares.keep_one();
    CHECK(ground.names() == "00000001.seg control");
    CHECK(ordinal_of_spare(spares) == 1);
    make_one(spares);
    CHECK(ground.names() == "00000001.seg 00000003.seg control");
}
