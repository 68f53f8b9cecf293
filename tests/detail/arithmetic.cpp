// SPDX-License-Identifier: MIT
#include <annals/detail/arithmetic.hpp>

#include <array>
#include <cstdint>
#include <limits>

#include "catch.hpp"

using namespace annals::detail;

namespace {

constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

}  // namespace

TEST_CASE("aligning up goes to the next multiple and leaves multiples alone") {
    CHECK(align_up(0, 8) == 0);
    CHECK(align_up(1, 8) == 8);
    CHECK(align_up(7, 8) == 8);
    CHECK(align_up(8, 8) == 8);
    CHECK(align_up(9, 8) == 16);
    CHECK(align_up(4095, 4096) == 4096);
    CHECK(align_up(4097, 4096) == 8192);
}

TEST_CASE("a sum that would wrap is the largest number instead") {
    CHECK(add_saturating(2, 3) == 5);
    CHECK(add_saturating(most, 0) == most);
    CHECK(add_saturating(most - 3, 3) == most);
    CHECK(add_saturating(most - 3, 4) == most);
    CHECK(add_saturating(most, most) == most);
}

TEST_CASE("powers of two are told from other numbers") {
    for (unsigned bit = 0; bit < 64; ++bit) CHECK(is_power_of_two(std::uint64_t{1} << bit));
    for (std::uint64_t const other :
         {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{65'535}, std::uint64_t{65'537}, most}) {
        CHECK_FALSE(is_power_of_two(other));
    }
}

TEST_CASE("the power of two for a number is the smallest that is not below it") {
    CHECK(power_of_two_for(0) == 1);
    CHECK(power_of_two_for(1) == 1);
    CHECK(power_of_two_for(2) == 2);
    CHECK(power_of_two_for(3) == 4);
    CHECK(power_of_two_for(65'536) == 65'536);
    CHECK(power_of_two_for(65'537) == 131'072);
    CHECK(power_of_two_for(std::uint64_t{1} << 63) == std::uint64_t{1} << 63);
}

TEST_CASE("words are stored and loaded at places of any alignment, lowest byte first") {
    for (std::size_t place = 0; place < 8; ++place) {
        std::array<std::byte, 16> bytes{};
        store(bytes.data() + place, std::uint32_t{0x04030201});
        for (unsigned i = 0; i < 4; ++i) CHECK(bytes[place + i] == std::byte(i + 1));
        CHECK(bytes[place + 4] == std::byte{0});
        CHECK(load<std::uint32_t>(bytes.data() + place) == 0x04030201);
        CHECK(load<std::uint64_t>(bytes.data() + place) == 0x04030201);
    }
}
