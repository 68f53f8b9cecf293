// SPDX-License-Identifier: MIT
// Opening partitions that were closed, whose writer died, or whose files are not what they were.
#include <annals/storage/opening.hpp>

#include <string>

#include "catch.hpp"
#include "storage/lives.hpp"

using namespace annals;
using namespace annals::test;

#define BOTH_PLATFORMS NativePlatform, MemoryPlatform

// ---- closed cleanly

TEMPLATE_TEST_CASE("a partition that was never written to opens clean, and nothing is stored", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    auto const before = site.dump();
    for (int i = 0; i < 2; ++i) {
        Life<TestType> life{site};
        CHECK(life.report().ending == Ending::clean);
        CHECK(life.report().notes.empty());
        CHECK(life.text().empty());
        if (i == 0) life.close();
    }
    CHECK(site.dump() == before);
}

TEMPLATE_TEST_CASE("a closed partition goes on in the same segment and the same epoch", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.append_batch({"b", "c"});
        life.close();
    }
    auto const before = site.dump();
    {
        Life<TestType> life{site};
        CHECK(life.report().ending == Ending::clean);
        CHECK(life.report().end == Offset{3});
        CHECK(life.text() == "0=a 1=b 2=c");
        CHECK(life.state().durable() == 3);
        CHECK(site.dump() == before);
        CHECK(life.append("d") == 3);
        life.close();
    }
    CHECK(site.names() == "00000001.seg control");
    CHECK(site.epochs() == std::vector<format::Epoch>{{1, 0}});
    CHECK(Life<TestType>{site}.text() == "0=a 1=b 2=c 3=d");
}

TEMPLATE_TEST_CASE("a life without a record leaves the partition closed as it was", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.close();
    }
    auto const before = site.dump();
    { Life<TestType> const died{site}; }
    CHECK(site.dump() == before);
    CHECK(Life<TestType>{site}.report().ending == Ending::clean);
}

TEMPLATE_TEST_CASE("a forced rule does not touch a closed partition", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.close();
    }
    auto const before = site.dump();
    for (AfterDeath const rule : {AfterDeath::power_loss, AfterDeath::process_death}) {
        Life<TestType> const life{site, rule};
        CHECK(life.report().ending == Ending::clean);
        CHECK(life.text() == "0=a");
    }
    CHECK(site.dump() == before);
}

TEMPLATE_TEST_CASE("the segment made in advance is used after a clean close", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append_large(5);
        life.keep();
        life.close();
    }
    REQUIRE(site.names() == "00000001.seg 00000002.seg control");
    auto const spare = site.first_page(2);
    REQUIRE(spare.activation == format::RecordState::absent);
    auto const before = site.dump();
    Life<TestType> life{site};
    CHECK(site.dump() == before);
    life.append_large(4);
    auto const used = site.first_page(2);
    CHECK(used.identity == spare.identity);
    CHECK(used.activation == format::RecordState::good);
    CHECK(used.info.base_offset == 7);
    CHECK(used.info.predecessor == 1);
}

TEMPLATE_TEST_CASE(
    "rolled segments are complete when the partition is closed, and are not read again", "",
    BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append_large(20);
        life.close();
    }
    auto const before = site.dump();
    Life<TestType> life{site};
    CHECK(life.report().end == Offset{20});
    CHECK(site.first_page(1).completion->count == 7);
    CHECK(site.first_page(2).completion->count == 7);
    CHECK_FALSE(site.first_page(3).completion);
    CHECK(site.dump() == before);
    CHECK(life.append("z") == 20);
}

// ---- after the death of the process

TEMPLATE_TEST_CASE("every record is kept after the death of the process, and a new epoch begins",
                   "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.append_batch({"b", "c"});
    }
    {
        Life<TestType> life{site};
        CHECK(life.report().ending == Ending::process_death);
        CHECK(life.report().end == Offset{3});
        CHECK(life.report().records_voided == 0);
        CHECK(life.report().bytes_cut == 0);
        CHECK(life.text() == "0=a 1=b 2=c");
        CHECK(life.state().durable() == 3);
        CHECK(site.names() == "00000001.idx 00000001.seg control");
        CHECK(site.epochs() == std::vector<format::Epoch>{{1, 0}});
        CHECK(life.append("d") == 3);
        CHECK(site.names() == "00000001.idx 00000001.seg 00000002.seg control");
        CHECK(site.epochs() == std::vector<format::Epoch>{{1, 0}, {2, 3}});
        auto const page = site.first_page(2);
        CHECK(page.info.base_offset == 3);
        CHECK(page.info.epoch == 2);
        CHECK(page.info.capacity == site.first_page(1).info.capacity);
        CHECK(page.info.salt != site.first_page(1).info.salt);
        life.close();
    }
    Life<TestType> const life{site};
    CHECK(life.report().ending == Ending::clean);
    CHECK(life.text() == "0=a 1=b 2=c 3=d");
}

TEMPLATE_TEST_CASE("deaths without a record between them begin no epoch and store nothing more", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    { Life<TestType>{site}.append("a"); }
    { Life<TestType> const recovers{site}; }
    auto const before = site.dump();
    for (int i = 0; i < 3; ++i) {
        Life<TestType> const life{site};
        CHECK(life.report().ending == Ending::process_death);
        CHECK(life.text() == "0=a");
    }
    CHECK(site.dump() == before);
    CHECK(site.epochs().size() == 1);
}

TEST_CASE("a repair is counted before the segment is changed, and nothing else is") {
    Site<MemoryPlatform> const site;
    {
        Life<MemoryPlatform> life{site};
        life.append("a");
        life.close();
    }
    Life<MemoryPlatform>{site}.append("b");
    CHECK(site.control().repairs == 0);
    auto const before = content(site.directory().open_file("00000001.seg", Access::read));
    unsigned changes = 0;
    {
        MemoryPlatform::StoreHook const hook{[&](std::byte const*, std::size_t) {
            auto const now = content(site.directory().open_file("00000001.seg", Access::read));
            if (now == before) return;
            ++changes;
            CHECK(site.control().repairs == 1);
        }};
        Life<MemoryPlatform> const repairs{site};
    }
    CHECK(changes > 0);
    { Life<MemoryPlatform> const finds_nothing_to_repair{site}; }
    CHECK(site.control().repairs == 1);
    Life<MemoryPlatform>{site}.append("c");  // which replaces the control file
    CHECK(site.control().repairs == 1);
    { Life<MemoryPlatform> const repairs{site}; }
    CHECK(site.control().repairs == 2);
}

TEMPLATE_TEST_CASE("each death with a record begins an epoch, and all of them are kept", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    std::vector<format::Epoch> expected;
    for (std::uint64_t i = 0; i < 5; ++i) {
        Life<TestType> life{site};
        life.append("x");
        expected.push_back({i + 1, i});
        CHECK(site.epochs() == expected);
        CHECK(life.state().epoch_of(i) == i + 1);
        CHECK(life.state().epoch_of(0) == 1);
    }
    CHECK(Life<TestType>{site}.text() == "0=x 1=x 2=x 3=x 4=x");
}

TEMPLATE_TEST_CASE("open claims before a record become voids, whole and for good", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.leave_claimed(3, 200);
        life.append("b");
        life.leave_untouched(2, 64);
        life.leave_untouched(1, 32);
        life.append("c");
    }
    std::string const expected = "0=a 4=b 8=c";
    CHECK(read_only_text(site) == expected);
    for (int i = 0; i < 2; ++i) {
        Life<TestType> const life{site};
        CHECK(life.text() == expected);
        CHECK(life.report().end == Offset{9});
        CHECK(life.report().records_voided == (i == 0 ? 6 : 0));
    }
    Life<TestType> life{site};
    CHECK(life.append("d") == 9);
    CHECK(life.text() == expected + " 9=d");
}

TEMPLATE_TEST_CASE("open claims behind the last record are cut and their offsets used again", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.leave_claimed(3, 200);
        life.leave_untouched(1, 48);
    }
    Life<TestType> life{site};
    CHECK(life.report().end == Offset{1});
    CHECK(life.report().records_voided == 0);
    CHECK(life.report().bytes_cut == 8);
    CHECK(life.append("b") == 1);
    CHECK(life.text() == "0=a 1=b");
}

TEMPLATE_TEST_CASE("the rest of an interrupted segment is given back", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        auto const claimed = life.leave_claimed(1, 8'000);
        std::memset(claimed.segment.bytes() + claimed.at.place + 8, 'x', 7'992);
    }
    Life<TestType> const life{site};
    CHECK(life.report().bytes_cut == 8'000);
    auto const bytes = site.dump().at("00000001.seg");
    REQUIRE(bytes.size() == small_segment);
    CHECK(bytes.find_first_not_of('\0', 4'096 + 32 + 24) == std::string::npos);
}

TEMPLATE_TEST_CASE("open claims are found in every segment that was rolled and not completed", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.leave_claimed(2, 64);
        // Where an open claim stands nobody may wait for the end of the first segment.
        life.append_large(9);
        life.leave_untouched(1, 64);
        life.append("z");
    }
    Life<TestType> const life{site};
    CHECK(life.report().records_voided == 3);
    CHECK(life.text() == "0=a 3=L 4=L 5=L 6=L 7=L 8=L 9=L 10=L 11=L 13=z");
}

TEMPLATE_TEST_CASE("the segment made in advance goes when its writer has died", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append_large(5);
        life.keep();
    }
    REQUIRE(site.names() == "00000001.seg 00000002.seg control");
    Life<TestType> life{site};
    CHECK(life.report().segments_removed == 1);
    CHECK(site.names() == "00000001.idx 00000001.seg control");
    life.append("b");
    CHECK(site.names() == "00000001.idx 00000001.seg 00000003.seg control");  // never used again
}

TEST_CASE("both segments made in advance at speed go when their writer has died") {
    Site<MemoryPlatform> const site;
    {
        Life<MemoryPlatform> life{site};
        for (int n = 0; n < 2; ++n) {
            life.append_large(5);
            life.keep();
        }
        life.keep();
    }
    REQUIRE(site.names() ==
            "00000001.idx 00000001.seg 00000002.seg 00000003.seg 00000004.seg control");
    Life<MemoryPlatform> life{site};
    CHECK(life.report().segments_removed == 2);
    CHECK(life.text() == "0=L 1=L 2=L 3=L 4=L 5=L 6=L 7=L 8=L 9=L");
    life.append("b");
    CHECK(site.names() ==
          "00000001.idx 00000001.seg 00000002.idx 00000002.seg 00000005.seg control");
}

TEMPLATE_TEST_CASE("a segment never gets an ordinal that the seal before it rules out", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append_large(5);
        life.keep();
    }
    { Life<TestType> const removes_the_segment_made_in_advance{site}; }
    REQUIRE(site.names() == "00000001.idx 00000001.seg control");
    Life<TestType>{site}.append("b");
    CHECK(site.names() == "00000001.idx 00000001.seg 00000003.seg control");
    // Also where it is the seal alone that says so.
    site.damage("00000001.seg", format::completion_place);
    CHECK(Life<TestType>{site}.text() == "0=L 1=L 2=L 3=L 4=L 5=b");
}

TEMPLATE_TEST_CASE("an activated successor without records, whose predecessor has no seal, goes",
                   "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    std::uint64_t const base = GENERATE(4u, 5u, 6u);
    {
        Life<TestType> life{site};
        life.append_large(5);
        life.keep();
        auto info = site.first_page(2).info;
        info.base_offset = base;
        info.epoch = 1;
        info.predecessor = 1;
        site.patch("00000002.seg", format::activation_place,
                   format::bytes_of(format::checked(info.activation(), info.salt)));
    }
    Life<TestType> life{site};
    CHECK(life.report().end == Offset{5});
    CHECK(site.names() == "00000001.idx 00000001.seg control");
    CHECK(life.append("b") == 5);
}

TEMPLATE_TEST_CASE("a torn activation is a torn tail after a death and damage after a clean close",
                   "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    bool const is_clean = GENERATE(false, true);
    {
        Life<TestType> life{site};
        life.append_large(5);
        life.keep();
        site.patch("00000002.seg", format::activation_place, as_bytes("torn"));
        if (is_clean) life.close();
    }
    if (is_clean) {
        CHECK(code_of([&] { Life<TestType>{site}; }) == Errc::corrupt);
    } else {
        CHECK(Life<TestType>{site}.report().end == Offset{5});
        CHECK(site.names() == "00000001.idx 00000001.seg control");
    }
}

TEMPLATE_TEST_CASE("unfinished files of the writer before are swept", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    auto directory = site.directory();
    (void)directory.create_file(".tmp-00000001.seg");
    (void)directory.create_file(".tmp-control");
    Life<TestType> const life{site};
    CHECK(life.report().ending == Ending::clean);
    CHECK(site.names() == "control");
}

TEMPLATE_TEST_CASE(
    "what is kept after the death of the process is found by whoever only reads, "
    "who changes nothing",
    "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.leave_claimed(1, 64);
        life.append_large(9);
        life.leave_untouched(1, 64);
        life.append("b");
        life.leave_claimed(1, 64);
    }
    auto const before = site.dump();
    std::string const seen = read_only_text(site);
    CHECK(read_only_text(site, AfterDeath::power_loss) == "0=a");
    CHECK(site.dump() == before);
    CHECK(Life<TestType>{site}.text() == seen);
}

TEMPLATE_TEST_CASE("of a log only the partitions that were not closed are recovered, and told", "",
                   BOTH_PLATFORMS) {
    World<TestType> world;
    LogOptions const options{.keeper = false};
    {
        auto log = world.open(options);
        auto producer =
            log.template topic<std::string, std::string>("t", {.partitions = 3}).producer();
        for (std::uint32_t i = 0; i < 3; ++i) producer.send("k", "v", {.partition = i});
        (void)log.template topic<int, int>("never-written", {.partitions = 2});
    }
    // One partition alone, as if its writer's log had died with it.
    auto const site_of = [&](std::uint32_t id) {
        auto const log = std::make_shared<typename TestType::Directory const>(
            world.machine.platform.open_directory(world.path, Access::write));
        auto const meta = storage::read_file(world.directory("topics", "t"), "topic.meta");
        return std::make_shared<storage::SegmentFiles<TestType> const>(
            world.machine.platform, log, "t", format::decode_topic_meta(*meta, "").topic_id, id);
    };
    { Life<TestType>{site_of(1)}.append("died"); }
    auto before = dump(world.directory("topics"));
    {
        auto log = world.open(options);
        CHECK_FALSE(log.recovery().was_clean());
        REQUIRE(log.recovery().partitions.size() == 1);
        PartitionRecovery const& found = log.recovery().partitions[0];
        CHECK(found.topic == "t");
        CHECK(found.partition == 1);
        CHECK(found.ending == Ending::process_death);
        CHECK(found.end == Offset{2});
    }
    auto after = dump(world.directory("topics"));
    for (auto* files : {&before, &after}) {
        std::erase_if(*files, [](auto const& file) { return file.first.starts_with("t/1/"); });
    }
    CHECK(before == after);
}

// ---- after power loss

TEMPLATE_TEST_CASE("after power loss the longest good prefix is kept", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.append("b");
        life.leave_claimed(1, 64);
        life.append("c");
    }
    CHECK(read_only_text(site, AfterDeath::power_loss) == "0=a 1=b");
    {
        Life<TestType> life{site, AfterDeath::power_loss};
        CHECK(life.report().ending == Ending::power_loss);
        CHECK(life.report().records_voided == 0);
        CHECK(life.report().bytes_cut > 64);
        CHECK(life.text() == "0=a 1=b");
        CHECK(life.append("d") == 2);
    }
    CHECK(Life<TestType>{site}.text() == "0=a 1=b 2=d");
}

TEMPLATE_TEST_CASE("segments behind a torn one are no part of the log", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.append("torn");
        life.append_large(20);
    }
    site.damage("00000001.seg", format::completion_place);
    site.damage("00000002.seg", format::completion_place);
    site.change_control([](auto& control) { control.watermark.reset(); });
    site.damage("00000001.seg", 4'096 + 32 + 24);
    Life<TestType> life{site, AfterDeath::power_loss};
    CHECK(life.text() == "0=a");
    CHECK(life.report().segments_removed == 2);
    CHECK(life.append("b") == 1);
    CHECK(site.names() == "00000001.idx 00000001.seg 00000004.seg control");
}

TEMPLATE_TEST_CASE("a forced rule is followed whatever the files say", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.leave_claimed(1, 64);
        life.append("a");
    }
    SECTION("the death of the process after another boot") {
        site.change_control([](auto& control) { control.writer->boot_id[0] ^= std::byte{1}; });
        CHECK(read_only_text(site).empty());
        Life<TestType> const life{site, AfterDeath::process_death};
        CHECK(life.report().ending == Ending::process_death);
        CHECK(life.text() == "1=a");
    }
    SECTION("power loss within one boot") {
        CHECK(read_only_text(site) == "1=a");
        Life<TestType> const life{site, AfterDeath::power_loss};
        CHECK(life.report().ending == Ending::power_loss);
        CHECK(life.text().empty());
    }
}

// ---- damage

TEMPLATE_TEST_CASE("damage below the watermark is told where it is met, and nothing is changed", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.append("b");
        life.state().flush();
        life.append("c");
    }
    site.damage("00000001.seg", 4'096 + 32 + 24);
    auto segment = site.dump().at("00000001.seg");
    for (AfterDeath const rule : {AfterDeath::process_death, AfterDeath::power_loss}) {
        Life<TestType> life{site, rule};
        CHECK(life.report().notes.size() == 1);
        CHECK(code_of([&] { life.append("d"); }) == Errc::corrupt);
        BasicCursor<TestType> cursor = life.partition().cursor();
        CHECK(as_text(cursor.next()->value()) == "a");
        try {
            (void)cursor.next();
            FAIL("damage was taken for the end");
        } catch (Error const& error) {
            CHECK(error.code() == Errc::corrupt);
            CHECK(error.segment() == 1);
            CHECK(error.place() == 4'128);
        }
        CHECK(code_of([&] { (void)read_only_text(site, rule); }) == Errc::corrupt);
    }
    CHECK(site.dump().at("00000001.seg") == segment);
}

TEMPLATE_TEST_CASE("a bad activation of a segment that was durable is damage, by either rule", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append_large(10);
        life.state().flush();
        life.append("a");
    }
    std::string const name = GENERATE("00000001.seg", "00000002.seg");
    site.damage(name, format::activation_place);
    auto const before = site.dump();
    for (AfterDeath const rule : {AfterDeath::process_death, AfterDeath::power_loss}) {
        CHECK(code_of([&] { Life<TestType>(site, rule); }) == Errc::corrupt);
        CHECK(code_of([&] { (void)read_only_text(site, rule); }) == Errc::corrupt);
    }
    CHECK(site.dump().at(name) == before.at(name));
}

TEMPLATE_TEST_CASE("damage in a complete segment does not keep the partition from opening", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    bool const is_clean = GENERATE(false, true);
    {
        Life<TestType> life{site};
        life.append_large(10);
        if (is_clean) life.close();
    }
    site.damage("00000001.seg", 4'096 + 100);
    Life<TestType> life{site};
    CHECK(life.append("b") == 10);
    BasicCursor<TestType> cursor = life.partition().cursor();
    CHECK(code_of([&] { (void)cursor.next(); }) == Errc::corrupt);
    cursor.seek(Offset{1});
    CHECK(cursor.next()->offset() == Offset{1});
}

TEMPLATE_TEST_CASE("a bad completion counts as absent and is made again", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append_large(10);
        life.close();
    }
    REQUIRE(site.first_page(1).completion);
    site.damage("00000001.seg", format::completion_place);
    REQUIRE_FALSE(site.first_page(1).completion);
    Life<TestType> life{site};
    CHECK(life.report().ending == Ending::clean);
    CHECK(life.report().end == Offset{10});
    REQUIRE(site.first_page(1).completion);
    CHECK(site.first_page(1).completion->count == 7);
    CHECK(life.append("b") == 10);
}

TEMPLATE_TEST_CASE(
    "a segment whose header is not its own is corrupt, of a newer format unsupported", "",
    BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append("a");
        life.close();
    }
    auto const refused = [&](std::string_view name = "00000001.seg") {
        try {
            Life<TestType>{site};
        } catch (Error const& error) {
            CHECK(error.path().ends_with(name));
            return error.code();
        }
        return Errc::ok;
    };
    auto const put = [&](auto change) {
        auto const bytes = site.dump().at("00000001.seg");
        auto header = annals::detail::load<format::SegmentHeader>(as_bytes(bytes).data());
        change(header);
        site.patch("00000001.seg", 0, format::bytes_of(format::checked(header)));
    };
    SECTION("a damaged header") {
        site.damage("00000001.seg", GENERATE(0u, 24u, 48u, 64u, 80u));
        CHECK(refused() == Errc::corrupt);
    }
    SECTION("another topic's") {
        put([](auto& header) { header.topic_id[0] = std::byte{1}; });
        CHECK(refused() == Errc::corrupt);
    }
    SECTION("another partition's") {
        put([](auto& header) { header.partition = 7; });
        CHECK(refused() == Errc::corrupt);
    }
    SECTION("under another ordinal's name") {
        site.directory().rename("00000001.seg", "00000002.seg");
        CHECK(refused("00000002.seg") == Errc::corrupt);
    }
    SECTION("of another size than it says") {
        put([](auto& header) { header.capacity *= 2; });
        CHECK(refused() == Errc::corrupt);
    }
    SECTION("of a size that no segment has") {
        site.patch("00000001.seg", small_segment, as_bytes("longer"));
        put([](auto& header) { header.capacity = small_segment + 6; });
        CHECK(refused() == Errc::corrupt);
    }
    SECTION("of a newer format") {
        put([](auto& header) { header.preamble.major = 2; });
        CHECK(refused() == Errc::unsupported_format);
    }
    SECTION("with features that are not known") {
        put([](auto& header) { header.preamble.incompatible_features = 1; });
        CHECK(refused() == Errc::unsupported_format);
    }
    SECTION("of a newer minor version with compatible features") {
        put([](auto& header) {
            header.preamble.minor = 3;
            header.preamble.compatible_features = 0xFF;
        });
        CHECK(refused() == Errc::ok);
        CHECK(Life<TestType>{site}.text() == "0=a");
    }
}

TEMPLATE_TEST_CASE("a control file of a newer format is refused and stays as it is", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    { Life<TestType>{site}.append("a"); }
    std::uint16_t const major = 2;
    site.patch("control", 8, format::bytes_of(major));
    auto const before = site.dump();
    CHECK(code_of([&] { Life<TestType>{site}; }) == Errc::unsupported_format);
    CHECK(code_of([&] { (void)read_only_text(site); }) == Errc::unsupported_format);
    CHECK(site.dump() == before);
}

// ---- missing files

TEMPLATE_TEST_CASE("a segment that is missing is corrupt, wherever it was", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    bool const is_clean = GENERATE(false, true);
    {
        Life<TestType> life{site};
        life.append_large(25);
        life.state().flush();
        if (is_clean) life.close();
    }
    REQUIRE(site.names() ==
            "00000001.idx 00000001.seg 00000002.idx 00000002.seg 00000003.idx 00000003.seg "
            "00000004.seg control");
    std::string const missing =
        GENERATE("00000001.seg", "00000002.seg", "00000003.seg", "00000004.seg");
    INFO(missing << (is_clean ? " closed" : " died"));
    site.remove(missing);
    auto const before = site.dump();
    CHECK(code_of([&] { Life<TestType>{site}; }) == Errc::corrupt);
    CHECK(code_of([&] { (void)read_only_text(site); }) == Errc::corrupt);
    CHECK(site.dump() == before);
}

TEMPLATE_TEST_CASE("a segment that is missing before one made in advance is corrupt", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    bool const is_clean = GENERATE(false, true);
    {
        Life<TestType> life{site};
        life.append_large(5);
        life.keep();
        life.state().flush();
        if (is_clean) life.close();
    }
    REQUIRE(site.names() == "00000001.seg 00000002.seg control");
    site.remove("00000001.seg");
    auto const before = site.dump();
    CHECK(code_of([&] { Life<TestType>{site}; }) == Errc::corrupt);
    CHECK(code_of([&] { (void)read_only_text(site); }) == Errc::corrupt);
    CHECK(site.dump() == before);
}

TEMPLATE_TEST_CASE("a segment that is missing before an empty one is corrupt", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append_large(10);
        life.close();
    }
    // The log ends with a segment that nothing was written to yet.
    format::SegmentHeader header{
        .topic_id = site.files()->topic_id(), .ordinal = 3, .capacity = small_segment, .salt = 5};
    storage::SegmentInfo const info{.ordinal = 3, .salt = 5, .base_offset = 10, .epoch = 1};
    auto file = site.directory().create_file("00000003.seg");
    file.allocate(small_segment, Blocks::reserved);
    file.write_at(0, format::bytes_of(format::checked(header)));
    file.write_at(format::activation_place,
                  format::bytes_of(format::checked(info.activation(), info.salt)));
    site.change_control([](auto& control) {
        control.clean = format::CleanMark{.ordinal = 3, .count = 0, .end = 4'096};
    });
    site.remove("00000002.seg");
    CHECK(code_of([&] { Life<TestType>{site}; }) == Errc::corrupt);
}

TEMPLATE_TEST_CASE("segments before the beginning may be missing, the one that has it may not", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append_large(25);
        life.close();
    }
    std::uint64_t const beginning = GENERATE(7u, 10u, 14u);
    site.change_control([&](auto& control) {
        control.beginning = format::Beginning{.sequence = 1, .offset = beginning};
    });
    site.remove("00000001.seg");
    {
        Life<TestType> const life{site};
        CHECK(life.state().beginning() == beginning);
        CHECK(life.text().starts_with(std::to_string(beginning) + "=L"));
    }
    site.remove("00000002.seg");
    CHECK((code_of([&] { Life<TestType>{site}; }) == Errc::corrupt) == (beginning < 14));
}

TEMPLATE_TEST_CASE("a clean mark that does not fit the segments is corrupt", "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append_large(10);
        life.append("z");
        life.close();
    }
    format::CleanMark mark = site.control().clean.value();
    REQUIRE(mark.ordinal == 2);
    SECTION("a segment that is not there") { mark.ordinal = 3; }
    SECTION("an end before the first frame") { mark.end = 4'088; }
    SECTION("an end behind the last that a frame can have") { mark.end = small_segment - 16; }
    SECTION("an end between two places") { mark.end += 4; }
    site.change_control([&](auto& control) { control.clean = mark; });
    CHECK(code_of([&] { Life<TestType>{site}; }) == Errc::corrupt);
}

TEMPLATE_TEST_CASE("a clean mark with records behind it is not believed, and they are kept", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    std::string text;
    {
        Life<TestType> life{site};
        life.append_large(10);
        life.append("z");
        text = life.text();
        life.close();
    }
    site.damage("00000001.seg", format::completion_place);
    site.change_control([&](auto& control) {
        control.clean = {.ordinal = 1, .count = 0, .end = format::first_frame_place};
    });
    CHECK(read_only_text(site) == text);
    Life<TestType> const life{site};
    CHECK(life.text() == text);
    CHECK(life.report().notes.size() == 1);
}

// ---- without a valid control file

TEMPLATE_TEST_CASE("without a valid control file everything that is good is kept, and that is told",
                   "", BOTH_PLATFORMS) {
    Site<TestType> const site;
    bool const is_clean = GENERATE(false, true);
    {
        Life<TestType> life{site};
        life.append("a");
        life.append_large(8);
        life.append("b");
        if (is_clean) life.close();
    }
    auto const whole = site.dump().at("control");
    site.remove("control");
    auto directory = site.directory();
    std::string const kind =
        GENERATE("missing", "empty", "short", "half", "garbage", "zeros", "another topic's");
    if (kind == "empty") make_file(directory, "control", "");
    if (kind == "short") make_file(directory, "control", "short");
    if (kind == "half") make_file(directory, "control", whole.substr(0, 600));
    if (kind == "garbage") make_file(directory, "control", std::string(20'480, 'x'));
    if (kind == "zeros") make_file(directory, "control", std::string(20'480, '\0'));
    if (kind == "another topic's") {
        make_file(directory, "control", whole);
        site.change_control([](auto& control) { control.header.topic_id[0] = std::byte{1}; });
    }
    INFO(kind << (is_clean ? " closed" : " died"));
    std::string const expected = "0=a 1=L 2=L 3=L 4=L 5=L 6=L 7=L 8=L 9=b";
    CHECK(read_only_text(site) == expected);
    {
        Life<TestType> life{site};
        CHECK(life.report().ending == Ending::power_loss);
        REQUIRE_FALSE(life.report().notes.empty());
        CHECK(life.report().notes[0].find("control") != std::string::npos);
        CHECK(life.text() == expected);
        CHECK(life.append("c") == 10);
        life.close();
    }
    Life<TestType> const life{site};
    CHECK(life.report().ending == Ending::clean);
    CHECK(life.text() == expected + " 10=c");
    CHECK(site.epochs() == std::vector<format::Epoch>{{1, 0}, {2, 10}});
}

TEMPLATE_TEST_CASE("a partition without segments and without a valid control file begins anew", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    auto directory = site.directory();
    site.remove("control");
    std::string const kind = GENERATE("missing", "empty", "garbage");
    if (kind == "empty") make_file(directory, "control", "");
    if (kind == "garbage") make_file(directory, "control", std::string(20'480, 'x'));
    {
        Life<TestType> life{site};
        CHECK(life.text().empty());
        CHECK(life.append("a") == 0);
        life.close();
    }
    CHECK(Life<TestType>{site}.text() == "0=a");
}

TEMPLATE_TEST_CASE("without a control file the oldest segment is the beginning", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    {
        Life<TestType> life{site};
        life.append_large(16);
        life.close();
    }
    site.remove("control");
    site.remove("00000001.seg");
    Life<TestType> const life{site};
    CHECK(life.state().beginning() == 7);
    CHECK(life.report().end == Offset{16});
}
