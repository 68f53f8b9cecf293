// SPDX-License-Identifier: MIT
// A group's committed positions byte by byte.
#include <annals/format/positions.hpp>

#include <vector>

#include "catch.hpp"
#include "format/hex.hpp"
#include "platform/machines.hpp"

using namespace annals;
using namespace annals::format;
using namespace annals::test;

namespace {

Id example_id() {
    Id id;
    id.fill(std::byte{0xAB});
    return id;
}

std::vector<std::byte> example() {
    return encode_positions(example_id(), {{.offset = 0x11, .epoch = 1}, {}, {0x22, 3}});
}

Errc refusal(Bytes file, std::uint32_t partitions = 3) {
    return code_of([&] { (void)decode_positions(file, example_id(), partitions, "group"); });
}

}  // namespace

TEST_CASE("positions lie behind a head that checks them") {
    CHECK(hex(example()) ==
          "41 4e 4e 41 4c 47 52 50 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
          "ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab 03 00 00 00 00 00 00 00 "
          "a3 40 b4 4a 6f fb c3 f3 "  // hash of the positions
          "f3 80 3c dd 9a 19 2e 46 "  // check
          "11 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 "
          "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
          "22 00 00 00 00 00 00 00 03 00 00 00 00 00 00 00");
}

TEST_CASE("positions come back as they were written") {
    auto const decoded = decode_positions(example(), example_id(), 3, "group");
    REQUIRE(decoded);
    CHECK((*decoded)[0].offset == 0x11);
    CHECK((*decoded)[0].epoch == 1);
    CHECK((*decoded)[0].is_committed());
    CHECK_FALSE((*decoded)[1].is_committed());
    CHECK((*decoded)[2].offset == 0x22);
    CHECK((*decoded)[2].epoch == 3);
}

TEST_CASE("positions of an earlier topic of the same name are none") {
    Id other = example_id();
    other[15] = std::byte{0};
    CHECK_FALSE(decode_positions(example(), other, 3, "group"));
}

TEST_CASE("every change of any byte of a group's positions is noticed") {
    for_each_change(example(), [](auto const& damaged, std::size_t at) {
        INFO("byte " << at);
        bool const is_version = (at >= 8 && at < 10) || (at >= 12 && at < 16);
        CHECK(refusal(damaged) == (is_version ? Errc::unsupported_format : Errc::corrupt));
    });
}

TEST_CASE(
    "positions that are cut short, too long, or of another number of partitions are corrupt") {
    auto file = example();
    for (std::size_t size = 0; size < file.size(); ++size) {
        CHECK(refusal(Bytes{file}.first(size)) == Errc::corrupt);
    }
    CHECK(refusal(file, 2) == Errc::corrupt);
    CHECK(refusal(file, 4) == Errc::corrupt);
    CHECK(refusal(file) == Errc::ok);
    file.resize(file.size() + 16);
    CHECK(refusal(file) == Errc::corrupt);
}

TEST_CASE("positions of a newer minor version or with compatible features are read") {
    auto const changed = [](auto change) {
        auto file = example();
        auto head = annals::detail::load<PositionsHead>(file.data());
        change(head.preamble);
        annals::detail::store(file.data(), checked(head));
        return refusal(file);
    };
    CHECK(changed([](Preamble& p) { p.minor = 9; }) == Errc::ok);
    CHECK(changed([](Preamble& p) { p.compatible_features = 1; }) == Errc::ok);
    CHECK(changed([](Preamble& p) { p.major = 2; }) == Errc::unsupported_format);
    CHECK(changed([](Preamble& p) { p.incompatible_features = 1; }) == Errc::unsupported_format);
}
