// SPDX-License-Identifier: MIT
// How long a topic keeps its records, as its users see it.
#include <annals/annals.hpp>

#include <chrono>
#include <string>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

template <class P>
format::Retention stored(World<P>& world) {
    auto const file = world.directory("topics", "t").open_file("topic.meta", Access::read);
    return format::decode_topic_meta(as_bytes(content(file)), "topic.meta").retention;
}

}  // namespace

TEMPLATE_TEST_CASE("a limit that is given is stored, and holds until another is given", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open();
    auto const open = [&](TopicOptions const& options) {
        (void)log.template topic<Bytes, Bytes>("t", options);
        return stored(world);
    };
    CHECK(open({}) == format::Retention{});
    CHECK_FALSE(open({}).is_limited());
    CHECK(open({.retention_age = 8h}) == format::Retention{.age = 8h});
    CHECK(open({.retention_bytes = 1'000'000}) == format::Retention{.age = 8h, .bytes = 1'000'000});
    CHECK(open({}).effective_segment_age() == 2h);
    CHECK(open({.retention_records = 5, .segment_age = 1h}) ==
          format::Retention{.age = 8h, .bytes = 1'000'000, .records = 5, .segment_age = 1h});
    CHECK(open({.retention_age = std::chrono::nanoseconds::max(),
                .retention_bytes = unlimited,
                .retention_records = unlimited})
              .effective_segment_age() == 1h);
}

TEST_CASE("a limit of nothing is refused") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto const refusal = [&](TopicOptions const& options) {
        return code_of([&] { (void)log.topic<Bytes, Bytes>("t", options); });
    };
    CHECK(refusal({.retention_age = 0ns}) == Errc::invalid_argument);
    CHECK(refusal({.retention_age = -1ns}) == Errc::invalid_argument);
    CHECK(refusal({.retention_bytes = 0}) == Errc::invalid_argument);
    CHECK(refusal({.retention_records = 0}) == Errc::invalid_argument);
    CHECK(refusal({.segment_age = 0ns}) == Errc::invalid_argument);
    CHECK(log.topics().empty());
}
