// SPDX-License-Identifier: MIT
#include <annals/codec/sequence.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/helpers.hpp"

using namespace annals;
using namespace codec_tests;

namespace sequence_tests {
struct Point {
    std::uint8_t x;
    std::int16_t y;
};
struct Nothing {};
}  // namespace sequence_tests

using namespace sequence_tests;

TEST_CASE("text is its own bytes and decodes to a view of them") {
    using namespace std::string_view_literals;
    CHECK(encoded<std::string>("h\0i"sv) == "680069");
    CHECK(encoded<std::string>("").empty());
    auto const in = from_hex("680069");
    std::string_view const text = decode_as<std::string>(in);
    CHECK(text == "h\0i"sv);
    CHECK(as_bytes(text).data() == in.data());
    CHECK(decode_as<std::string>({}).empty());
    CHECK(codec_name<std::string>() == "string");
}

TEST_CASE("a view of text is the same to the log") {
    CHECK(encoded<std::string_view>("hi") == "6869");
    CHECK(codec_name<std::string_view>() == "string");
}

TEST_CASE("bytes are themselves and decode to a view") {
    auto const bytes = from_hex("00ff10");
    CHECK(encoded<Bytes>(bytes) == "00ff10");
    CHECK(encoded<Bytes>({}).empty());
    CHECK(decode_as<Bytes>(bytes).data() == bytes.data());
    CHECK(decode_as<Bytes>(bytes).size() == 3);
    CHECK(codec_name<Bytes>() == "bytes");
}

TEST_CASE("a vector is its elements in order") {
    CHECK(encoded<std::vector<std::int16_t>>({1, -1, 0x0203}) == "0100ffff0302");
    CHECK(encoded<std::vector<std::int16_t>>({}).empty());
    CHECK(encoded<std::vector<bool>>({true, false, true}) == "010001");
    CHECK(encoded<std::vector<Point>>({{1, 2}, {3, -1}}) == "01020003ffff");
    CHECK(encoded<std::vector<std::array<std::uint8_t, 2>>>({{1, 2}, {3, 4}}) == "01020304");

    CHECK(decoded<std::vector<std::int16_t>>("0100ffff") == std::vector<std::int16_t>{1, -1});
    CHECK(decoded<std::vector<std::int16_t>>("").empty());
    CHECK(decoded<std::vector<bool>>("010001") == std::vector<bool>{true, false, true});
    auto const points = decoded<std::vector<Point>>("01020003ffff");
    CHECK(points.size() == 2);
    CHECK(points[1].x == 3);
    CHECK(points[1].y == -1);
}

TEST_CASE("a vector is named by its elements") {
    CHECK(codec_name<std::vector<int>>() == "vector<i32>");
    CHECK(codec_name<std::vector<Point>>() == "vector<sequence_tests::Point:3>");
    CHECK(codec_name<std::vector<std::byte>>() == "vector<byte:1>");
}

TEST_CASE("a vector does not decode from a broken element") {
    CHECK(decode_code<std::vector<std::int16_t>>("010002") == Errc::decode_failed);
    CHECK(decode_code<std::vector<Point>>("01") == Errc::decode_failed);
    CHECK(decode_code<std::vector<bool>>("010200") == Errc::decode_failed);
    auto const failure = failure_of([] { (void)decoded<std::vector<std::int32_t>>("0102030405"); });
    CHECK(failure.message.find("vector<i32>") != std::string::npos);
}

TEST_CASE("encoding a sequence into too little room is an invalid argument") {
    std::array<std::byte, 3> out{};
    CHECK(code_of([&] { Codec<std::string>::encode("four", out); }) == Errc::invalid_argument);
    CHECK(code_of([&] { Codec<Bytes>::encode(as_bytes("four"), out); }) == Errc::invalid_argument);
    CHECK(code_of([&] { Codec<std::vector<int>>::encode({1}, out); }) == Errc::invalid_argument);
    CHECK(to_hex(out) == "000000");
}

TEST_CASE("vectors of what has no fixed size have no codec") {
    static_assert(!HasCodec<std::vector<std::string>> && !HasCodec<std::vector<int*>>);
    static_assert(!HasCodec<std::vector<std::vector<int>>> && !HasCodec<std::vector<Nothing>>);
    SUCCEED("all of it is checked when compiling");
}
