// SPDX-License-Identifier: MIT
// A closed log that was copied with cp -r: nothing of the copy is durable yet, and its first life
// promises with Sync::always, or is refused.
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

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

/// A closed log of 20 records, all of them polled and committed, and copies of it.
struct Copied {
    World<MemoryPlatform> world{};
    MemoryPlatform& machine = world.machine.platform;
    LogOptions options{.segment_bytes = 64 << 10};

    Copied() {
        auto log = world.open(options);
        auto const topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::always});
        for (int i = 0; i < 20; ++i) {
            topic.partition(0).append({}, as_bytes(std::string(8'000, 'v')));
        }
        auto consumer = topic.consumer({.group = "g"});
        (void)consumer.poll(0ns);
        consumer.commit();
        log.close();
    }

    /// Where it is.
    std::string make(std::string const& name) {
        std::string path = world.machine.path + "/" + name;
        auto copy = machine.open_directory(path, Access::write);
        copy_tree(world.directory(), copy);
        return path;
    }

    [[nodiscard]] std::optional<Error> open(std::string const& path) const {
        return error_of([&] {
            MemoryLog log{path, options, machine};
            Offset const durable = log.topic<Bytes, Bytes>("t").durable_offset();
            CHECK(durable == Offset{20});
        });
    }
};

}  // namespace

TEST_CASE("what a copy of a closed log held, and what is sent to it, survives power loss") {
    Copied copied;
    auto const& [world, machine, options] = copied;
    std::string const path = copied.make("copy");
    MemoryLog log{path, options, machine};
    auto const topic = log.topic<Bytes, Bytes>("t");
    topic.partition(0).append({}, as_bytes("paid"));
    REQUIRE(topic.durable_offset() == Offset{21});
    auto const lost = machine.after_power_loss();
    std::size_t found = 0;
    std::optional<Offset> committed;
    auto const error = error_of([&] {
        MemoryLog again{path, options, lost};
        auto const survived = again.topic<Bytes, Bytes>("t");
        found = values_of(survived.replay({.check = Check::always})).size();
        committed = survived.consumer({.group = "g"}).committed(0);
    });
    CAPTURE(error ? error->what() : "no error");
    CHECK(found == 21);
    CHECK(committed == Offset{20});
}

TEST_CASE("a copy that could not be made durable is refused until it is copied again") {
    Copied copied;
    unsigned failed = 0;
    for (unsigned after = 0; after < 8; ++after) {
        CAPTURE(after);
        std::string const name = "copy" + std::to_string(after);
        std::string const path = copied.make(name);
        copied.machine.fail_next(Operation::sync, EIO, after);
        auto const error = copied.open(path);
        copied.machine.clear_failures();
        if (!error) continue;
        ++failed;
        CHECK(error->code() == Errc::sync_failed);
        auto const refusal = copied.open(path);
        REQUIRE(refusal);
        CHECK(refusal->code() == Errc::sync_failed);
        CHECK(std::string_view{refusal->what()}.find("copy it again") != std::string_view::npos);
        CHECK(values_of(MemoryLog{path, {.read_only = true}, copied.machine}
                            .topic<Bytes, Bytes>("t")
                            .replay())
                  .size() == 20);
        CHECK_FALSE(copied.open(copied.make(name + "_again")));
        MemoryPlatform const restarted = copied.machine.after_power_loss();
        CHECK(code_of([&] {
                  MemoryLog{path, copied.options, restarted}.topic<Bytes, Bytes>("t");
              }) != Errc::sync_failed);
    }
    CHECK(failed > 3);  // the segments, the control file, the descriptions
}
