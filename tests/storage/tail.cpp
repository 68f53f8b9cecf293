// SPDX-License-Identifier: MIT
// Claims: stretches side by side, dense numbers, and the one end of a segment.
#include <annals/platform/memory.hpp>
#include <annals/storage/tail.hpp>

#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "storage/lives.hpp"

using namespace annals;
using namespace annals::test;
using format::Extent;

namespace {

MemoryPlatform const some_machine;

/// The tail of an empty segment, of which the file is never looked at.
struct Fresh {
    storage::Segment<MemoryPlatform> segment{nullptr, {.ordinal = 1, .capacity = small_segment}};
    storage::Tail<MemoryPlatform> tail{segment, {}};
};

}  // namespace

TEST_CASE("each claim begins where the one before it ends, with the next number") {
    Fresh w;
    CHECK(w.tail.claim(1, 24).at == Extent{0, 4'096});
    CHECK(w.tail.claim(3, 80).at == Extent{1, 4'120});
    CHECK(w.tail.claim(1, 32).at == Extent{4, 4'200});
    CHECK(w.tail.claimed(some_machine) == Extent{5, 4'232});
    CHECK_FALSE(w.tail.is_crossed());
}

TEST_CASE(
    "a claim that ends at the claimable end fits, and the next one crosses and parks the end") {
    Fresh w;
    CHECK(w.tail.claim(2, small_segment_room));
    CHECK_FALSE(w.tail.is_crossed());
    CHECK(w.tail.claimed(some_machine) == Extent{2, small_segment_end});
    CHECK_FALSE(w.tail.claim(1, 24));
    CHECK(w.tail.is_crossed());
    CHECK(w.tail.parked(some_machine) == Extent{2, small_segment_end});
    CHECK(w.tail.bytes_needed() == 24);
}

TEST_CASE("a claim that does not fit parks the end where it would have begun, whatever was left") {
    std::uint64_t const left = GENERATE(8u, 16u, 24u, 32u, 4'096u);
    Fresh w;
    CHECK(w.tail.claim(5, small_segment_room - left));
    CHECK_FALSE(w.tail.claim(2, left + 8));
    CHECK(w.tail.parked(some_machine) == Extent{5, small_segment_end - left});
    CHECK(w.tail.bytes_needed() == left + 8);
    CHECK(w.tail.claimed(some_machine) == Extent{5, small_segment_end - left});
}

TEST_CASE("once the end is parked no claim succeeds and the end stays, however many try") {
    Fresh w;
    CHECK(w.tail.claim(5, small_segment_room - 64));
    CHECK_FALSE(w.tail.claim(1, 72));
    for (int i = 0; i < 1'000; ++i) CHECK_FALSE(w.tail.claim(1, 24));
    CHECK(w.tail.parked(some_machine) == Extent{5, small_segment_end - 64});
    CHECK(w.tail.bytes_needed() == 72);
}

TEST_CASE("a segment can be ended where its claims end, once") {
    Fresh w;
    CHECK(w.tail.claim(3, 400));
    w.tail.cross();
    CHECK(w.tail.is_crossed());
    CHECK(w.tail.parked(some_machine) == Extent{3, 4'496});
    CHECK(w.tail.bytes_needed() == 0);
    CHECK_FALSE(w.tail.claim(1, 24));
    w.tail.cross();
    CHECK(w.tail.parked(some_machine) == Extent{3, 4'496});
}

TEST_CASE("an empty segment can be ended, and so can a full one") {
    Fresh empty;
    empty.tail.cross();
    CHECK(empty.tail.parked(some_machine) == Extent{});
    Fresh full;
    CHECK(full.tail.claim(1, small_segment_room));
    full.tail.cross();
    CHECK(full.tail.parked(some_machine) == Extent{1, small_segment_end});
}

TEST_CASE("threads that claim at once get stretches side by side and one end") {
    for (int round = 0; round < 50; ++round) {
        Fresh w;
        std::vector<std::vector<std::pair<Extent, std::uint64_t>>> taken(4);
        {
            std::vector<std::jthread> threads;
            for (unsigned t = 0; t < 4; ++t) {
                threads.emplace_back([&, t] {
                    std::uint64_t const bytes = 24 + 8 * t;
                    while (auto const claimed = w.tail.claim(t + 1, bytes)) {
                        taken[t].emplace_back(claimed.at, bytes);
                    }
                });
            }
        }
        std::set<std::pair<std::uint64_t, std::uint64_t>> begins;  // place, number
        std::set<std::pair<std::uint64_t, std::uint64_t>> ends;
        for (unsigned t = 0; t < 4; ++t) {
            for (auto const& [at, bytes] : taken[t]) {
                begins.emplace(at.place, at.count);
                ends.emplace(at.place + bytes, at.count + t + 1);
            }
        }
        Extent const parked = w.tail.parked(some_machine);
        CHECK(begins.begin()->first == format::first_frame_place);
        CHECK(*ends.rbegin() == std::pair{parked.place, parked.count});
        begins.erase(begins.begin());
        ends.erase(std::prev(ends.end()));
        CHECK(begins == ends);  // each begins where another one ends
        CHECK(parked.place + w.tail.bytes_needed() > small_segment_end);
    }
}
