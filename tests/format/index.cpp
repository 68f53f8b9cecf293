// SPDX-License-Identifier: MIT
// A sparse index byte by byte. It is derived, so what is wrong with it is never an error.
#include <annals/format/index.hpp>

#include <vector>

#include "catch.hpp"
#include "format/hex.hpp"

using namespace annals;
using namespace annals::format;
using namespace annals::test;

namespace {

constexpr std::uint64_t salt = 0x0102030405060708;
constexpr std::uint64_t capacity = 65'536;

IndexContents example() {
    return {.entries = {{.number = 3, .place = 4'120 / 8, .max_timestamp_before = 7},
                        {.number = 300, .place = 40'000 / 8, .max_timestamp_before = 9}},
            .max_timestamp = 10};
}

}  // namespace

TEST_CASE("index entries lie behind a head that binds them to their segment") {
    CHECK(hex(encode_index(salt, example())) ==
          "41 4e 4e 41 4c 49 44 58 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
          "08 07 06 05 04 03 02 01 02 00 00 00 00 00 00 00 "
          "10 d6 fd c1 e6 07 24 64 "  // hash of the entries
          "0a 00 00 00 00 00 00 00 "
          "c0 49 fe 66 7d 29 04 a0 "  // check
          "03 00 00 00 03 02 00 00 07 00 00 00 00 00 00 00 "
          "2c 01 00 00 88 13 00 00 09 00 00 00 00 00 00 00");
}

TEST_CASE("an index comes back as it was written, also an empty one") {
    auto const decoded = decode_index(encode_index(salt, example()), salt, capacity);
    REQUIRE(decoded);
    REQUIRE(decoded->entries.size() == 2);
    CHECK(decoded->entries[1].extent() == Extent{300, 40'000});
    CHECK(decoded->entries[1].max_timestamp_before == 9);
    CHECK(decoded->max_timestamp == 10);
    auto const empty = decode_index(encode_index(salt, {}), salt, capacity);
    REQUIRE(empty);
    CHECK(empty->entries.empty());
    CHECK(empty->max_timestamp == before_all_time);
}

TEST_CASE("every change of any byte of an index makes it none") {
    for_each_change(encode_index(salt, example()), [](auto const& damaged, std::size_t at) {
        INFO("byte " << at);
        CHECK_FALSE(decode_index(damaged, salt, capacity));
    });
}

TEST_CASE("an index of another segment, cut short or too long is none") {
    auto file = encode_index(salt, example());
    CHECK_FALSE(decode_index(file, salt + 1, capacity));
    for (std::size_t size = 0; size < file.size(); ++size) {
        CHECK_FALSE(decode_index(Bytes{file}.first(size), salt, capacity));
    }
    file.resize(file.size() + 16);
    CHECK_FALSE(decode_index(file, salt, capacity));
}

TEST_CASE("an index with entries outside the segment is none") {
    for (std::uint64_t const place : {std::uint64_t{0}, std::uint64_t{4'088}, capacity}) {
        IndexContents contents = example();
        contents.entries[0].place = static_cast<std::uint32_t>(place / 8);
        CHECK_FALSE(decode_index(encode_index(salt, contents), salt, capacity));
    }
}

TEST_CASE("an index of a newer format is none, of a newer minor version it is read") {
    auto const is_read = [](auto change) {
        auto file = encode_index(salt, example());
        auto head = annals::detail::load<IndexHead>(file.data());
        change(head.preamble);
        annals::detail::store(file.data(), checked(head));
        return decode_index(file, salt, capacity).has_value();
    };
    CHECK(is_read([](Preamble& p) { p.minor = 9; }));
    CHECK(is_read([](Preamble& p) { p.compatible_features = 1; }));
    CHECK_FALSE(is_read([](Preamble& p) { p.major = 2; }));
    CHECK_FALSE(is_read([](Preamble& p) { p.incompatible_features = 1; }));
}
