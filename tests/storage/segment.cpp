// SPDX-License-Identifier: MIT
// One segment in memory: what is published, how it ends, and its mappings.
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

using MemorySegment = storage::Segment<MemoryPlatform>;

/// A new segment file on a machine of its own, mapped for writing.
struct Writing {
    Site<MemoryPlatform> site{};
    SegmentInfo info = make(site);
    MemorySegment segment{site.files(), info};

    Writing() { segment.start_writing({}); }

    /// With the salt that the checks of what is drawn are seeded with.
    static SegmentInfo make(Site<MemoryPlatform> const& site) {
        SegmentInfo info =
            site.files()->create_active({.ordinal = 1, .capacity = small_segment, .epoch = 1},
                                        Blocks::reserved, [](auto&, auto&) {});
        info.salt = DrawnSegment::salt;
        auto const bytes = site.dump().at("00000001.seg");
        auto header = annals::detail::load<format::SegmentHeader>(as_bytes(bytes).data());
        header.salt = info.salt;
        site.patch("00000001.seg", 0, format::bytes_of(format::checked(header)));
        return info;
    }

    /// Lets the segment hold what was drawn.
    void show(DrawnSegment& drawn) const {
        auto const first = static_cast<std::ptrdiff_t>(format::first_frame_place);
        std::copy(drawn.bytes().begin() + first, drawn.bytes().end(), segment.bytes() + first);
    }
};

}  // namespace

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
    CHECK(w.segment.limit() == MemorySegment::no_limit);
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
    Bytes const bytes = w.segment.bytes_of(pin);
    auto const first = w.segment.frame_at(bytes, 4'128);
    REQUIRE(first);
    CHECK(first.word.state() == format::FrameState::voided);
    CHECK(first.records == 2);
    CHECK(first.end == 4'192);
    CHECK(first.is_assumed);
    CHECK(w.segment.advance_published() == drawn.at());
    CHECK_FALSE(w.segment.frame_at(bytes, drawn.at().place));
}

TEST_CASE("beyond the last place where a frame can begin there is none") {
    Writing w;
    auto drawn = DrawnSegment{}.record(std::string(small_segment_room - 24, 'x')).seal();
    w.show(drawn);
    auto const pin = w.segment.pin();
    Bytes const bytes = w.segment.bytes_of(pin);
    CHECK(w.segment.frame_at(bytes, 4'096));
    CHECK(w.segment.frame_at(bytes, small_segment_end));
    CHECK_FALSE(w.segment.frame_at(bytes, small_segment_end + 8));
    CHECK_FALSE(w.segment.frame_at(bytes, small_segment));
    CHECK(w.segment.advance_published() == Extent{1, small_segment_end});
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
    CHECK(w.segment.frame_at(w.segment.bytes_of(first), 4'096));
}

TEST_CASE("a segment is mapped when somebody reads, and stays so until others were mapped since") {
    Writing w;
    MemorySegment reader{w.site.files(), w.info};
    auto drawn = DrawnSegment{}.record("text");
    w.show(drawn);
    std::weak_ptr<MemorySegment::Mapping const> seen;
    {
        auto const pin = reader.pin();
        seen = pin;
        CHECK(reader.frame_at(reader.bytes_of(pin), 4'096));
    }
    CHECK_FALSE(seen.expired());
    reader.keep_no_mapping();
    CHECK(seen.expired());
    CHECK(reader.advance_published().count == 1);
}

TEST_CASE("a segment under whose name another file lies is not read") {
    Writing w;
    MemorySegment reader{w.site.files(), w.info};
    w.site.remove("00000001.seg");
    CHECK(code_of([&] { (void)reader.pin(); }) == Errc::not_found);
    (void)w.site.files()->create_spare(1, small_segment, Blocks::reserved);
    CHECK(code_of([&] { (void)reader.pin(); }) == Errc::corrupt);
}
