// SPDX-License-Identifier: MIT
// How the writer before ended: what its control file, this boot and the files' identity say.
#include <annals/storage/last_writer.hpp>

#include <string>

#include "catch.hpp"
#include "storage/lives.hpp"

using namespace annals;
using namespace annals::test;
using storage::Death;

namespace {

storage::LastWriter find(Ground const& ground, AfterDeath rule = AfterDeath::detect) {
    return storage::find_last_writer(*ground.files(), ground.directory(), rule);
}

/// A partition whose writer has died, after its records up to the third were durable.
Ground died_after_sync() {
    Ground ground;
    Life<MemoryPlatform> life{ground};
    for (int i = 0; i < 3; ++i) life.append("x");
    life.state().flush();
    life.append("y");
    return Ground{ground.platform().after_process_death()};
}

std::vector<storage::FirstPage> pages_of(Ground const& ground) {
    std::vector<storage::FirstPage> pages;
    for (auto const ordinal : ground.files()->ordinals())
        pages.push_back(ground.first_page(ordinal));
    return pages;
}

}  // namespace

TEST_CASE("a control file with a clean mark is of a writer that closed, whatever happened since") {
    Ground ground;
    CHECK(find(ground).death == Death::none);
    CHECK(find(ground).ending() == Ending::clean);
    CHECK(find(Ground{ground.platform().after_power_loss()}).death == Death::none);
    for (AfterDeath const rule : {AfterDeath::power_loss, AfterDeath::process_death}) {
        CHECK(find(ground, rule).death == Death::none);
    }
}

TEST_CASE("the same boot and the same file mean that the process died, anything else power loss") {
    Ground ground = died_after_sync();
    CHECK(find(ground).death == Death::of_process);
    CHECK(find(ground).ending() == Ending::process_death);
    CHECK(find(Ground{ground.platform().after_power_loss()}).death == Death::of_power);
    CHECK(find(Ground{ground.platform().after_power_loss()}).ending() == Ending::power_loss);

    SECTION("a copied directory") {
        auto const bytes = ground.dump().at("control");
        ground.remove("control");
        auto directory = ground.directory();
        make_file(directory, "control", bytes);
        CHECK(find(ground).death == Death::of_power);
        CHECK_FALSE(find(ground).is_in_place);
    }
    SECTION("another device") {
        ground.change_control([](auto& control) { ++control.writer->device; });
        CHECK(find(ground).death == Death::of_power);
    }
    SECTION("no word of the writer") {
        ground.change_control([](auto& control) { control.writer.reset(); });
        CHECK(find(ground).death == Death::of_power);
    }
    SECTION("a system that does not tell its boots apart") {
        ground.change_control([](auto& control) { control.writer->boot_id = {}; });
        CHECK(find(ground).death == Death::of_power);
    }
}

TEST_CASE("another mount is told and not believed") {
    Ground const ground = died_after_sync();
    CHECK(find(ground).notes.empty());
    ground.change_control([](auto& control) { ++control.writer->mount; });
    auto const last = find(ground);
    CHECK(last.death == Death::of_process);
    CHECK(last.notes.size() == 1);
}

TEST_CASE("a rule that is forced replaces what was found") {
    Ground ground = died_after_sync();
    CHECK(find(ground, AfterDeath::power_loss).death == Death::of_power);
    Ground const lost{ground.platform().after_power_loss()};
    CHECK(find(lost, AfterDeath::process_death).death == Death::of_process);
}

TEST_CASE("a mark of a sync makes the page cache suspect in the boot that set it") {
    Ground ground = died_after_sync();
    CHECK_FALSE(find(ground).is_suspect);
    ground.change_control([](auto& control) { control.syncing = 1; });
    CHECK(find(ground).is_suspect);
    CHECK(find(ground, AfterDeath::power_loss).is_suspect);
    ground.directory().open_file("control", Access::write).sync();
    Ground const lost{ground.platform().after_power_loss()};
    CHECK_FALSE(find(lost).is_suspect);
    CHECK(find(lost, AfterDeath::process_death).is_suspect);
}

TEST_CASE("without a valid control file nothing is known, and that is told") {
    Ground const ground = died_after_sync();
    std::string const kind =
        GENERATE("missing", "damaged", "another topic's", "another partition's");
    if (kind == "another topic's") {
        ground.change_control([](auto& c) { c.header.topic_id[3] ^= std::byte{1}; });
    }
    if (kind == "another partition's") {
        ground.change_control([](auto& c) { c.header.partition = 1; });
    }
    if (kind == "damaged") ground.damage("control", 3);
    if (kind == "missing") ground.remove("control");
    auto const last = find(ground);
    CHECK_FALSE(last.has_control);
    CHECK(last.death == Death::of_power);
    CHECK(last.notes.size() == 1);
    CHECK_FALSE(last.beginning());
    CHECK_FALSE(last.control.watermark);
    CHECK(last.control.header.topic_id == ground.files()->topic_id());
    CHECK(last.highest_ordinal() == 0);
}

TEST_CASE("a log begins at 0 or where its control file says") {
    Ground const ground = died_after_sync();
    CHECK(find(ground).beginning() == 0);
    ground.change_control(
        [](auto& control) { control.beginning = format::Beginning{.sequence = 1, .offset = 5}; });
    CHECK(find(ground).beginning() == 5);
}

TEST_CASE("the watermark binds for the file that it was taken from, and for no copy of it") {
    Ground const ground = died_after_sync();
    auto last = find(ground);
    last.bind_watermark(pages_of(ground));
    CHECK(last.was_durable(1));
    CHECK_FALSE(last.was_durable(2));
    CHECK(last.durable_extent(1) == format::Extent{3, 4'096 + 3 * 32});
    CHECK(last.durable_extent(2) == format::Extent{});
    CHECK(last.highest_ordinal() == 1);

    auto const bytes = ground.dump().at("00000001.seg");
    ground.remove("00000001.seg");
    auto directory = ground.directory();
    make_file(directory, "00000001.seg", bytes);
    auto copied = find(ground);
    copied.bind_watermark(pages_of(ground));
    CHECK_FALSE(copied.was_durable(1));
    CHECK(copied.durable_extent(1) == format::Extent{});
}

TEST_CASE("the highest ordinal that must be there is the clean mark's or the watermark's") {
    Ground const ground = died_after_sync();
    ground.change_control([](auto& control) {
        control.clean = format::CleanMark{.ordinal = 4, .count = 0, .end = 4'096};
    });
    CHECK(find(ground).highest_ordinal() == 4);
    ground.change_control([](auto& control) {
        control.clean.reset();
        control.watermark->ordinal = 9;
    });
    CHECK(find(ground).highest_ordinal() == 9);
    ground.change_control([](auto& control) { ++control.writer->inode; });
    CHECK(find(ground).highest_ordinal() == 0);  // a copy may have left some out
}
