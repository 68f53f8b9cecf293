// SPDX-License-Identifier: MIT
// The sparse index of one segment: what it remembers of the frames it is shown.
#include <annals/storage/index.hpp>

#include <string>
#include <vector>

#include "catch.hpp"
#include "storage/drawn_segment.hpp"

using namespace annals;
using namespace annals::test;
using format::before_all_time;
using format::Extent;

namespace {

using Index = storage::SegmentIndex<MemoryPlatform>;

/// Forty records of a KiB each, with timestamps 0, 10, 20, ...
struct Example {
    DrawnSegment drawn{};
    std::vector<Extent> begins{};

    Example() {
        for (std::int64_t i = 0; i < 40; ++i) {
            begins.push_back(drawn.at());
            drawn.record(std::string(1'000, 'x'));
            stamp(static_cast<std::size_t>(i), 10 * i);
        }
    }
    void stamp(std::size_t record, std::int64_t timestamp) {
        std::uint64_t const place = begins[record].place;
        std::byte* const frame = drawn.bytes().data() + place;
        annals::detail::store(frame + offsetof(format::FrameHeader, detail), timestamp);
        format::FrameWord const word{annals::detail::load<std::uint64_t>(frame)};
        annals::detail::store(frame, format::published_word(frame, word.state(), word.length(),
                                                            DrawnSegment::salt, place)
                                         .raw());
    }
};

}  // namespace

TEST_CASE("an index that has seen nothing sends everybody to the first frame") {
    Index const index;
    CHECK(index.before_number(7) == Extent{});
    CHECK(index.before_time(7) == Extent{});
    CHECK(index.max_timestamp() == std::pair{before_all_time, Extent{}});
    CHECK(index.contents().first.entries.empty());
}

TEST_CASE("an index has an entry for about every stride of what it was shown") {
    Example example;
    Index index;
    index.extend(example.drawn.bytes(), DrawnSegment::salt, example.drawn.at());
    auto const entries = index.contents().first.entries;
    REQUIRE(entries.size() == 2);
    std::uint64_t last = format::first_frame_place;
    for (auto const& entry : entries) {
        CHECK(entry.extent() == example.begins[entry.number]);
        CHECK(entry.extent().place >= last + format::index_stride);
        CHECK(entry.extent().place < last + format::index_stride + 1'024);
        CHECK(entry.max_timestamp_before == 10 * (std::int64_t{entry.number} - 1));
        last = entry.extent().place;
    }
    CHECK(index.max_timestamp() == std::pair{std::int64_t{390}, example.drawn.at()});
}

TEST_CASE("an index leads to a frame at or before the one that is sought") {
    Example example;
    Index index;
    index.extend(example.drawn.bytes(), DrawnSegment::salt, example.drawn.at());
    for (std::uint64_t number = 0; number < 40; ++number) {
        Extent const at = index.before_number(number);
        CHECK(at.count <= number);
        CHECK(number - at.count <= 17);
        CHECK(at == example.begins[at.count]);
    }
    CHECK(index.before_number(1'000).count == index.before_number(39).count);
}

TEST_CASE("an index leads to a frame before which every timestamp is lower") {
    Example example;
    example.stamp(20, 5'000);  // one that is far ahead
    Index index;
    index.extend(example.drawn.bytes(), DrawnSegment::salt, example.drawn.at());
    for (std::int64_t const time : {-5, 0, 1, 100, 170, 200, 399, 4'999, 5'000}) {
        Extent const at = index.before_time(time);
        for (std::size_t i = 0; i < at.count; ++i) {
            CHECK((i == 20 ? 5'000 : static_cast<std::int64_t>(10 * i)) < time);
        }
    }
    CHECK(index.before_time(5'001).count == index.before_number(39).count);
    CHECK(index.before_time(399).count <= 20);
    CHECK(index.max_timestamp().first == 5'000);
}

TEST_CASE("an index grows with what is published and comes to the same") {
    Example example;
    Index whole;
    whole.extend(example.drawn.bytes(), DrawnSegment::salt, example.drawn.at());
    Index grown;
    for (Extent const& at : example.begins)
        grown.extend(example.drawn.bytes(), DrawnSegment::salt, at);
    grown.extend(example.drawn.bytes(), DrawnSegment::salt, example.drawn.at());
    CHECK(format::encode_index(1, grown.contents().first) ==
          format::encode_index(1, whole.contents().first));
}

TEST_CASE("voids count with their offsets and have no time") {
    auto drawn = DrawnSegment{}.voided(5, 20'000).record().voided(2, 17'000).record();
    Index index;
    index.extend(drawn.bytes(), DrawnSegment::salt, drawn.at());
    auto const entries = index.contents().first.entries;
    REQUIRE(entries.size() == 2);
    CHECK(entries[0].number == 5);
    CHECK(entries[0].max_timestamp_before == before_all_time);
    CHECK(entries[1].number == 8);
    CHECK(entries[1].max_timestamp_before == 1'000);
}

TEST_CASE("an index does not go beyond the seal or what is not published") {
    auto drawn = DrawnSegment{}.record();
    Extent const end = drawn.at();
    SECTION("a seal") { drawn.seal(); }
    SECTION("an open claim") { drawn.claimed(1, 64); }
    SECTION("zeros") { drawn.untouched(1, 64); }
    drawn.record();
    Index index;
    index.extend(drawn.bytes(), DrawnSegment::salt, drawn.at());
    CHECK(index.max_timestamp().second == end);
}

TEST_CASE("an index does not go beyond a frame that is damaged") {
    Example example;
    std::size_t const damaged = GENERATE(0u, 1u, 17u, 39u);
    std::uint64_t const field = GENERATE(0u, 3u, 4u, 8u, 16u, 24u);
    example.drawn.bytes()[example.begins[damaged].place + field] ^= std::byte{1};
    Index index;
    index.extend(example.drawn.bytes(), DrawnSegment::salt, example.drawn.at());
    CHECK(index.max_timestamp().second == example.begins[damaged]);
    CHECK(index.before_number(39).count <= damaged);
}

TEST_CASE("what a file says is taken over, and forgotten when it proves wrong") {
    Index index;
    index.assume({.entries = {{.number = 9, .place = 30'000 / 8, .max_timestamp_before = 4}},
                  .max_timestamp = 6},
                 {20, 50'000});
    CHECK(index.before_number(10) == Extent{9, 30'000});
    CHECK(index.before_number(8) == Extent{});
    CHECK(index.before_time(5) == Extent{9, 30'000});
    CHECK(index.before_time(4) == Extent{});
    CHECK(index.max_timestamp() == std::pair{std::int64_t{6}, Extent{20, 50'000}});
    index.reset();
    CHECK(index.before_number(10) == Extent{});
    CHECK(index.max_timestamp() == std::pair{before_all_time, Extent{}});
}
