// SPDX-License-Identifier: MIT
// Where the page cache is no evidence of what the disk holds: nothing is lost, and what is not
// known to be durable is copied to a new file before anything is appended.
#include <annals/storage/copying.hpp>

#include <cerrno>
#include <set>
#include <string>

#include "catch.hpp"
#include "storage/drawn_segment.hpp"
#include "storage/lives.hpp"

using namespace annals;
using namespace annals::test;
using storage::SegmentInfo;

#define BOTH_PLATFORMS NativePlatform, MemoryPlatform

namespace {

/// As if the writer had died, or a sync had failed, while this segment was being synced.
template <class P>
void set_syncing(Site<P> const& site, std::uint64_t ordinal) {
    site.patch("control", format::syncing_mark_place, format::bytes_of(ordinal));
}

format::FrameAt frame_in(Bytes segment, std::uint64_t place) {
    format::FrameWord const word{annals::detail::load<std::uint64_t>(segment.data() + place)};
    return format::frame_at(segment, place, word);
}

}  // namespace

// ---- one frame

TEST_CASE("a record that is copied is the same record at another place under another number") {
    auto drawn = DrawnSegment{}.record("first").record("the value", format::batch_goes_on);
    auto const from = frame_in(drawn.bytes(), 4'128);
    SegmentInfo const to{.salt = 99};
    std::vector<std::byte> out(8);  // what was copied before it
    storage::append_copy(out, drawn.bytes(), from, to, {7, 5'000});
    REQUIRE(out.size() == 8 + 40);

    std::vector<std::byte> segment(5'000);
    segment.insert(segment.end(), out.begin() + 8, out.end());
    auto const copy = frame_in(segment, 5'000);
    CHECK(format::is_good(segment, copy, 7, 99));
    CHECK(copy.word.length() == from.word.length());
    CHECK(copy.detail == from.detail);
    format::FrameView view;
    REQUIRE(format::decode_frame(Bytes{segment}.subspan(5'000, copy.word.length()), view));
    CHECK(as_text(view.value) == "the value");
    CHECK(view.flags == (format::has_value | format::batch_goes_on));
}

TEST_CASE("a void that is copied keeps its offsets and shrinks to a header") {
    auto drawn = DrawnSegment{}.voided(3, 4'000);
    for (bool const is_assumed : {false, true}) {
        auto from = frame_in(drawn.bytes(), 4'096);
        from.is_assumed = is_assumed;
        if (is_assumed) std::fill_n(drawn.bytes().data() + 4'096, 24, std::byte{0});
        std::vector<std::byte> out;
        storage::append_copy(out, drawn.bytes(), from, {.salt = 99}, {7, 5'000});
        REQUIRE(out.size() == 24);
        std::vector<std::byte> segment(5'000);
        segment.insert(segment.end(), out.begin(), out.end());
        auto const copy = frame_in(segment, 5'000);
        CHECK(format::is_good(segment, copy, 7, 99));
        CHECK(copy.records == 3);
    }
}

// ---- a sync was under way when the process died

TEMPLATE_TEST_CASE("while a sync's outcome is open everything is read, and nothing is changed", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.leave_claimed(2, 64);
        life.append("b");
        life.leave_claimed(1, 64);
    }
    set_syncing(site, 1);
    auto const before = site.dump();
    for (int i = 0; i < 2; ++i) {
        Life<TestType> const life{site};
        CHECK(life.report().ending == Ending::process_death);
        CHECK(life.report().records_voided == 2);
        CHECK_FALSE(life.report().notes.empty());
        CHECK(life.text() == "0=a 3=b");
        CHECK(life.state().durable() == 0);
    }
    CHECK(read_only_text(site) == "0=a 3=b");
    CHECK(site.dump() == before);
}

TEMPLATE_TEST_CASE("the first append copies what may not be on the disk, voids included", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.leave_claimed(2, 400);
        life.append_batch({"b", "c"});
        life.leave_untouched(1, 64);
        life.append("d");
        life.leave_claimed(1, 64);
    }
    set_syncing(site, 1);
    std::string const expected = "0=a 3=b 4=c 6=d";
    auto const old = site.dump().at("00000001.seg");
    {
        Life<TestType> life{site};
        CHECK(life.append("e") == 7);
        CHECK(life.text() == expected + " 7=e");
        CHECK(life.state().durable() == 7);
        CHECK(site.dump().at("00000001.seg") == old);
        CHECK(site.control().syncing == 0);
        auto const page = site.first_page(2);
        CHECK(page.info.is_copy());
        CHECK(page.info.base_offset == 0);
        CHECK(page.info.epoch == 2);
    }
    CHECK(read_only_text(site) == expected + " 7=e");
    {
        Life<TestType> life{site};
        CHECK(life.text() == expected + " 7=e");
        CHECK(life.append("f") == 8);
        life.close();
    }
    CHECK(site.names() == "00000002.idx 00000002.seg 00000003.seg control");
    CHECK(Life<TestType>{site}.text() == expected + " 7=e 8=f");
}

TEMPLATE_TEST_CASE("what was durable before is not copied, and ends the old segment", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.append("b");
        life.state().flush();
        life.append("c");
        life.append("d");
    }
    set_syncing(site, 1);
    {
        Life<TestType> life{site};
        CHECK(life.state().durable() == 2);
        CHECK(life.text() == "0=a 1=b 2=c 3=d");
        CHECK(life.append("e") == 4);
        CHECK(life.text() == "0=a 1=b 2=c 3=d 4=e");
        CHECK(site.first_page(2).info.base_offset == 2);
        life.close();
    }
    CHECK(Life<TestType>{site}.text() == "0=a 1=b 2=c 3=d 4=e");
    auto const settled = site.dump();
    unsigned stores = 0;
    MemoryPlatform::StoreHook const hook{[&](std::byte const*, std::size_t) { ++stores; }};
    for (int i = 0; i < 2; ++i) {
        Life<TestType> const life{site};
        CHECK(life.report().ending == Ending::clean);
        CHECK(life.text() == "0=a 1=b 2=c 3=d 4=e");
    }
    CHECK(read_only_text(site) == "0=a 1=b 2=c 3=d 4=e");
    CHECK(site.dump() == settled);
    CHECK(stores == 0);
}

TEMPLATE_TEST_CASE("several segments that may not be on the disk become one that holds them", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    std::string before;
    {
        Life<TestType> life{site};
        life.append("a");
        life.leave_claimed(1, 64);
        life.append_large(20);
        life.append("b");
    }
    set_syncing(site, 1);
    {
        Life<TestType> life{site};
        before = life.text();
        CHECK(life.append("c") == 23);
        CHECK(life.text() == before + " 23=c");
        auto const page = site.first_page(4);
        CHECK(page.info.is_copy());
        CHECK(page.info.base_offset == 1);  // one record was synced when the first segment was full
        CHECK(page.info.capacity == 4 * small_segment);
        life.close();
    }
    CHECK(Life<TestType>{site}.text() == before + " 23=c");
    CHECK(site.names() == "00000001.idx 00000001.seg 00000004.seg control");
}

TEMPLATE_TEST_CASE("records and times are found on both sides of a copy", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        for (int i = 0; i < 5; ++i) {
            life.partition().append(std::nullopt, as_bytes("x"),
                                    {.timestamp = Timestamp{std::chrono::seconds{i}}});
            if (i == 1) life.state().flush();
        }
    }
    set_syncing(site, 1);
    Life<TestType> life{site};
    life.append("y");
    for (std::uint64_t i = 0; i < 6; ++i) {
        auto const record = life.partition().cursor(Offset{i}).next();
        REQUIRE(record);
        CHECK(record->offset() == Offset{i});
        auto const stamp = static_cast<std::int64_t>(i) * 1'000'000'000;
        if (i < 5) CHECK(life.state().offset_at(stamp, life.state().end()) == i);
    }
}

TEMPLATE_TEST_CASE("a death before the first append, or right after it, loses nothing", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.append("b");
    }
    set_syncing(site, 1);
    { Life<TestType> const dies_at_once{site}; }
    { Life<TestType>{site}.append("c"); }
    { Life<TestType>{site}.append("d"); }
    Life<TestType> const life{site};
    CHECK(life.text() == "0=a 1=b 2=c 3=d");
    CHECK(life.report().end == Offset{4});
}

TEMPLATE_TEST_CASE("a mark that is left from another boot warns of nothing", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    { Life<TestType>{site}.append("a"); }
    site.change_control([](auto& control) {
        control.writer->boot_id[0] ^= std::byte{1};
        control.syncing = 1;
    });
    Life<TestType> life{site};
    CHECK(life.report().ending == Ending::power_loss);
    CHECK(life.text() == "0=a");
    CHECK(life.append("b") == 1);
    CHECK_FALSE(site.first_page(2).info.is_copy());
    CHECK(site.control().syncing == 0);
}

TEMPLATE_TEST_CASE("a forced rule does not make the page cache evidence", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.append("b");
    }
    set_syncing(site, 1);
    AfterDeath const rule = GENERATE(AfterDeath::process_death, AfterDeath::power_loss);
    Life<TestType> life{site, rule};
    CHECK(life.text() == "0=a 1=b");
    CHECK(life.state().durable() == 0);
    CHECK(life.append("c") == 2);
    CHECK(site.first_page(2).info.is_copy());
}

// ---- a sync has failed

TEST_CASE("after a failed sync nothing that send returned is lost, by the process or by power") {
    Site<MemoryPlatform> site;
    {
        Life<MemoryPlatform> life{site};
        life.append("a");
        life.state().flush();
        life.append("b");
        site.platform().fail_next(Operation::sync, EIO);
        CHECK(code_of([&] { life.state().flush(); }) == Errc::sync_failed);
    }
    Site<MemoryPlatform> const died{site.platform().after_process_death()};
    Life<MemoryPlatform> life{died};
    CHECK(life.text() == "0=a 1=b");
    CHECK(life.append("c") == 2);
    CHECK(life.state().durable() == 2);
    Site<MemoryPlatform> lost{died.files()->platform().after_power_loss()};
    CHECK(Life<MemoryPlatform>{lost}.text() == "0=a 1=b");
}

TEST_CASE(
    "a sync that fails while a death is recovered from leaves the log readable, then copied") {
    Site<MemoryPlatform> site;
    {
        Life<MemoryPlatform> life{site};
        life.append("a");
        life.leave_claimed(1, 64);
        life.append("b");
    }
    unsigned const after = GENERATE(0u, 1u);  // the sync before looking, the one after repairing
    site.platform().fail_next(Operation::sync, EIO, after);
    {
        Life<MemoryPlatform> const life{site};
        CHECK(life.text() == "0=a 2=b");
        CHECK(life.report().notes.size() == 2);
        CHECK(site.control().syncing == 1);
    }
    Life<MemoryPlatform> life{site};
    CHECK(life.text() == "0=a 2=b");
    CHECK(life.append("c") == 3);
    CHECK(life.text() == "0=a 2=b 3=c");
    Site<MemoryPlatform> lost{site.platform().after_power_loss()};
    CHECK(Life<MemoryPlatform>{lost}.text() == "0=a 2=b");
}

TEST_CASE("a sync that failed in an opening is remembered until the copy is there") {
    Site<MemoryPlatform> site;
    {
        Life<MemoryPlatform> life{site};
        life.append("a");
        life.append("b");
    }
    unsigned const after = GENERATE(0u, 1u);  // the sync before looking, the one after repairing
    site.platform().fail_next(Operation::sync, EIO, after);
    {
        Life<MemoryPlatform> life{site};
        // There is room for another control file, and for no copy.
        site.platform().set_free_space(32 << 10);
        CHECK(code_of([&] { life.append("c"); }) == Errc::no_space);
        CHECK(site.control().epochs.size() == 2);
        CHECK(site.control().syncing == 1);
    }
    site.platform().clear_free_space();
    Life<MemoryPlatform> life{site};
    CHECK(life.text() == "0=a 1=b");
    life.state().flush();
    CHECK(site.control().syncing == 0);
    Site<MemoryPlatform> lost{site.platform().after_power_loss()};
    CHECK(Life<MemoryPlatform>{lost}.text() == "0=a 1=b");
}

TEST_CASE("a sync that failed in an opening after power loss is remembered through this boot") {
    Site<MemoryPlatform> site;
    {
        Life<MemoryPlatform> life{site};
        life.append("a");
        life.append("b");
    }
    site.change_control([](auto& control) { control.writer->boot_id[0] ^= std::byte{1}; });
    unsigned const after = GENERATE(0u, 1u);  // the sync before looking, the one after repairing
    site.platform().fail_next(Operation::sync, EIO, after);
    { Life<MemoryPlatform> const dies_at_once{site}; }
    Life<MemoryPlatform> life{site};
    CHECK(life.report().ending == Ending::power_loss);
    CHECK(life.text() == "0=a 1=b");
    life.state().flush();
    CHECK(site.control().syncing == 0);
    Site<MemoryPlatform> lost{site.platform().after_power_loss()};
    CHECK(Life<MemoryPlatform>{lost}.text() == "0=a 1=b");
}

TEST_CASE(
    "a full disk keeps nobody from reading what a death has left, with a control file or none") {
    Site<MemoryPlatform> site;
    {
        Life<MemoryPlatform> life{site};
        life.append("a");
        life.append("b");
    }
    bool const has_control = GENERATE(true, false);
    if (!has_control) site.remove("control");
    site.platform().set_free_space(0);
    {
        Life<MemoryPlatform> life{site};
        CHECK(life.text() == "0=a 1=b");
        CHECK(code_of([&] { life.append("c"); }) == Errc::no_space);
        CHECK(life.text() == "0=a 1=b");
    }
    site.platform().clear_free_space();
    Life<MemoryPlatform> life{site};
    CHECK(life.append("c") == 2);
    CHECK(life.text() == "0=a 1=b 2=c");
}

TEST_CASE(
    "where the disk is full what must be copied is still read, and the first append is told") {
    Site<MemoryPlatform> site;
    {
        Life<MemoryPlatform> life{site};
        life.append("a");
        life.append("b");
    }
    set_syncing(site, 1);
    site.platform().set_free_space(0);
    Life<MemoryPlatform> life{site};
    for (int i = 0; i < 3; ++i) {
        CHECK(code_of([&] { life.append("c"); }) == Errc::no_space);
        CHECK(life.text() == "0=a 1=b");
    }
    CHECK(site.names() == "00000001.seg control");
    site.platform().clear_free_space();
    CHECK(life.append("c") == 2);
    CHECK(life.text() == "0=a 1=b 2=c");
}

namespace {

/// What `look(partition)` finds after each of many power losses, or why it is refused.
template <class Look>
std::set<std::string> after_power_losses(Ground& ground, Look const& look) {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < 64; ++seed) {
        Ground const lost{ground.platform().after_power_loss(seed)};
        auto const error = error_of([&] {
            MemoryLife life{lost};
            found.insert(std::to_string(look(life.state())));
        });
        if (error) found.insert(error->what());
    }
    return found;
}

}  // namespace

TEST_CASE("what a copy has replaced is not needed, whatever power loss has left of it") {
    Ground first;
    {
        MemoryLife life{first, MemoryLife::Keeper::by_hand};
        life.append_large(8);
        while (life.state().writer().complete_rolled_step()) {
        }
        REQUIRE(life.state().durable() == 7);
        life.append_large(7);  // the second segment is full, the third has one
    }
    Ground ground{first.platform().after_process_death()};
    ground.patch("control", format::syncing_mark_place, format::bytes_of(std::uint64_t{2}));
    MemoryLife life{ground, MemoryLife::Keeper::by_hand};
    life.append("x");
    life.state().flush();
    life.state().writer().durability().sync_control();
    CHECK(after_power_losses(ground, [](auto& state) { return state.end(); }) ==
          std::set{std::to_string(16)});
}

TEST_CASE("files that go before what must be copied stay until the copy is there") {
    Ground ground;
    std::uint64_t base = 0;
    {
        MemoryLife life{ground};
        life.append_large(9);  // rolls once
        base = life.state().writer().active().segment->base();
        ground.platform().fail_next(Operation::sync, EIO);
        REQUIRE(code_of([&] { life.state().flush(); }) == Errc::sync_failed);
    }
    MemoryLife life{ground};
    CHECK(life.state().delete_before(base) == base);
    CHECK(after_power_losses(ground, [](auto& state) { return state.beginning(); }) ==
          std::set{std::to_string(base)});
    life.append("x");
    (void)life.state().delete_before(base);
    CHECK(ground.names().find("00000001.seg") == std::string::npos);
}

TEST_CASE("a control file whose sync failed in one life is not synced again by the next") {
    Ground ground;
    bool const is_closing = GENERATE(true, false);
    CAPTURE(is_closing);
    {
        MemoryLife life{ground};
        life.append_large(30);
        life.state().flush();
        ground.platform().fail_next(Operation::sync, EIO);       // of the control file
        ground.platform().fail_next(Operation::create, ENOSPC);  // of the one that would replace it
        auto const store = [&] {
            is_closing ? life.close() : life.state().writer().durability().sync_control();
        };
        REQUIRE(code_of(store) != Errc::ok);
        REQUIRE_FALSE(ground.platform().has_failures());
    }
    Ground next{ground.platform().after_process_death()};
    MemoryLife life{next};
    CHECK(life.report().ending == Ending::process_death);
    CHECK(life.state().delete_before(25) == 25);
    CHECK(after_power_losses(next, [](auto& state) { return state.beginning(); }) ==
          std::set{std::to_string(25)});
}

TEST_CASE("what comes behind a copy of several segments is as large as segments are") {
    Ground first;
    {
        MemoryLife life{first, MemoryLife::Keeper::by_hand};
        life.append_large(20);  // three segments, and nothing durable
    }
    Ground ground{first.platform().after_process_death()};
    ground.patch("control", format::syncing_mark_place, format::bytes_of(std::uint64_t{1}));
    MemoryLife life{ground};
    auto const capacity = [&] { return life.state().segments().last()->info().capacity; };
    life.append("x");
    CHECK(capacity() == 4 * small_segment);
    life.state().writer().end_segment();
    life.append("y");
    CHECK(capacity() == small_segment);
}
