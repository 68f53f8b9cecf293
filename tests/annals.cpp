// SPDX-License-Identifier: MIT
// The umbrella: everything by its everyday name, and a citizen among other headers. umbrella.cpp
// includes it too and is linked into the same program.
#include <annals/annals.hpp>
#include <annals/fmt.hpp>
#include <annals/platform/memory.hpp>

#include <concepts>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "world.hpp"

using namespace annals::test;

// Without `using namespace annals`: each name as a user would write it.

TEST_CASE("everyday names stand for the classes of the native platform") {
    using P = annals::NativePlatform;
    static_assert(std::same_as<annals::Log, annals::BasicLog<P>>);
    static_assert(
        std::same_as<annals::Topic<int, std::string>, annals::BasicTopic<int, std::string, P>>);
    static_assert(std::same_as<annals::Partition, annals::BasicPartition<P>>);
    static_assert(std::same_as<annals::Producer<int, int>, annals::BasicProducer<int, int, P>>);
    static_assert(std::same_as<annals::Consumer<int, int>, annals::BasicConsumer<int, int, P>>);
    static_assert(std::same_as<annals::Cursor, annals::BasicCursor<P>>);
    static_assert(std::same_as<annals::Replay<int, int>, annals::BasicReplay<int, int, P>>);
    static_assert(std::derived_from<annals::Record<int, int>, annals::RecordView>);
    static_assert(std::same_as<annals::MemoryLog, annals::BasicLog<annals::MemoryPlatform>>);
    SUCCEED("checked when compiling");
}

namespace {

/// Handles as members: what `auto` hides elsewhere is spelt out.
class Service {
public:
    explicit Service(annals::Log log)
        : log_{std::move(log)},
          orders_{log_.topic<std::string, int>("orders")},
          producer_{orders_.producer()},
          consumer_{orders_.consumer({.group = "service"})},
          partition_{orders_.partition(0)},
          cursor_{partition_.cursor()},
          everything_{orders_.replay()} {}

    annals::RecordMetadata order(std::string_view what, int count) {
        return producer_.send(what, count);
    }
    annals::Records<std::string, int> poll() { return consumer_.poll(std::chrono::nanoseconds{0}); }
    annals::Offset end() const { return orders_.end_offset(); }
    annals::Replay<std::string, int> const& at_start() const { return everything_; }
    std::optional<annals::RecordView> next() { return cursor_.next(); }

private:
    annals::Log log_;
    annals::Topic<std::string, int> orders_;
    annals::Producer<std::string, int> producer_;
    annals::Consumer<std::string, int> consumer_;
    annals::Partition partition_;
    annals::Cursor cursor_;
    annals::Replay<std::string, int> everything_;
};

}  // namespace

TEST_CASE("services hold handles as members and may be moved") {
    World<annals::NativePlatform> world;
    std::vector<Service> services;
    services.emplace_back(annals::Log{world.path});
    services.front().order("tea", 2);
    Service moved{std::move(services.front())};
    services.clear();
    moved.order("milk", 1);
    CHECK(moved.end() == annals::Offset{2});
    CHECK(moved.poll().size() == 2);
    CHECK(moved.next()->offset() == annals::Offset{0});
    CHECK(values_of(moved.at_start()).empty());
}

TEST_CASE("handles are values") {
    using annals::Consumer, annals::Cursor, annals::Log, annals::Partition, annals::Producer,
        annals::Record, annals::RecordView, annals::Records, annals::Replay, annals::Topic;
    static_assert(std::copyable<Topic<int, int>> && std::copyable<Producer<int, int>>);
    static_assert(std::copyable<Partition> && std::copyable<Cursor>);
    static_assert(std::copyable<Replay<int, int>> && std::copyable<Records<int, int>>);
    static_assert(std::copyable<Record<int, int>> && std::copyable<RecordView>);
    static_assert(std::movable<Log> && std::movable<Consumer<int, int>>);
    static_assert(!std::copyable<Log> && !std::copyable<Consumer<int, int>>);
    static_assert(std::derived_from<annals::Error, std::runtime_error>);
    static_assert(std::is_nothrow_copy_constructible_v<annals::Error>);
    SUCCEED("checked when compiling");
}

// What a program says about itself must not change what the header means, nor the other way round.
#if defined(XXH_INLINE_ALL) || defined(XXH64) || defined(major) || defined(minor)
#error "annals.hpp leaks macros"
#endif
