// SPDX-License-Identifier: MIT
// A closed log that was copied with cp -r: nothing of the copy is durable yet, and its first life
// promises with Sync::always.
#include <string>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;

namespace {

template <class Directory>
void copy_tree(Directory const& from, Directory& to) {
    for (DirectoryEntry const& entry : from.list()) {
        if (entry.kind == EntryKind::directory) {
            auto made = to.make_directory(entry.name);
            copy_tree(from.open_directory(entry.name), made);
        } else {
            (void)make_file(to, entry.name, content(from.open_file(entry.name, Access::read)));
        }
    }
}

}  // namespace

TEST_CASE("what is sent to a copy of a closed log with Sync::always survives power loss") {
    World<MemoryPlatform> world;
    auto& machine = world.machine.platform;
    LogOptions const options{.segment_bytes = 64 << 10};
    {
        auto log = world.open(options);
        auto const topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::always});
        for (int i = 0; i < 20; ++i) {
            topic.partition(0).append({}, as_bytes(std::string(8'000, 'v')));
        }
        log.close();
    }
    std::string const path = world.machine.path + "/copy";
    auto copy = machine.open_directory(path, Access::write);
    copy_tree(world.directory(), copy);

    MemoryLog log{path, options, machine};
    auto const topic = log.topic<Bytes, Bytes>("t");
    topic.partition(0).append({}, as_bytes("paid"));
    REQUIRE(topic.durable_offset() == Offset{21});
    auto const lost = machine.after_power_loss();
    std::size_t found = 0;
    auto const error = error_of([&] {
        MemoryLog again{path, options, lost};
        found = values_of(again.topic<Bytes, Bytes>("t").replay({.check = Check::always})).size();
    });
    CAPTURE(error ? error->what() : "no error");
    CHECK(found == 21);
}
