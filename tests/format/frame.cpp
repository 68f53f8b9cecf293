// SPDX-License-Identifier: MIT
// A frame byte by byte: where each field lies, what its check covers, what is refused.
#include <annals/format/frame.hpp>

#include <array>
#include <limits>
#include <string>
#include <vector>

#include "catch.hpp"
#include "format/hex.hpp"

using namespace annals;
using namespace annals::format;
using namespace annals::test;
using namespace std::string_literals;

namespace {

constexpr std::uint64_t salt = 0x1122334455667788;
constexpr std::uint64_t place = 4096;

struct Parts {
    std::string key{};
    std::string headers{};  // as they lie, with their length
    std::string value{};
    std::uint16_t flags = 0;
};

/// A data frame put together by hand, as long as it is without its padding.
std::vector<std::byte> frame_of(Parts const& parts) {
    FrameHeader const header{.number = 7,
                             .key_length = static_cast<std::uint16_t>(parts.key.size()),
                             .flags = parts.flags,
                             .detail = 1'700'000'000'123'456'789};
    std::vector<std::byte> frame(sizeof header);
    annals::detail::store(frame.data(), header);
    for (char const c : parts.key + parts.headers + parts.value) {
        frame.push_back(static_cast<std::byte>(c));
    }
    auto const length = frame.size();
    frame.resize(frame_extent(length));
    annals::detail::store(
        frame.data(), published_word(frame.data(), FrameState::data, length, salt, place).raw());
    frame.resize(length);
    return frame;
}

FrameWord word_of(std::vector<std::byte> const& frame) {
    return FrameWord{annals::detail::load<std::uint64_t>(frame.data())};
}

bool passes(std::vector<std::byte> const& frame, std::uint64_t with_salt = salt,
            std::uint64_t at = place) {
    FrameWord const word = word_of(frame);
    return frame_check(frame.data(), word, with_salt, at) == word.check();
}

}  // namespace

TEST_CASE("a frame's word holds length, state and check in 28, 4 and 32 bits") {
    constexpr FrameWord word{FrameState::seal, 0xABCDEF1, 0x11223344};
    static_assert(word.raw() == 0x11223344'4ABCDEF1);
    static_assert(word.length() == 0xABCDEF1 && word.state() == FrameState::seal);
    static_assert(word.check() == 0x11223344 && word.claimed_records() == 0x11223344);
    static_assert(word.low() == 0x4ABCDEF1);
    static_assert(FrameWord{}.raw() == 0 && FrameWord{}.state() == FrameState::empty);
    static_assert(FrameWord{FrameState::claimed, FrameWord::max_length, 0}.length() == 0xFFFFFFF);
    SUCCEED("checked when compiling");
}

TEST_CASE("readers act on records, voids and seals, and on no other state") {
    for (unsigned state = 0; state < 16; ++state) {
        FrameWord const word{std::uint64_t{state} << 28 | 24};
        CHECK(word.is_published() == (state == 2 || state == 3 || state == 4));
    }
}

TEST_CASE("the fields of a frame lie at their places") {
    // "id": "4bf9" and "x" without a value, between the key "key" and the value "value".
    std::string const headers{"\x13\0\0\0\x02\0\x04\0\0\0id4bf9\x01\0\0\0\0\0x", 23};
    auto frame = frame_of({.key = "key", .headers = headers, .value = "value", .flags = 7});
    CHECK(hex(Bytes{frame}.first(4)) == "37 00 00 20");                    // 55 bytes, data
    CHECK(hex(Bytes{frame}.subspan(4, 4)) == "e3 8e 9d 09");               // check
    CHECK(hex(Bytes{frame}.subspan(8, 4)) == "07 00 00 00");               // number
    CHECK(hex(Bytes{frame}.subspan(12, 2)) == "03 00");                    // key's length
    CHECK(hex(Bytes{frame}.subspan(14, 2)) == "07 00");                    // flags
    CHECK(hex(Bytes{frame}.subspan(16, 8)) == "15 cd 85 3d fe 9c 97 17");  // timestamp
    CHECK(hex(Bytes{frame}.subspan(24, 3)) == "6b 65 79");                 // key
    CHECK(hex(Bytes{frame}.subspan(27, 4)) == "13 00 00 00");              // headers' length
}

TEST_CASE("key and value are absent, empty or present, with headers or none, alone or in a batch") {
    struct Part {
        bool is_there;
        std::string bytes;
    };
    std::array<Part, 3> const states{Part{false, ""}, Part{true, ""}, Part{true, "abc"}};
    std::array const some{Header{"name", as_bytes("v")}};
    for (Part const& key : states) {
        for (Part const& value : states) {
            for (int const batch : {0, 8, 16, 24}) {
                for (bool const has : {false, true}) {
                    std::string headers(has ? headers_bytes(some) : 0, '\0');
                    if (has) {
                        encode_headers(reinterpret_cast<std::byte*>(headers.data()), some);
                    }
                    auto const flags = static_cast<std::uint16_t>(
                        (key.is_there ? 1 : 0) + (value.is_there ? 2 : 0) + (has ? 4 : 0) + batch);
                    auto const frame = frame_of({key.bytes, headers, value.bytes, flags});
                    FrameView view;
                    REQUIRE(decode_frame(frame, view));
                    CHECK(view.flags == flags);
                    CHECK(as_text(view.key) == key.bytes);
                    CHECK(as_text(view.value) == value.bytes);
                    CHECK(as_text(view.headers) == (has ? headers.substr(4) : ""s));
                    CHECK(load_header(frame.data()).number == 7);
                    CHECK(view.timestamp == 1'700'000'000'123'456'789);
                }
            }
        }
    }
    CHECK(has_key == 1);
    CHECK(has_value == 2);
    CHECK(has_headers == 4);
    CHECK(batch_goes_on == 8);
    CHECK(batch_began_before == 16);
}

TEST_CASE("the next frame begins at the next multiple of 8") {
    CHECK(frame_extent(24) == 24);
    CHECK(frame_extent(25) == 32);
    CHECK(frame_extent(32) == 32);
    CHECK(frame_extent(FrameWord::max_length) == std::uint64_t{1} << 28);
}

TEST_CASE("headers lie behind their own length, each behind the lengths of its name and value") {
    std::array const headers{Header{"trace", as_bytes("4bf9")}, Header{"", as_bytes("x")},
                             Header{"flag", {}}, Header{"", {}}};
    std::vector<std::byte> bytes(headers_bytes(headers));
    CHECK(encode_headers(bytes.data(), headers) == bytes.data() + bytes.size());
    CHECK(hex(bytes) ==
          "26 00 00 00 "
          "05 00 04 00 00 00 74 72 61 63 65 34 62 66 39 "
          "00 00 01 00 00 00 78 "
          "04 00 00 00 00 00 66 6c 61 67 "
          "00 00 00 00 00 00");

    Bytes rest = Bytes{bytes}.subspan(4);
    for (Header const& expected : headers) {
        auto const header = take_header(rest);
        REQUIRE(header);
        CHECK(header->name == expected.name);
        CHECK(as_text(header->value) == as_text(expected.value));
    }
    CHECK(rest.empty());
    CHECK_FALSE(take_header(rest));
}

TEST_CASE("no headers take no bytes") {
    CHECK(headers_bytes({}) == 0);
    CHECK(encode_headers(nullptr, {}) == nullptr);
}

TEST_CASE("headers whose lengths would wrap are counted as too large for any limit") {
    auto const huge = std::numeric_limits<std::size_t>::max() / 2;
    Header const each{"name", Bytes{static_cast<std::byte const*>(nullptr), huge}};
    std::array const headers{each, each, each};
    CHECK(headers_bytes(headers) == std::numeric_limits<std::uint64_t>::max());
}

TEST_CASE("headers that are cut short are not taken") {
    std::array const headers{Header{"name", as_bytes("value")}};
    std::vector<std::byte> bytes(headers_bytes(headers));
    encode_headers(bytes.data(), headers);
    for (std::size_t size = 0; size < bytes.size() - 4; ++size) {
        Bytes rest = Bytes{bytes}.subspan(4, size);
        CHECK_FALSE(take_header(rest));
        CHECK(rest.size() == size);
    }
}

TEST_CASE("a frame whose lengths do not add up is not taken apart") {
    auto const frame = frame_of({.key = "key", .value = "value", .flags = 3});
    FrameView view;
    for (std::size_t size = 0; size < 27; ++size)
        CHECK_FALSE(decode_frame(Bytes{frame}.first(size), view));
    CHECK(decode_frame(Bytes{frame}.first(27), view));

    std::string const headers{"\x05\0\0\0headers", 11};  // five bytes, they say
    auto const told = frame_of({.headers = headers, .flags = has_headers});
    for (std::size_t size = 24; size < 33; ++size) {
        CHECK_FALSE(decode_frame(Bytes{told}.first(size), view));
    }
    REQUIRE(decode_frame(told, view));
    CHECK(as_text(view.headers) == "heade");
    CHECK(as_text(view.value) == "rs");
}

TEST_CASE("every change of any byte of a record's frame fails its check") {
    auto frame = frame_of({.key = "key", .value = "value", .flags = 3});
    frame.resize(frame_extent(frame.size()));
    REQUIRE(frame.size() == 32);
    REQUIRE(passes(frame));
    for_each_change(frame, [](auto const& damaged, std::size_t at) {
        // Lengths that leave the memory are refused before the check: tests/format/segment.cpp.
        std::uint64_t const length = word_of(damaged).length();
        if (length < frame_header_bytes || frame_extent(length) > damaged.size()) return;
        INFO("byte " << at);
        CHECK_FALSE((word_of(damaged).is_published() && passes(damaged)));
    });
}

TEST_CASE("a frame's check holds for one place and one salt") {
    auto frame = frame_of({.key = "key", .value = "value!!!", .flags = 3});
    frame.resize(frame_extent(frame.size()));
    CHECK(passes(frame, salt, place));
    CHECK_FALSE(passes(frame, salt, place + 8));
    CHECK_FALSE(passes(frame, salt, 0));
    CHECK_FALSE(passes(frame, salt + 1, place));
    CHECK_FALSE(passes(frame, 0, place));
}

TEST_CASE("a frame's check covers its length and its state") {
    std::vector<std::byte> const zeros(256);
    auto const check = [&](FrameState state, std::uint64_t length) {
        return frame_check(zeros.data(), FrameWord{state, length, 0}, salt, place);
    };
    auto const data = check(FrameState::data, 32);
    CHECK(data != check(FrameState::data, 31));  // the same bytes, one of them now padding
    CHECK(data != check(FrameState::data, 40));
    CHECK(data != check(FrameState::voided, 32));
    CHECK(check(FrameState::voided, 32) != check(FrameState::seal, 32));
    CHECK(check(FrameState::voided, 32) != check(FrameState::voided, 40));
}

TEST_CASE("the check of a void or seal covers its header and nothing behind it") {
    std::vector<std::byte> bytes(64);
    FrameWord const word{FrameState::voided, 64, 0};
    auto const check = [&] { return frame_check(bytes.data(), word, salt, place); };
    auto const before = check();
    bytes[24] = bytes[63] = std::byte{1};
    CHECK(check() == before);
    for (std::size_t at = 8; at < 24; ++at) {
        bytes[at] ^= std::byte{1};
        CHECK(check() != before);
        bytes[at] ^= std::byte{1};
    }
}

TEST_CASE("zeros are no frame") {
    std::vector<std::byte> const zeros(64);
    CHECK_FALSE(word_of(zeros).is_published());
    for (auto const state : {FrameState::data, FrameState::voided, FrameState::seal}) {
        FrameWord const word{state, 24, 0};
        CHECK(frame_check(zeros.data(), word, salt, place) != 0);
    }
}

TEST_CASE("the words of known frames are what they were when the format was fixed") {
    std::vector<std::byte> bytes(48);
    FrameHeader const header{.number = 3, .detail = 2};
    annals::detail::store(bytes.data(), header);
    auto const raw = [&](FrameState state, std::uint64_t length) {
        return published_word(bytes.data(), state, length, salt, place).raw();
    };
    CHECK(raw(FrameState::data, 24) == 0x152D7854'20000018);
    CHECK(raw(FrameState::data, 43) == 0xF83423EE'2000002B);
    CHECK(raw(FrameState::voided, 48) == 0x3062535A'30000030);
    CHECK(raw(FrameState::seal, 24) == 0x90317C07'40000018);
}
