// SPDX-License-Identifier: MIT
// What must be done before the first claim of a life.
#include <annals/storage/gate.hpp>

#include <cerrno>
#include <optional>
#include <string_view>

#include "catch.hpp"
#include "storage/lives.hpp"

using namespace annals;
using namespace annals::test;

namespace {

/// Ten records over two segments, closed, and copied: nobody has synced the first segment, which
/// has no mark of completion.
void close_and_copy(Ground& ground) {
    {
        MemoryLife life{ground};
        life.append_large(10);
        life.close();
    }
    ground.damage("00000001.seg", format::completion_place);
    auto directory = ground.directory();
    auto const control = content(directory.open_file("control", Access::read));
    ground.remove("control");
    make_file(directory, "control", control).sync();
    auto const text = content(directory.open_file("00000001.seg", Access::read));
    Bytes const bytes = as_bytes(text);
    ground.remove("00000001.seg");
    auto file = directory.create_file("00000001.seg");
    file.allocate(bytes.size(), Blocks::reserved);
    file.write_at(0, bytes.first(format::page_bytes));
    file.sync();
    directory.sync();
    file.write_at(format::page_bytes, bytes.subspan(format::page_bytes));
}

}  // namespace

TEST_CASE("a partition that was closed is copied first where an opening could not sync it") {
    bool const dies_before = GENERATE(false, true);
    CAPTURE(dies_before);
    Ground ground;
    close_and_copy(ground);
    ground.platform().fail_next(Operation::sync, EIO);
    std::optional<Ground> next;
    {
        MemoryLife life{ground};
        CHECK_FALSE(ground.platform().has_failures());
        CHECK(life.report().end == Offset{10});
        if (dies_before) {
            next.emplace(ground.platform().after_process_death());
        } else {
            life.append("a");
            life.state().flush();
            next.emplace(ground.platform().after_power_loss());
        }
    }
    MemoryLife found{*next};
    CHECK(found.append("b") == (dies_before ? 10 : 11));
    found.state().flush();
    Ground const lost{next->platform().after_power_loss()};
    CHECK(MemoryLife{lost}.text() == found.text());
}

TEST_CASE("a partition that was closed where it is goes on, whatever cannot be synced once more") {
    Ground ground;
    {
        MemoryLife life{ground};
        life.append("a");
        life.state().flush();
        life.append("b");
        ground.platform().fail_next(Operation::sync, EIO);
        CHECK(code_of([&] { life.state().flush(); }) == Errc::sync_failed);
        life.append("c");  // what it leaves behind has no mark of completion
        life.append_large(20);
        life.close();
    }
    ground.platform().fail_next(Operation::sync, EIO);
    MemoryLife life{ground};
    CHECK_FALSE(ground.platform().has_failures());
    CHECK(life.state().durable() == life.state().end());
    auto const last = life.state().segments().last();
    life.append("z");
    CHECK(life.state().segments().last() == last);
    CHECK(last->info().epoch == 1);
}

TEST_CASE("what lies in a segment that an earlier life made in advance survives power loss") {
    Ground ground;
    {
        MemoryLife life{ground};
        life.append("a");
        ground.platform().fail_next(Operation::directory_sync, EIO);
        while (!error_of([&] { life.append_large(1); })) {
        }
        REQUIRE_FALSE(ground.platform().has_failures());
        life.close();
    }
    REQUIRE(ground.names() == "00000001.seg 00000002.seg control");
    MemoryLife life{ground};
    REQUIRE(life.report().ending == Ending::clean);
    life.append_large(1);  // goes to segment 2
    life.append("z");
    life.state().flush();
    REQUIRE(life.state().durable() == life.state().claimed_end());
    Ground const lost{ground.platform().after_power_loss()};
    CHECK(MemoryLife{lost}.text() == life.text());
}

TEST_CASE("a beginning stored before power loss was dealt with leaves it power loss") {
    unsigned tried = 0;
    for (std::uint64_t seed = 1; seed < 200 && tried < 3; ++seed) {
        CAPTURE(seed);
        Ground before;
        MemoryLife life{before};
        for (int i = 0; i < 4; ++i) life.append(std::string(4072, 'v'));
        life.state().flush();
        life.state().writer().durability().sync_control();
        for (int i = 0; i < 10; ++i) life.append(std::string(4072, 'v'));
        Ground ground{before.platform().after_power_loss(seed)};
        Ground other{ground.platform().after_process_death()};
        std::uint64_t const by_process = MemoryLife{other, AfterDeath::process_death}.state().end();
        ground.platform().fail_next(Operation::sync, EIO);  // of the segment: it must be copied
        MemoryLife second{ground};
        std::uint64_t const by_power = second.state().end();
        if (by_power == by_process) continue;
        ++tried;
        CHECK(second.state().delete_before(1) == 1);
        Ground third{ground.platform().after_process_death()};
        CHECK(MemoryLife{third}.state().end() == by_power);
    }
    CHECK(tried == 3);
}
