// SPDX-License-Identifier: MIT
// The mark of completion and the index file: when they are made, when they are believed.
#include <annals/storage/completion.hpp>

#include <cerrno>
#include <string>

#include "catch.hpp"
#include "storage/lives.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

#define BOTH_PLATFORMS NativePlatform, MemoryPlatform

namespace {

/// Two segments, the first of them complete; timestamps are the offsets in seconds.
template <class P>
void write_two_segments(Site<P> const& site) {
    Life<P> life{site};
    for (int i = 0; i < 10; ++i) {
        life.partition().append(std::nullopt, as_bytes(std::string(8'000, 'x')),
                                {.timestamp = Timestamp{1s * i}});
    }
    life.close();
}

/// Reads each record by its offset and each offset by its time.
template <class P>
void expect_lookups(Site<P> const& site) {
    Life<P> const life{site};
    std::uint64_t const end = life.state().end();
    for (std::uint64_t i = 0; i < 10; ++i) {
        auto const record = life.partition().cursor(Offset{i}).next();
        REQUIRE(record);
        CHECK(record->offset() == Offset{i});
        CHECK(life.state().offset_at(static_cast<std::int64_t>(i) * 1'000'000'000, end) == i);
    }
    CHECK(life.state().offset_at(10'000'000'000, end) == 10);
}

}  // namespace

TEMPLATE_TEST_CASE("a rolled segment is complete with its count, its end and its highest timestamp",
                   "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    write_two_segments(site);
    auto const page = site.first_page(1);
    REQUIRE(page.completion);
    CHECK(page.completion->count == 7);
    CHECK(page.completion->end == 4'096 + 7 * 8'024);
    CHECK(page.completion->max_timestamp == 6'000'000'000);
    CHECK_FALSE(site.first_page(2).completion);
    auto const bytes = site.dump().at("00000001.idx");
    auto const index = format::decode_index(as_bytes(bytes), page.info.salt, small_segment);
    REQUIRE(index);
    CHECK(index->max_timestamp == 6'000'000'000);
    CHECK(index->entries.size() == 2);
}

TEST_CASE("a segment is called complete only when all of it is durable") {
    Site<MemoryPlatform> site;
    std::vector<MemoryPlatform> states;
    {
        MemoryPlatform::StoreHook const hook{[&](std::byte const*, std::size_t) {
            states.push_back(site.platform().after_process_death());
        }};
        write_two_segments(site);
    }
    unsigned complete = 0;
    for (MemoryPlatform const& state : states) {
        auto const ordinals = Site<MemoryPlatform>{state}.files()->ordinals();
        if (ordinals.empty() || !Site<MemoryPlatform>{state}.first_page(1).completion) continue;
        ++complete;
        Site<MemoryPlatform> const lost{state.after_power_loss()};
        Life<MemoryPlatform> const life{lost};
        CHECK(life.report().end >= Offset{7});
        CHECK(life.text().starts_with("0=x 1=x 2=x 3=x 4=x 5=x 6=x"));
    }
    CHECK(complete > 5);
}

TEMPLATE_TEST_CASE("offsets and times are found with the index, and without a good one", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    write_two_segments(site);
    auto directory = site.directory();
    std::string const kind =
        GENERATE("good", "missing", "empty", "garbage", "damaged", "another's", "lies");
    if (kind != "good" && kind != "damaged") site.remove("00000001.idx");
    if (kind == "empty") make_file(directory, "00000001.idx", "");
    if (kind == "garbage") make_file(directory, "00000001.idx", std::string(5'000, 'x'));
    if (kind == "damaged") site.damage("00000001.idx", 70);
    std::uint64_t const salt = site.first_page(1).info.salt;
    auto const write = [&](std::uint64_t with, format::IndexContents const& contents) {
        make_file(directory, "00000001.idx", as_text(format::encode_index(with, contents)));
    };
    if (kind == "another's") write(salt + 1, {.entries = {{1, 600, 5}}, .max_timestamp = 9});
    if (kind == "lies") {
        write(salt, {.entries = {{.number = 2, .place = 1'000, .max_timestamp_before = 1}},
                     .max_timestamp = 6'000'000'000});
    }
    INFO(kind);
    expect_lookups(site);
}

TEST_CASE("an index that cannot be written costs nobody anything") {
    Site<MemoryPlatform> site;
    auto const operation = GENERATE(Operation::create, Operation::rename);
    {
        Life<MemoryPlatform> life{site};
        for (int i = 0; i < 7; ++i) life.append(std::string(8'000, 'x'));
        // The first file that the roll makes is the next segment, the second one the index.
        site.platform().fail_next(operation, ENOSPC, 1);
        life.append("y");
        for (int i = 0; i < 2; ++i) life.append(std::string(8'000, 'x'));
        life.close();
    }
    CHECK(site.first_page(1).completion);
    CHECK_FALSE(site.directory().find_file("00000001.idx", Access::read));
    Life<MemoryPlatform> life{site};
    CHECK(life.report().end == Offset{10});
    CHECK(life.partition().cursor(Offset{6}).next()->offset() == Offset{6});
    CHECK(life.partition().cursor(Offset{7}).next()->value().size() == 1);
}
