// SPDX-License-Identifier: MIT
// What files begin with and how fixed-size records are checked.
#include <annals/format/record.hpp>

#include <string>
#include <vector>

#include "catch.hpp"
#include "format/hex.hpp"
#include "platform/machines.hpp"

using namespace annals;
using namespace annals::format;
using namespace annals::test;

namespace {

constexpr Magic magic{'A', 'N', 'N', 'A', 'L', 'X', 'Y', 'Z'};

struct Example {
    static constexpr std::uint64_t check_seed = 7;

    std::uint64_t number = 0;
    std::uint64_t check = 0;
};

struct Other {
    static constexpr std::uint64_t check_seed = 8;

    std::uint64_t number = 0;
    std::uint64_t check = 0;
};

struct WithoutCheck {
    std::uint64_t number = 0;
};

/// The code with which a file of that beginning is refused; ok: it is not.
Errc refusal(Preamble const& preamble) {
    return code_of([&] { require_readable(bytes_of(preamble), magic, "path"); });
}

}  // namespace

TEST_CASE("a preamble's fields lie at their places") {
    Preamble const preamble{.magic = magic,
                            .major = 0x0102,
                            .minor = 0x0304,
                            .incompatible_features = 0x05060708,
                            .compatible_features = 0x090A0B0C,
                            .reserved = 0};
    CHECK(hex(bytes_of(preamble)) ==
          "41 4e 4e 41 4c 58 59 5a 02 01 04 03 08 07 06 05 0c 0b 0a 09 00 00 00 00");
}

TEST_CASE("this is format 1.0 and knows no incompatible feature") {
    CHECK(major_version == 1);
    CHECK(minor_version == 0);
    CHECK(known_incompatible_features == 0);
    CHECK(hex(bytes_of(Preamble{.magic = magic})) ==
          "41 4e 4e 41 4c 58 59 5a 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
}

TEST_CASE("a newer minor version and unknown compatible features are readable") {
    CHECK(refusal({.magic = magic}) == Errc::ok);
    CHECK(refusal({.magic = magic, .minor = 65'535}) == Errc::ok);
    CHECK(refusal({.magic = magic, .compatible_features = 0xFFFFFFFF}) == Errc::ok);
}

TEST_CASE("another major version and unknown incompatible features are refused as unsupported") {
    CHECK(refusal({.magic = magic, .major = 2}) == Errc::unsupported_format);
    CHECK(refusal({.magic = magic, .major = 0}) == Errc::unsupported_format);
    CHECK(refusal({.magic = magic, .major = 65'535}) == Errc::unsupported_format);
    for (unsigned bit = 0; bit < 32; ++bit) {
        CHECK(refusal({.magic = magic, .incompatible_features = 1u << bit}) ==
              Errc::unsupported_format);
    }
}

TEST_CASE("a refusal tells the file, the place and the versions") {
    try {
        require_readable(bytes_of(Preamble{.magic = magic, .major = 9}), magic, "data/log.meta");
        FAIL("nothing was thrown");
    } catch (Error const& error) {
        CHECK(error.path() == "data/log.meta");
        CHECK(error.place() == 8);
        std::string const what = error.what();
        CHECK(what.find("format 9") != std::string::npos);
        CHECK(what.find("format 1") != std::string::npos);
    }
}

TEST_CASE("a file without its magic is what the caller says, whatever its version") {
    Preamble const strange{.magic = {'o', 't', 'h', 'e', 'r'}, .major = 9};
    CHECK(refusal(strange) == Errc::corrupt);
    CHECK(code_of([&] { require_readable(bytes_of(strange), magic, "path", Errc::not_a_log); }) ==
          Errc::not_a_log);
    Preamble const preamble{.magic = magic};
    for (std::size_t size = 0; size < sizeof preamble; ++size) {
        CHECK(code_of([&] { require_readable(bytes_of(preamble).first(size), magic, "path"); }) ==
              Errc::corrupt);
    }
}

TEST_CASE("a record is good, or bad by any changed byte, or absent where there are only zeros") {
    Example const written = checked(Example{.number = 0x0102030405060708});
    Example read;
    CHECK(read_record(bytes_of(written), read) == RecordState::good);
    CHECK(read.number == written.number);
    Bytes const bytes = bytes_of(written);
    for_each_change({bytes.begin(), bytes.end()}, [&](auto const& damaged, std::size_t) {
        CHECK(read_record(damaged, read) == RecordState::bad);
    });
    std::vector<std::byte> const zeros(sizeof(Example));
    CHECK(read_record(zeros, read) == RecordState::absent);
}

TEST_CASE("a record passes for its own kind and its own segment only") {
    Example const written = checked(Example{.number = 5}, 1234);
    Example read;
    CHECK(read_record(bytes_of(written), read, 1234) == RecordState::good);
    CHECK(read_record(bytes_of(written), read, 1235) == RecordState::bad);
    CHECK(read_record(bytes_of(written), read) == RecordState::bad);
    Other other;
    CHECK(read_record(bytes_of(written), other, 1234) == RecordState::bad);
    static_assert(CheckedRecord<Example> && CheckedRecord<Other> && !CheckedRecord<WithoutCheck>);
}

TEST_CASE("the check of a known record is what it was when the format was fixed") {
    CHECK(hex(bytes_of(checked(Example{.number = 5}))) ==
          "05 00 00 00 00 00 00 00 5b 1c 59 f2 3e 28 98 1a");
    CHECK(hex(bytes_of(checked(Example{.number = 5}, 1234))) ==
          "05 00 00 00 00 00 00 00 a0 54 85 72 3c 66 5a 63");
}

TEST_CASE("a required record that is short, bad or absent is told with its place") {
    std::vector<std::byte> file(64);
    annals::detail::store(file.data() + 32, checked(Example{.number = 5}));
    CHECK(require_record<Example>(file, 32, "path", "it").number == 5);
    for (std::uint64_t const place : {0u, 31u, 40u, 49u, 64u, 1'000u}) {
        try {
            (void)require_record<Example>(file, place, "path", "the thing");
            FAIL("nothing was thrown at " << place);
        } catch (Error const& error) {
            CHECK(error.code() == Errc::corrupt);
            CHECK(error.place() == place);
            CHECK(std::string{error.what()} ==
                  "corrupt: the thing fails its check: path, place " + std::to_string(place));
        }
    }
}
