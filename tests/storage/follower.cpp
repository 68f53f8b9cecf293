// SPDX-License-Identifier: MIT
// A partition that another process writes to, as one sees it who only reads.
#include <annals/storage/follower.hpp>

#include <chrono>
#include <memory>
#include <string>

#include "catch.hpp"
#include "storage/lives.hpp"

using namespace annals;
using namespace annals::test;

namespace {

/// Attached to a site as readers of another process are to its log.
struct Reader {
    std::shared_ptr<storage::PartitionState<MemoryPlatform>> state;

    explicit Reader(Ground const& ground)
        : state{std::make_shared<storage::PartitionState<MemoryPlatform>>(
              ground.files(),
              std::make_shared<storage::Attachment<MemoryPlatform> const>(
                  std::make_shared<MemoryPlatform::Directory const>(ground.directory()),
                  AfterDeath::detect))} {}

    [[nodiscard]] std::string text() const { return MemoryLife::text_of(state); }
};

}  // namespace

TEST_CASE("what a reader found of a dead writer's log stays beside one that has not begun") {
    Ground ground;
    MemoryLife life{ground};
    life.append("a");
    (void)life.leave_claimed(1, 48);
    life.append("b");
    Ground dead{ground.platform().after_process_death()};
    // It died in the midst of a sync: nothing is repaired in that file any more.
    dead.change_control([](format::Control& control) { control.syncing = 1; });

    Reader const reader{dead};
    CHECK(reader.text() == "0=a 2=b");
    CHECK(reader.state->end() == 3);

    auto directory = dead.directory();
    MemoryLife successor{dead};
    successor.context().life.hold(
        storage::take_lock(directory, dead.platform(), std::chrono::nanoseconds{0}));
    CHECK(reader.state->end() == 3);
    CHECK(reader.text() == "0=a 2=b");
    successor.append("c");
    CHECK(reader.text() == "0=a 2=b 3=c");
}
