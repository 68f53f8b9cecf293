// SPDX-License-Identifier: MIT
// Both rules of recovery over segments drawn by hand, and how what they find is written down.
#include <annals/storage/recovery.hpp>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "catch.hpp"
#include "storage/drawn_segment.hpp"

using namespace annals;
using namespace annals::storage;
using namespace annals::test;
using format::Extent;

namespace {

constexpr auto of_process = Death::of_process;
constexpr auto of_power = Death::of_power;

/// Where every record of the prefix lies: number to place. Checks that all of it is good frames.
std::map<std::uint64_t, std::uint64_t> records_of(std::vector<std::byte> const& bytes, Extent end) {
    std::map<std::uint64_t, std::uint64_t> records;
    Extent at;
    while (at.place < end.place) {
        format::FrameWord const word{annals::detail::load<std::uint64_t>(bytes.data() + at.place)};
        auto const frame = format::frame_at(bytes, at.place, word);
        REQUIRE(frame);
        REQUIRE(format::is_good(bytes, frame, at.count, DrawnSegment::salt));
        if (word.state() == format::FrameState::data) records[at.count] = at.place;
        at = {at.count + frame.records, frame.end};
    }
    REQUIRE(at == end);
    return records;
}

/// What opening does with what it found: the voids, then the seal.
void repair(std::vector<std::byte>& bytes, Findings const& findings) {
    for (Gap const& gap : findings.gaps) {
        store_void<MemoryPlatform>(bytes.data(), DrawnSegment::salt, gap);
    }
    if (!findings.is_sealed) {
        store_seal<MemoryPlatform>(bytes.data(), DrawnSegment::salt, findings.end, 2,
                                   bytes.size() - findings.end.place);
    }
}

Findings examine(std::vector<std::byte> const& bytes, Death death = of_process) {
    return Examiner{bytes, {.capacity = DrawnSegment::capacity, .salt = DrawnSegment::salt}}
        .examine(death);
}

/// Repairs the segment, and again from each state that an interrupted repair can leave: each time
/// the same records are there, the same end, and nothing is open any more.
void expect_repeatable(DrawnSegment segment) {
    Findings const findings = segment.examine(of_process);
    std::vector<std::vector<std::byte>> interrupted;
    auto bytes = segment.bytes();
    {
        MemoryPlatform::StoreHook const hook{
            [&](std::byte const*, std::size_t) { interrupted.push_back(bytes); }};
        repair(bytes, findings);
    }
    auto const records = records_of(bytes, findings.end);
    for (auto& state : interrupted) {
        Findings const again = examine(state);
        CHECK(again.end == findings.end);
        CHECK_FALSE(again.is_prefix);
        if (again.end != findings.end) return;
        repair(state, again);
        CHECK(records_of(state, findings.end) == records);
        CHECK(examine(state).is_sealed);
        CHECK(examine(state, of_power).end == findings.end);
    }
}

}  // namespace

// ---- after the death of the process

TEST_CASE("a segment that nothing was written to is empty by either rule") {
    for (Death const death : {of_process, of_power}) {
        Findings const found = DrawnSegment{}.examine(death);
        CHECK(found.end == Extent{});
        CHECK(found.gaps.empty());
        CHECK_FALSE(found.is_sealed);
        CHECK(found.bytes_cut == 0);
        CHECK_FALSE(found.damage);
    }
}

TEST_CASE("published records are all there by either rule") {
    auto const segment = DrawnSegment{}.record("a").record("").voided(2, 40).batch(3).record("b");
    for (Death const death : {of_process, of_power}) {
        Findings const found = segment.examine(death);
        CHECK(found.end == segment.at());
        CHECK(found.end.count == 8);
        CHECK(found.gaps.empty());
        CHECK_FALSE(found.is_sealed);
        CHECK(found.bytes_cut == 0);
        CHECK(found.is_prefix == (death == of_power));
    }
}

TEST_CASE("a seal ends the segment and names its successor by either rule") {
    auto segment = DrawnSegment{}.record();
    Extent const end = segment.at();
    segment.seal(9).record();  // what lies behind a seal is nothing
    for (Death const death : {of_process, of_power}) {
        Findings const found = segment.examine(death);
        CHECK(found.end == end);
        CHECK(found.is_sealed);
        CHECK(found.successor == 9);
        CHECK(found.bytes_cut == 0);
    }
}

TEST_CASE("open claims behind the last record are cut and take no offsets") {
    auto segment = DrawnSegment{}.record();
    Extent const end = segment.at();
    SECTION("claimed") { segment.claimed(1, 64); }
    SECTION("never touched") { segment.untouched(1, 64); }
    SECTION("several") { segment.untouched(2, 64).claimed(3, 200, "half").untouched(1, 32); }
    SECTION("up to the claimable end") {
        segment.claimed(1, DrawnSegment::capacity - 24 - end.place);
    }
    SECTION("beyond the claimable end") { segment.claimed(1, DrawnSegment::capacity); }
    Findings const found = segment.examine(of_process);
    CHECK(found.end == end);
    CHECK(found.gaps.empty());
    CHECK_FALSE(found.is_prefix);
    expect_repeatable(segment);
}

TEST_CASE("what is cut is counted up to its last byte that is not zero") {
    auto const claimed = DrawnSegment{}.record().claimed(1, 64, "four").examine(of_process);
    CHECK(claimed.bytes_cut == 16);
    CHECK(DrawnSegment{}.record().untouched(1, 64).examine(of_process).bytes_cut == 0);
    auto const torn = DrawnSegment{}.record().record("12345678").torn().examine(of_power);
    CHECK(torn.bytes_cut == 32);
}

TEST_CASE("an open claim before a record becomes a gap of the whole claim") {
    auto segment = DrawnSegment{}.record();
    Extent const gap = segment.at();
    SECTION("of one record") { segment.claimed(1, 64); }
    SECTION("of one record, half written") { segment.claimed(1, 64, "0123456789"); }
    SECTION("of the smallest record") { segment.claimed(1, 24); }
    SECTION("never touched") { segment.untouched(1, 64); }
    Extent const behind = segment.at();
    segment.record();
    Findings const found = segment.examine(of_process);
    CHECK(found.end == segment.at());
    CHECK(to_text(found.gaps) == "1+1");
    CHECK(found.gaps[0].place == gap.place);
    CHECK(found.gaps[0].bytes == behind.place - gap.place);
    CHECK(found.records_voided() == 1);
    CHECK_FALSE(found.is_prefix);
    expect_repeatable(segment);
}

TEST_CASE("an open claim of a batch becomes a gap of all its records") {
    auto segment = DrawnSegment{}.record();
    SECTION("only its first word stored") { segment.claimed(5, 400); }
    SECTION("never touched") { segment.untouched(5, 400); }
    SECTION("all of it written but for the word that publishes it") {
        auto const first = segment.at().place;
        segment.batch(5);
        auto const bytes = segment.at().place - first;
        annals::detail::store(segment.bytes().data() + first,
                              format::FrameWord{format::FrameState::claimed, bytes, 5}.raw());
    }
    segment.record();
    Findings const found = segment.examine(of_process);
    CHECK(found.end == segment.at());
    CHECK(to_text(found.gaps) == "1+5");
    CHECK(found.records_voided() == 5);
    expect_repeatable(segment);
}

TEST_CASE("several open claims in a row share the offsets between their neighbours") {
    auto segment = DrawnSegment{}.record();
    SECTION("claimed ones as they say") {
        segment.claimed(2, 64).claimed(1, 32).claimed(3, 300).record();
        CHECK(to_text(segment.examine(of_process).gaps) == "1+2 3+1 4+3");
    }
    SECTION("those that were never touched are one run") {
        segment.untouched(2, 64).untouched(1, 32).record();
        CHECK(to_text(segment.examine(of_process).gaps) == "1+3");
    }
    SECTION("a run takes what the claims beside it leave") {
        segment.untouched(2, 64).claimed(3, 64).record();
        CHECK(to_text(segment.examine(of_process).gaps) == "1+2 3+3");
    }
    SECTION("a run behind claims too") {
        segment.claimed(3, 64).untouched(2, 64).record();
        CHECK(to_text(segment.examine(of_process).gaps) == "1+3 4+2");
    }
    SECTION("several runs, whoever of them takes how many") {
        segment.untouched(2, 64).claimed(3, 64).untouched(1, 32).claimed(1, 32).untouched(4, 64);
        segment.record();
        CHECK(segment.examine(of_process).gaps.size() == 5);
    }
    Findings const found = segment.examine(of_process);
    CHECK(found.end == segment.at());
    CHECK(found.records_voided() + 2 == found.end.count);
    CHECK_FALSE(found.is_prefix);
    expect_repeatable(segment);
}

TEST_CASE("open claims in several places are gaps of their own, and all records between are kept") {
    auto const segment = DrawnSegment{}
                             .claimed(1, 48)
                             .record()
                             .record()
                             .untouched(2, 96)
                             .batch(3)
                             .voided(1)
                             .claimed(4, 64)
                             .record();
    Findings const found = segment.examine(of_process);
    CHECK(found.end == segment.at());
    CHECK(to_text(found.gaps) == "0+1 3+2 9+4");
    expect_repeatable(segment);
}

TEST_CASE("open claims before a seal become gaps, for the seal tells their numbers") {
    auto segment = DrawnSegment{}.record().untouched(2, 64).claimed(1, 40).untouched(1, 24);
    Extent const end = segment.at();
    segment.seal(7);
    Findings const found = segment.examine(of_process);
    CHECK(found.end == end);
    CHECK(found.is_sealed);
    CHECK(found.successor == 7);
    CHECK(found.records_voided() == 4);
    expect_repeatable(segment);
}

TEST_CASE("bytes inside an open claim that look like a record are none") {
    auto imitation = DrawnSegment{}.record().untouched(0, 32).record("imitation");
    auto segment = DrawnSegment{}.record().claimed(1, 120);
    std::copy_n(imitation.bytes().data() + 4'160, 64, segment.bytes().data() + 4'160);
    segment.record();
    Findings const found = segment.examine(of_process);
    CHECK(found.end == segment.at());
    CHECK(to_text(found.gaps) == "1+1");
    expect_repeatable(segment);
}

TEST_CASE("a void that recovery had claimed and not yet published is a void again") {
    auto segment = DrawnSegment{}.record().claimed(3, 64);
    format::FrameHeader const body{.number = 1, .detail = 3};
    std::memcpy(segment.bytes().data() + 4'128 + 8, reinterpret_cast<std::byte const*>(&body) + 8,
                16);
    segment.record();
    CHECK(to_text(segment.examine(of_process).gaps) == "1+3");
    expect_repeatable(segment);
}

TEST_CASE("a seal that was claimed and not yet published is no seal") {
    auto segment = DrawnSegment{}.record();
    Extent const end = segment.at();
    segment.claimed(0, 24);
    Findings const found = segment.examine(of_process);
    CHECK(found.end == end);
    CHECK_FALSE(found.is_sealed);
    expect_repeatable(segment);
}

TEST_CASE("what lay in a claim that is cut is not there when the cutting was cut off") {
    auto segment = DrawnSegment{}.record();
    Extent const end = segment.at();
    // The first value is zeros, so that behind the seal's header nothing seems to have been
    // touched.
    segment.record(std::string(48, '\0'), format::batch_goes_on);
    segment.record("second of the batch", format::batch_began_before);
    std::uint64_t const bytes = segment.at().place - end.place;
    annals::detail::store(segment.bytes().data() + end.place,
                          format::FrameWord{format::FrameState::claimed, bytes, 2}.raw());
    Findings const found = segment.examine(of_process);
    CHECK(found.end == end);
    CHECK(found.gaps.empty());
    expect_repeatable(segment);
}

TEST_CASE("records up to the claimable end are kept, and the seal fits behind them") {
    auto segment = DrawnSegment{}.record();
    std::uint64_t const left = DrawnSegment::capacity - 24 - segment.at().place;
    segment.record(std::string(left - 24, 'x'));
    REQUIRE(segment.at().place == format::claimable_end(DrawnSegment::capacity));
    for (Death const death : {of_process, of_power}) {
        CHECK(segment.examine(death).end == segment.at());
    }
    expect_repeatable(segment);
    Extent const end = segment.at();
    segment.seal();
    for (Death const death : {of_process, of_power}) {
        CHECK(segment.examine(death).end == end);
        CHECK(segment.examine(death).is_sealed);
    }
}

TEST_CASE("a record that leaves no room for the seal is not believed") {
    auto segment = DrawnSegment{}.record();
    Extent const end = segment.at();
    segment.record(std::string(DrawnSegment::capacity - 16 - end.place - 24, 'x'));
    for (Death const death : {of_process, of_power}) {
        CHECK(segment.examine(death).end == end);
    }
}

// ---- what contradicts itself after the death of a process: the page cache was not whole

TEST_CASE("where claims and numbers contradict each other only the prefix counts") {
    auto segment = DrawnSegment{}.record().record();
    Extent const end = segment.at();
    SECTION("claims take more than there is between their neighbours") {
        segment.claimed(3, 64).skip(~std::uint64_t{0}, 0).record();
    }
    SECTION("claims take less, and nobody else is there") {
        segment.claimed(3, 64).skip(1, 0).record();
    }
    SECTION("the record behind has a number before them") {
        segment.untouched(0, 64).skip(~std::uint64_t{0}, 0).record();
    }
    SECTION("a claim shorter than a frame") { segment.claimed(1, 16).record(); }
    SECTION("a claim that ends inside a record") { segment.claimed(1, 40).skip(0, 8).record(); }
    SECTION("a word in no known state") { segment.word(0x70000018, 24).record(); }
    SECTION("a length without a state") { segment.word(0x00000018, 24).record(); }
    SECTION("a check without a length") { segment.word(0x1234567800000000, 24).record(); }
    SECTION("fewer zeros than a frame takes") { segment.skip(1, 16).record(); }
    SECTION("a torn record behind an open claim") {
        segment.claimed(1, 64).record("12345678").torn();
    }
    SECTION("a torn record") { segment.record("12345678").torn().record(); }
    SECTION("a number that is not due") { segment.skip(1, 0).record(); }
    Findings const found = segment.examine(of_process);
    CHECK(found.end == end);
    CHECK(found.is_prefix);
    CHECK(found.gaps.empty());
    CHECK_FALSE(found.damage);
    CHECK(found.bytes_cut > 0);
}

TEST_CASE("a gap before the contradiction does not outlive the stricter rule") {
    auto segment = DrawnSegment{}.record();
    Extent const end = segment.at();
    segment.claimed(1, 64).record().record("12345678").torn();
    Findings const found = segment.examine(of_process);
    CHECK(found.end == end);
    CHECK(found.is_prefix);
    CHECK(found.gaps.empty());
}

// ---- after power loss

TEST_CASE("after power loss no hole is skipped") {
    auto segment = DrawnSegment{}.record().record();
    Extent const end = segment.at();
    SECTION("claimed") { segment.claimed(1, 64); }
    SECTION("never touched") { segment.untouched(1, 64); }
    SECTION("a page of zeros") { segment.untouched(7, 4'096); }
    SECTION("torn") { segment.record("12345678").torn(); }
    SECTION("of another place") {
        auto const place = segment.at().place;
        segment.record("12345678").record("abcdefgh");
        std::copy_n(segment.bytes().data() + place, 32, segment.bytes().data() + place + 32);
        std::fill_n(segment.bytes().data() + place, 32, std::byte{0});
    }
    segment.record().seal();
    Findings const found = segment.examine(of_power);
    CHECK(found.end == end);
    CHECK(found.is_prefix);
    CHECK(found.gaps.empty());
    CHECK_FALSE(found.is_sealed);
    CHECK_FALSE(found.damage);
}

TEST_CASE("a prefix that would end inside a batch ends before it") {
    auto segment = DrawnSegment{}.record().batch(2);
    Extent const end = segment.at();
    std::uint64_t const frame = 40;  // of each record of a batch
    std::uint64_t const broken = GENERATE(0u, 1u, 2u, 3u);
    segment.batch(4).record();
    segment.bytes()[end.place + broken * frame + 30] ^= std::byte{1};
    Findings const found = segment.examine(of_power);
    CHECK(found.end == end);
    CHECK(segment.examine(of_process).end == end);
}

TEST_CASE("a batch whose last pages are missing is not there") {
    auto segment = DrawnSegment{}.record();
    Extent const end = segment.at();
    segment.record("first", format::batch_goes_on).record("inner", 24);
    CHECK(segment.examine(of_power).end == end);
    segment.record("last", format::batch_began_before);
    CHECK(segment.examine(of_power).end == segment.at());
}

TEST_CASE("a record of another segment or epoch is not believed") {
    auto segment = DrawnSegment{}.record().record();
    for (Death const death : {of_process, of_power}) {
        Examiner examiner{segment.bytes(),
                          {.capacity = DrawnSegment::capacity, .salt = DrawnSegment::salt + 1}};
        CHECK(examiner.examine(death).end == Extent{});
    }
}

// ---- what was durable

TEST_CASE("a bad frame above the watermark is a torn tail, below it damage with its place") {
    auto segment = DrawnSegment{}.record();
    Extent const end = segment.at();
    segment.record("12345678").torn();
    Extent const behind = segment.at();
    segment.record();
    for (Death const death : {of_process, of_power}) {
        Findings const torn = segment.examine(death, end);
        CHECK(torn.end == end);
        CHECK_FALSE(torn.damage);
        for (Extent const durable : {behind, segment.at()}) {
            Findings const damaged = segment.examine(death, durable);
            CHECK(damaged.end == end);
            REQUIRE(damaged.damage);
            CHECK(damaged.damage->place == end.place);
        }
    }
}

TEST_CASE("a batch below the watermark with a bad frame is damage where the prefix ends") {
    auto segment = DrawnSegment{}.record();
    Extent const end = segment.at();
    segment.batch(3).torn().record();
    Findings const found = segment.examine(of_power, segment.at());
    CHECK(found.end == end);
    REQUIRE(found.damage);
    CHECK(found.damage->place == end.place);
}

TEST_CASE("what another segment holds is not looked at") {
    auto segment = DrawnSegment{}.record().record();
    Extent const limit = segment.at();
    segment.record("12345678").torn().seal();
    for (Death const death : {of_process, of_power}) {
        Findings const found = segment.examine(death, segment.at(), 2);
        CHECK(found.end == limit);
        CHECK_FALSE(found.damage);
        CHECK_FALSE(found.is_sealed);
    }
    Findings const less = segment.examine(of_power, segment.at(), 5);
    CHECK(less.damage);
}

// ---- writing it down

TEST_CASE("a bare frame is claimed first, then written, then published") {
    std::vector<std::byte> bytes(8'192);
    struct Store {
        std::uint64_t place;
        std::size_t size;
        format::FrameWord word;
    };
    std::vector<Store> stores;
    MemoryPlatform::StoreHook const hook{[&](std::byte const* address, std::size_t size) {
        format::FrameWord const word{annals::detail::load<std::uint64_t>(bytes.data() + 4'096)};
        stores.push_back({static_cast<std::uint64_t>(address - bytes.data()), size, word});
    }};
    store_void<MemoryPlatform>(bytes.data(), 5, {4'096, 64, 3, 2});
    REQUIRE(stores.size() == 3);
    CHECK(stores[0].place == 4'096);
    CHECK(stores[0].size == 8);
    CHECK(stores[0].word.raw() == format::FrameWord{format::FrameState::claimed, 64, 2}.raw());
    CHECK(stores[1].place == 4'104);
    CHECK(stores[1].size == 16);
    CHECK(stores[1].word.state() == format::FrameState::claimed);
    CHECK(stores[2].place == 4'096);
    CHECK(stores[2].word.state() == format::FrameState::voided);
    CHECK(stores[2].word.length() == 64);
    auto const frame = format::frame_at(bytes, 4'096, stores[2].word);
    REQUIRE(frame);
    CHECK(frame.records == 2);
    CHECK(format::is_good(bytes, frame, 3, 5));
}

TEST_CASE("a gap longer than one frame can say becomes several voids") {
    std::uint64_t const length = (std::uint64_t{1} << 28) + 8;
    std::vector<std::byte> bytes(4'096 + length);
    store_void<MemoryPlatform>(bytes.data(), 5, {4'096, length, 3, 2});
    Extent at{3, 4'096};
    std::string states;
    while (at.place < bytes.size()) {
        format::FrameWord const word{annals::detail::load<std::uint64_t>(bytes.data() + at.place)};
        auto const frame = format::frame_at(bytes, at.place, word);
        REQUIRE(frame);
        REQUIRE(format::is_good(bytes, frame, at.count, 5));
        CHECK(word.state() == format::FrameState::voided);
        states += std::to_string(frame.records) + ' ';
        at = {at.count + frame.records, frame.end};
    }
    CHECK(states == "2 0 ");
    CHECK(at == Extent{5, bytes.size()});
}

TEST_CASE("a seal tells the successor") {
    std::vector<std::byte> bytes(8'192);
    store_seal<MemoryPlatform>(bytes.data(), 5, {7, 4'136}, 12);
    format::FrameWord const word{annals::detail::load<std::uint64_t>(bytes.data() + 4'136)};
    auto const frame = format::frame_at(bytes, 4'136, word);
    REQUIRE(frame);
    CHECK(word.state() == format::FrameState::seal);
    CHECK(frame.detail == 12);
    CHECK(format::is_good(bytes, frame, 7, 5));
}

// ---- anything

TEST_CASE(
    "whatever a death of the process leaves, every record is kept and recovery can be repeated") {
    for (unsigned seed = 0; seed < 400; ++seed) {
        std::mt19937 random{seed};
        DrawnSegment segment;
        for (auto left = random() % 12; left != 0; --left) {
            std::uint64_t const count = 1 + random() % 3;
            std::uint64_t const length = 24 * count + random() % 100;
            switch (random() % 6) {
                case 0: segment.record(std::string(random() % 60, 'r')); break;
                case 1: segment.batch(count); break;
                case 2: segment.voided(count, 24 + random() % 60); break;
                case 3: segment.claimed(count, length); break;
                case 4: segment.untouched(count, length); break;
                case 5: segment.claimed(count, length, "half"); break;
            }
        }
        bool const has_seal = random() % 3 == 0;
        Extent const end = segment.at();
        if (has_seal) segment.seal();
        Findings const found = segment.examine(of_process);
        INFO("seed " << seed);
        CHECK_FALSE(found.is_prefix);
        CHECK(found.is_sealed == has_seal);
        if (has_seal) CHECK(found.end == end);
        expect_repeatable(segment);
    }
}

TEST_CASE("whatever bytes a disk gives, what is found lies within the segment and can be written") {
    for (unsigned seed = 0; seed < 600; ++seed) {
        std::mt19937 random{seed};
        auto segment = DrawnSegment{}.record().claimed(2, 80).batch(3).untouched(1, 64).record();
        segment.record(std::string(random() % 5'000, 'x')).claimed(1, 100).record().seal();
        auto& bytes = segment.bytes();
        std::uint64_t const last = segment.at().place;
        for (auto left = 1 + random() % 4; left != 0; --left) {
            std::uint64_t const place = 4'096 + random() % (last - 4'096);
            switch (random() % 3) {
                case 0: bytes[place] ^= static_cast<std::byte>(1u << random() % 8); break;
                case 1: bytes[place] = static_cast<std::byte>(random()); break;
                case 2:
                    annals::detail::store(bytes.data() + place / 8 * 8,
                                          std::uint64_t{random()} << 32 | random());
                    break;
            }
        }
        for (Death const death : {of_process, of_power}) {
            Findings const found = segment.examine(death);
            INFO("seed " << seed);
            REQUIRE(found.end.place >= format::first_frame_place);
            REQUIRE(found.end.place <= format::claimable_end(DrawnSegment::capacity));
            auto copy = bytes;
            repair(copy, found);
            (void)records_of(copy, found.end);
            CHECK(examine(copy, of_power).end == found.end);
        }
    }
}
