// SPDX-License-Identifier: MIT
#include <annals/codec/load_store.hpp>

#include <array>
#include <cstdint>

#include "codec/helpers.hpp"

using namespace annals;
using namespace codec_tests;

namespace {
enum class Level : std::uint16_t { low = 1, high = 0x0102 };
enum class Switch : bool { off, on };
}  // namespace

TEST_CASE("numbers are stored little-endian and leave the bytes behind them alone") {
    std::array<std::byte, 10> out{};
    out.fill(std::byte{0xaa});
    store_le(MutableBytes{out}, std::uint32_t{0x01020304});
    CHECK(to_hex(out) == "04030201aaaaaaaaaaaa");
    store_le(MutableBytes{out}, std::int64_t{-2});
    CHECK(to_hex(out) == "feffffffffffffffaaaa");
    store_le(MutableBytes{out}, 1.5f);
    CHECK(to_hex(Bytes{out}.first(4)) == "0000c03f");
    store_le(MutableBytes{out}, Level::high);
    CHECK(to_hex(Bytes{out}.first(2)) == "0201");
    store_le(MutableBytes{out}, true);
    CHECK(to_hex(Bytes{out}.first(1)) == "01");
}

TEST_CASE("numbers are loaded from the first bytes, whatever follows") {
    auto const in = from_hex("0403020100000080ff");
    CHECK(load_le<std::uint8_t>(in) == 4);
    CHECK(load_le<std::int32_t>(in) == 0x01020304);
    CHECK(load_le<std::uint64_t>(in) == 0x8000000001020304u);
    CHECK(load_le<Level>(from_hex("0201")) == Level::high);
    CHECK(load_le<double>(from_hex("00000000000000c0")) == -2.0);
}

TEST_CASE("loading a number from too few bytes fails to decode and tells both sizes") {
    auto const failure = failure_of([] { (void)load_le<std::uint32_t>(from_hex("010203")); });
    CHECK(failure.code == Errc::decode_failed);
    CHECK(failure.message.find("4 bytes") != std::string::npos);
    CHECK(failure.message.find("from 3") != std::string::npos);
    CHECK(code_of([] { (void)load_le<std::uint8_t>({}); }) == Errc::decode_failed);
    CHECK(code_of([] { (void)load_le<bool>({}); }) == Errc::decode_failed);
    CHECK(code_of([] { (void)load_le<double>(from_hex("00000000000000")); }) ==
          Errc::decode_failed);
}

TEST_CASE("a byte that is neither 0 nor 1 is no bool") {
    CHECK(load_le<bool>(from_hex("00")) == false);
    CHECK(load_le<bool>(from_hex("01")) == true);
    CHECK(code_of([] { (void)load_le<bool>(from_hex("02")); }) == Errc::decode_failed);
    CHECK(code_of([] { (void)load_le<bool>(from_hex("ff")); }) == Errc::decode_failed);
    CHECK(load_le<Switch>(from_hex("01")) == Switch::on);
    CHECK(code_of([] { (void)load_le<Switch>(from_hex("02")); }) == Errc::decode_failed);
}

TEST_CASE("storing into too few bytes is an invalid argument and writes nothing") {
    std::array<std::byte, 3> out{};
    CHECK(code_of([&] { store_le(MutableBytes{out}, std::uint32_t{0xffffffff}); }) ==
          Errc::invalid_argument);
    CHECK(code_of([] { store_le(MutableBytes{}, true); }) == Errc::invalid_argument);
    CHECK(to_hex(out) == "000000");
}

TEST_CASE("bytes are copied to the front where they fit, else it is an invalid argument") {
    std::array<std::byte, 4> out{};
    copy_bytes(as_bytes("abc"), out);
    CHECK(to_hex(out) == "61626300");
    copy_bytes({}, out);
    copy_bytes({}, {});
    CHECK(to_hex(out) == "61626300");
    auto const failure = failure_of([&] { copy_bytes(as_bytes("abcde"), out); });
    CHECK(failure.code == Errc::invalid_argument);
    CHECK(failure.message.find("5 bytes") != std::string::npos);
    CHECK(to_hex(out) == "61626300");
}
