// SPDX-License-Identifier: MIT
#include <annals/partitioner.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <thread>
#include <vector>

#include "catch.hpp"

using namespace annals;

// The vectors of Kafka's UtilsTest.testMurmur2.
TEST_CASE("keys hash as Kafka's Java client hashes them") {
    auto const hash = [](std::string_view key) {
        return static_cast<std::int32_t>(detail::murmur2(as_bytes(key)));
    };
    CHECK(hash("21") == -973932308);
    CHECK(hash("foobar") == -790332482);
    CHECK(hash("a-little-bit-long-string") == -985981536);
    CHECK(hash("a-little-bit-longer-string") == -1486304829);
    CHECK(hash("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8") == -58897971);
    CHECK(hash("abc") == 479470107);
}

TEST_CASE("bytes above 127 hash as unsigned, in the tail too") {
    // Computed with an independent implementation of Utils.murmur2.
    constexpr std::array<std::byte, 7> key{std::byte{0xff}, std::byte{0x80}, std::byte{0x00},
                                           std::byte{0xfe}, std::byte{0xc3}, std::byte{0xa9},
                                           std::byte{0xff}};
    CHECK(static_cast<std::int32_t>(detail::murmur2(key)) == -1524457176);
    CHECK(static_cast<std::int32_t>(detail::murmur2({})) == 275646681);
}

TEST_CASE("a key's partition is the hash without its sign, modulo the count") {
    CHECK(partition_for_key(as_bytes("21"), 1'000'000) == (3321034988u & 0x7fffffffu) % 1'000'000);
    CHECK(partition_for_key(as_bytes("abc"), 7) == 479470107 % 7);
    CHECK(partition_for_key(as_bytes("foobar"), 1) == 0);
    CHECK(partition_for_key({}, 3) < 3);
    CHECK_THROWS_AS(partition_for_key(as_bytes("abc"), 0), Error);
}

TEST_CASE("keyless records stay in a partition for a while, then go to the next, around") {
    StickyPartition sticky{3};
    for (std::uint32_t const expected : {0u, 1u, 2u, 0u}) {
        for (std::uint32_t i = 0; i < StickyPartition::stay; ++i) {
            REQUIRE(sticky.next() == expected);
        }
    }
}

TEST_CASE("keyless records begin with the partition that was given") {
    CHECK(StickyPartition{3, 2}.next() == 2);
    CHECK(StickyPartition{3, 4}.next() == 1);
    CHECK(StickyPartition{1, 0xffffffff}.next() == 0);
    CHECK_THROWS_AS(StickyPartition{0}, Error);
}

TEST_CASE("threads that choose at once reach all partitions and no other") {
    constexpr std::uint32_t partitions = 4;
    StickyPartition sticky{partitions};
    std::array<std::atomic<int>, partitions> counts{};
    std::atomic<int> outside{0};
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&] {
                for (int i = 0; i < 20'000; ++i) {
                    std::uint32_t const partition = sticky.next();
                    ++(partition < partitions ? counts[partition] : outside);
                }
            });
        }
    }
    CHECK(outside == 0);
    for (auto const& count : counts) CHECK(count > 0);
}
