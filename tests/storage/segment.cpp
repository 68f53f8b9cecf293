// SPDX-License-Identifier: MIT
// One segment in memory: claims step by step, what is published, and how it ends.
#include <annals/storage/segment.hpp>

#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "storage/drawn_segment.hpp"
#include "storage/lives.hpp"

using namespace annals;
using namespace annals::test;
using format::Extent;
using storage::SegmentInfo;

namespace {

using Segment = storage::Segment<MemoryPlatform>;

constexpr std::uint64_t end_of_claims = small_segment - 24;
constexpr std::uint64_t room = end_of_claims - format::first_frame_place;

/// A new segment file on a machine of its own, mapped for writing.
struct Writing {
    Site<MemoryPlatform> site{};
    SegmentInfo info =
        site.files()->create_active({.ordinal = 1, .capacity = small_segment, .epoch = 1},
                                    Blocks::reserved, [](auto&, auto&) {});
    Segment segment{site.files(), info};

    Writing() {
        auto file = site.files()->open_segment(1, Access::write);
        auto mapping = file.map(Access::write);
        segment.start_writing(std::move(file), std::move(mapping), {});
    }

    /// Lets the segment hold what was drawn.
    void show(DrawnSegment& drawn) const {
        auto const first = static_cast<std::ptrdiff_t>(format::first_frame_place);
        std::copy(drawn.bytes().begin() + first, drawn.bytes().end(), segment.bytes() + first);
    }
};

}  // namespace

// ---- claims

TEST_CASE("each claim begins where the one before it ends, with the next number") {
    Writing w;
    CHECK(w.segment.claim(1, 24) == Extent{0, 4'096});
    CHECK(w.segment.claim(3, 80) == Extent{1, 4'120});
    CHECK(w.segment.claim(1, 32) == Extent{4, 4'200});
    CHECK(w.segment.claimed(w.site.platform()) == Extent{5, 4'232});
    CHECK_FALSE(w.segment.is_crossed());
}

TEST_CASE(
    "a claim that ends at the claimable end fits, and the next one crosses and parks the end") {
    Writing w;
    CHECK(w.segment.claim(2, room));
    CHECK_FALSE(w.segment.is_crossed());
    CHECK(w.segment.claimed(w.site.platform()) == Extent{2, end_of_claims});
    CHECK_FALSE(w.segment.claim(1, 24));
    CHECK(w.segment.is_crossed());
    CHECK(w.segment.parked(w.site.platform()) == Extent{2, end_of_claims});
    CHECK(w.segment.bytes_needed() == 24);
}

TEST_CASE("a claim that does not fit parks the end where it would have begun, whatever was left") {
    std::uint64_t const left = GENERATE(8u, 16u, 24u, 32u, 4'096u);
    Writing w;
    CHECK(w.segment.claim(5, room - left));
    CHECK_FALSE(w.segment.claim(2, left + 8));
    CHECK(w.segment.parked(w.site.platform()) == Extent{5, end_of_claims - left});
    CHECK(w.segment.bytes_needed() == left + 8);
    CHECK(w.segment.claimed(w.site.platform()) == Extent{5, end_of_claims - left});
}

TEST_CASE("once the end is parked no claim succeeds and the end stays, however many try") {
    Writing w;
    CHECK(w.segment.claim(5, room - 64));
    CHECK_FALSE(w.segment.claim(1, 72));
    for (int i = 0; i < 1'000; ++i) CHECK_FALSE(w.segment.claim(1, 24));
    CHECK(w.segment.parked(w.site.platform()) == Extent{5, end_of_claims - 64});
    CHECK(w.segment.bytes_needed() == 72);
}

TEST_CASE("a segment can be ended where its claims end, once") {
    Writing w;
    CHECK(w.segment.claim(3, 400));
    w.segment.cross();
    CHECK(w.segment.is_crossed());
    CHECK(w.segment.parked(w.site.platform()) == Extent{3, 4'496});
    CHECK(w.segment.bytes_needed() == 0);
    CHECK_FALSE(w.segment.claim(1, 24));
    w.segment.cross();
    CHECK(w.segment.parked(w.site.platform()) == Extent{3, 4'496});
}

TEST_CASE("an empty segment can be ended, and so can a full one") {
    Writing empty;
    empty.segment.cross();
    CHECK(empty.segment.parked(empty.site.platform()) == Extent{});
    Writing full;
    CHECK(full.segment.claim(1, room));
    full.segment.cross();
    CHECK(full.segment.parked(full.site.platform()) == Extent{1, end_of_claims});
}

TEST_CASE("threads that claim at once get stretches side by side and one end") {
    for (int round = 0; round < 50; ++round) {
        Writing w;
        std::vector<std::vector<std::pair<Extent, std::uint64_t>>> taken(4);
        {
            std::vector<std::jthread> threads;
            for (unsigned t = 0; t < 4; ++t) {
                threads.emplace_back([&, t] {
                    std::uint64_t const bytes = 24 + 8 * t;
                    while (auto const at = w.segment.claim(t + 1, bytes)) {
                        taken[t].emplace_back(*at, bytes);
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
        Extent const parked = w.segment.parked(w.site.platform());
        CHECK(begins.begin()->first == format::first_frame_place);
        CHECK(*ends.rbegin() == std::pair{parked.place, parked.count});
        begins.erase(begins.begin());
        ends.erase(std::prev(ends.end()));
        CHECK(begins == ends);  // each begins where another one ends
        CHECK(parked.place + w.segment.bytes_needed() > end_of_claims);
    }
}

// ---- what is published

TEST_CASE("the published prefix ends at the first frame that is not published") {
    Writing w;
    auto drawn = DrawnSegment{}.record().voided(2).batch(3);
    Extent const end = drawn.at();
    SECTION("nothing there") {}
    SECTION("claimed") { drawn.claimed(1, 64).record(); }
    SECTION("never touched") { drawn.untouched(1, 64).record(); }
    w.show(drawn);
    CHECK(w.segment.published() == Extent{});
    CHECK(w.segment.advance_published() == end);
    CHECK(w.segment.published() == end);
    CHECK_FALSE(w.segment.is_finished());
}

TEST_CASE("the published prefix goes on when what was open is published") {
    Writing w;
    auto drawn = DrawnSegment{}.record().claimed(1, 64).record();
    w.show(drawn);
    CHECK(w.segment.advance_published().count == 1);
    storage::store_void<MemoryPlatform>(w.segment.bytes(), DrawnSegment::salt, {4'128, 64, 1, 1});
    CHECK(w.segment.advance_published() == drawn.at());
}

TEST_CASE("a seal finishes the segment and tells the lowest ordinal that goes on") {
    Writing w;
    auto drawn = DrawnSegment{}.record().record();
    Extent const end = drawn.at();
    drawn.seal(7);
    w.show(drawn);
    CHECK(w.segment.advance_published() == end);
    CHECK(w.segment.is_finished());
    CHECK(w.segment.successor() == 7);
    CHECK(w.segment.advance_published() == end);
}

TEST_CASE("what is known to be published is never taken back") {
    Writing w;
    w.segment.raise_published({5, 5'000});
    w.segment.raise_published({3, 4'500});
    CHECK(w.segment.published() == Extent{5, 5'000});
    w.segment.set_finished({6, 6'000}, 9);
    CHECK(w.segment.published() == Extent{6, 6'000});
    CHECK(w.segment.is_finished());
    CHECK(w.segment.successor() == 9);
}

TEST_CASE("from a limit on the records are another segment's") {
    Writing w;
    auto drawn = DrawnSegment{}.record().record();
    Extent const limit = drawn.at();
    drawn.record().seal(7);
    w.show(drawn);
    CHECK(w.segment.limit() == Segment::no_limit);
    w.segment.set_limit(2);
    CHECK(w.segment.advance_published() == limit);
    CHECK(w.segment.is_finished());
    CHECK(w.segment.successor() == 2);
}

TEST_CASE("a gap that recovery found and did not write is read as a void") {
    Writing w;
    auto drawn = DrawnSegment{}.record().claimed(2, 64).untouched(1, 40).record();
    w.show(drawn);
    w.segment.set_gaps({{4'128, 64, 1, 2}, {4'192, 40, 3, 1}});
    auto const pin = w.segment.pin();
    auto const first = w.segment.frame_at(pin, 4'128);
    REQUIRE(first);
    CHECK(first->word.state() == format::FrameState::voided);
    CHECK(first->records == 2);
    CHECK(first->end == 4'192);
    CHECK(first->is_assumed);
    CHECK(w.segment.advance_published() == drawn.at());
    CHECK_FALSE(w.segment.frame_at(pin, drawn.at().place));
}

TEST_CASE("beyond the last place where a frame can begin there is none") {
    Writing w;
    auto drawn = DrawnSegment{}.record(std::string(room - 24, 'x')).seal();
    w.show(drawn);
    auto const pin = w.segment.pin();
    CHECK(w.segment.frame_at(pin, 4'096));
    CHECK(w.segment.frame_at(pin, end_of_claims));
    CHECK_FALSE(w.segment.frame_at(pin, end_of_claims + 8));
    CHECK_FALSE(w.segment.frame_at(pin, small_segment));
    CHECK(w.segment.advance_published() == Extent{1, end_of_claims});
    CHECK(w.segment.is_finished());
}

// ---- mappings

TEST_CASE("a pin keeps the segment mapped, one mapping for all, also when writing ends") {
    Writing w;
    auto drawn = DrawnSegment{}.record("text");
    w.show(drawn);
    auto const first = w.segment.pin();
    CHECK(w.segment.pin() == first);
    CHECK(w.segment.is_writing());
    w.segment.stop_writing();
    CHECK_FALSE(w.segment.is_writing());
    CHECK(w.segment.pin() == first);
    CHECK(w.segment.frame_at(first, 4'096));
}

TEST_CASE("a segment that is not mapped is mapped when somebody reads, and let go of afterwards") {
    Writing w;
    Segment reader{w.site.files(), w.info};
    auto drawn = DrawnSegment{}.record("text");
    w.show(drawn);
    std::weak_ptr<Segment::Mapping const> seen;
    {
        auto const pin = reader.pin();
        seen = pin;
        CHECK(reader.frame_at(pin, 4'096));
    }
    CHECK(seen.expired());
    CHECK(reader.advance_published().count == 1);
}

TEST_CASE("a segment under whose name another file lies is not read") {
    Writing w;
    Segment reader{w.site.files(), w.info};
    w.site.remove("00000001.seg");
    CHECK(code_of([&] { (void)reader.pin(); }) == Errc::not_found);
    (void)w.site.files()->create_spare(1, small_segment, Blocks::reserved);
    CHECK(code_of([&] { (void)reader.pin(); }) == Errc::corrupt);
}
