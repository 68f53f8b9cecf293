// SPDX-License-Identifier: MIT
// A program that has closed its standard descriptors, and prints all the same.
#include <unistd.h>

#include <string>

#include "catch.hpp"
#include "limits/small_disk.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;

TEST_CASE("what a program without standard descriptors prints goes to no file of the log") {
    World<NativePlatform> world;
    int const outcome = outcome_in_child([&] {
        {
            auto log = world.open({.keeper = false});
            for (int const number : {0, 1, 2}) ::close(number);
            auto const topic = log.topic<Bytes, Bytes>("t", {.partitions = 2});
            for (std::uint32_t i = 0; i < 2; ++i) topic.partition(i).append({}, as_bytes("v"));
            std::string const message(200, 'm');
            for (int const number : {0, 1, 2}) {
                (void)!::write(number, message.data(), message.size());
            }
            for (std::uint32_t i = 0; i < 2; ++i) topic.partition(i).append({}, as_bytes("w"));
            log.close();
        }
        auto log = world.open({.keeper = false});
        return values_of(log.topic<Bytes, Bytes>("t").replay()).size() == 4 ? 0 : 1;
    });
    CHECK(outcome == 0);
}
