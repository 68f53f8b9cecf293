// SPDX-License-Identifier: MIT
// Mappings that nobody reads in any more must not keep others from being made.
#include <sys/resource.h>

#include <fstream>
#include <string>

#include "catch.hpp"
#include "limits/small_disk.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;

namespace {

rlim_t used() {
    std::ifstream file{"/proc/self/statm"};
    rlim_t pages = 0;
    file >> pages;
    return pages * 4096;
}

}  // namespace

TEST_CASE("a replay of more than can be mapped at once goes through, and so do sends after it") {
    bool const is_attached = GENERATE(false, true);
    CAPTURE(is_attached);
    constexpr std::size_t records = 1'000;  // 100 MB, in segments of a MiB
    World<NativePlatform> world;
    LogOptions const options{.segment_bytes = 1 << 20, .keeper = false};
    {
        auto log = world.open(options);
        auto const topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
        std::string const value(100'000, 'v');
        for (std::size_t i = 0; i < records; ++i) topic.partition(0).append({}, as_bytes(value));
    }
    CHECK(outcome_in_child([&] {
              auto log = is_attached ? world.attach() : world.open(options);
              auto const topic = log.topic<Bytes, Bytes>("t");
              struct rlimit limit {};
              ::getrlimit(RLIMIT_AS, &limit);
              limit.rlim_cur = used() + (rlim_t{32} << 20);
              if (::setrlimit(RLIMIT_AS, &limit) != 0) return 2;
              std::size_t count = 0;
              for (auto const& record : topic.replay()) count += record.has_value() ? 1u : 0u;
              if (count != records) return 3;
              if (is_attached) return 0;
              std::string const value(100'000, 'w');
              for (int i = 0; i < 30; ++i) topic.partition(0).append({}, as_bytes(value));
              return 0;
          }) == 0);
}
