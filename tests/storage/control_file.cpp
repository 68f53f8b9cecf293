// SPDX-License-Identifier: MIT
// The control file in its writer's hands: what is stored where, and when it is durable.
#include <annals/storage/control_file.hpp>

#include <cerrno>
#include <string>

#include "catch.hpp"
#include "storage/lives.hpp"

using namespace annals;
using namespace annals::test;
using storage::ControlFile;

#define BOTH_PLATFORMS NativePlatform, MemoryPlatform

namespace {

constexpr FileIdentity some_file{.device = 3, .inode = 4};

}  // namespace

TEMPLATE_TEST_CASE("a control file is found with its contents and its identity, or not at all", "",
                   BOTH_PLATFORMS) {
    Site<TestType> const site;
    auto const found = storage::read_control(site.directory());
    REQUIRE(found.control);
    CHECK(found.identity == site.directory().open_file("control", Access::read).identity());
    site.damage("control", 20);
    CHECK_FALSE(storage::read_control(site.directory()).control);
    site.remove("control");
    CHECK_FALSE(storage::read_control(site.directory()).control);
}

TEMPLATE_TEST_CASE("a life begins without the clean mark, as this writer's", "", BOTH_PLATFORMS) {
    Site<TestType> site;
    REQUIRE(site.control().clean);
    site.change_control([](auto& control) { control.syncing = 5; });
    auto directory = site.directory();
    {
        ControlFile<TestType> control{directory, site.control()};
        control.begin_life(site.platform(), 9);
    }
    auto const after = site.control();
    CHECK_FALSE(after.clean);
    CHECK(after.syncing == 0);
    REQUIRE(after.writer);
    auto const identity = directory.open_file("control", Access::read).identity();
    CHECK(after.writer->boot_id == site.platform().boot_id());
    CHECK(after.writer->device == identity.device);
    CHECK(after.writer->inode == identity.inode);
    CHECK(after.writer->mount == identity.mount);
    CHECK(after.writer->started == 9);
    CHECK(after.epochs == std::vector<format::Epoch>{{1, 0}});
}

TEMPLATE_TEST_CASE("marks are visible as soon as they are stored", "", BOTH_PLATFORMS) {
    Site<TestType> site;
    ControlFile<TestType> control{site.directory(), site.control()};
    control.set_syncing(7);
    CHECK(site.control().syncing == 7);
    control.set_syncing(0);
    CHECK(site.control().syncing == 0);
    control.set_watermark(7, some_file, {5, 4'200});
    REQUIRE(site.control().watermark);
    CHECK(site.control().watermark->ordinal == 7);
    CHECK(site.control().watermark->device == 3);
    CHECK(site.control().watermark->inode == 4);
    CHECK(site.control().watermark->count == 5);
    CHECK(site.control().watermark->end == 4'200);
    control.set_clean({.ordinal = 7, .count = 6, .end = 4'240});
    REQUIRE(site.control().clean);
    CHECK(site.control().clean->count == 6);
}

TEST_CASE("a slot of the watermark is changed only when the other one was synced") {
    Site<MemoryPlatform> site;
    auto const slots = [&] {
        auto const file = site.dump().at("control");
        std::pair<std::uint64_t, std::uint64_t> counts;
        std::memcpy(&counts.first, file.data() + format::watermark_places[0] + 32, 8);
        std::memcpy(&counts.second, file.data() + format::watermark_places[1] + 32, 8);
        return counts;
    };
    ControlFile<MemoryPlatform> control{site.directory(), site.control()};
    auto const set = [&](std::uint64_t count) {
        control.set_watermark(1, some_file, {count, 4'096 + 32 * count});
        return slots();
    };
    CHECK(set(1) == std::pair<std::uint64_t, std::uint64_t>{0, 1});
    CHECK(set(2) == std::pair<std::uint64_t, std::uint64_t>{0, 2});
    control.sync();
    CHECK(set(3) == std::pair<std::uint64_t, std::uint64_t>{3, 2});
    CHECK(set(4) == std::pair<std::uint64_t, std::uint64_t>{4, 2});
    control.sync();
    control.sync();
    CHECK(set(5) == std::pair<std::uint64_t, std::uint64_t>{4, 5});

    // A control file that is opened again goes on behind the highest sequence.
    control = ControlFile<MemoryPlatform>{site.directory(), site.control()};
    CHECK(set(6) == std::pair<std::uint64_t, std::uint64_t>{6, 5});
    CHECK(site.control().watermark->count == 6);
}

TEST_CASE("whatever power loss leaves of the slots, a watermark that was synced is there") {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Site<MemoryPlatform> site;
        ControlFile<MemoryPlatform> control{site.directory(), site.control()};
        std::uint64_t synced = 0;
        for (std::uint64_t count = 1; count < 10; ++count) {
            control.set_watermark(1, some_file, {count, 4'096 + 32 * count});
            if ((seed + count) % 3 == 0) {
                control.sync();
                synced = count;
            }
            Site<MemoryPlatform> const lost{site.platform().after_power_loss(seed)};
            auto const mark = lost.control().watermark;
            CHECK((mark ? mark->count : 0) >= synced);
            CHECK((mark ? mark->count : 0) <= count);
        }
    }
}

TEMPLATE_TEST_CASE("a control file is replaced as a whole, and names its writer unless it is clean",
                   "", BOTH_PLATFORMS) {
    Site<TestType> site;
    auto directory = site.directory();
    auto control = site.control();
    control.epochs.push_back({2, 70});
    control.clean.reset();
    storage::replace_control(directory, site.platform(), control);
    auto const identity = directory.open_file("control", Access::read).identity();
    REQUIRE(site.control().writer);
    CHECK(site.control().writer->inode == identity.inode);
    CHECK(site.epochs() == control.epochs);

    control.clean = format::CleanMark{};
    storage::replace_control(directory, site.platform(), control);
    CHECK_FALSE(site.control().writer);
    CHECK(site.names() == "control");
}

TEST_CASE("a control file that cannot be replaced stays, and nothing is left behind") {
    Site<MemoryPlatform> site;
    auto const before = site.dump();
    auto const operation =
        GENERATE(Operation::create, Operation::write, Operation::sync, Operation::rename);
    site.platform().fail_next(operation, EIO);
    auto directory = site.directory();
    auto control = site.control();
    control.clean.reset();
    CHECK_THROWS_AS(storage::replace_control(directory, site.platform(), control), Error);
    CHECK(site.dump() == before);
}

TEST_CASE("a control file whose sync fails says so") {
    Site<MemoryPlatform> site;
    ControlFile<MemoryPlatform> control{site.directory(), site.control()};
    site.platform().fail_next(Operation::sync, EIO);
    CHECK(code_of([&] { control.sync(); }) == Errc::sync_failed);
}
