// SPDX-License-Identifier: MIT
#include <annals/codec/alternatives.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "codec/helpers.hpp"

using namespace annals;
using namespace codec_tests;

namespace alternatives_tests {

struct Deposited {
    std::int32_t cents;
};
struct Withdrawn {
    std::int32_t cents;
};
struct Closed {};
struct Reopened {
    bool again;
};

struct Note {  // of unknown size before it is encoded
    std::string text;
};

struct Person {  // renamed since
    std::string name;
};

struct ThrowsWhenCopied {
    ThrowsWhenCopied() = default;
    ThrowsWhenCopied(ThrowsWhenCopied const&) { throw 1; }
    ThrowsWhenCopied& operator=(ThrowsWhenCopied const&) = default;
};

using Event = std::variant<Deposited, Withdrawn>;
using Grown = std::variant<Deposited, Withdrawn, Closed>;
template <class T>
using Nested = std::optional<std::optional<T>>;  // the outer one is the record's absence

constexpr auto deposited = "alternatives_tests::Deposited:4";
constexpr auto event = "variant<alternatives_tests::Deposited:4|alternatives_tests::Withdrawn:4>";
constexpr auto grown =
    "variant<alternatives_tests::Deposited:4|alternatives_tests::Withdrawn:4|"
    "alternatives_tests::Closed:0>";

}  // namespace alternatives_tests

using namespace alternatives_tests;

template <>
struct annals::Codec<Note> {
    static std::string name() { return "note"; }
    static void encode(Note const& note, Buffer& out) {
        out.append(as_bytes(note.text));
        out.append_le(std::uint8_t{0xff});
    }
    static Note decode(Bytes in) { return {std::string{as_text(in.first(in.size() - 1))}}; }
};

template <>
struct annals::Codec<Person> {
    static constexpr std::string_view name = "person.v2";
    static bool accepts(std::string_view stored) { return stored == "person.v1"; }
    static std::size_t size(Person const& person) { return person.name.size(); }
    static void encode(Person const& person, MutableBytes out) {
        copy_bytes(as_bytes(person.name), out);
    }
    static Person decode(Bytes in) { return {std::string{as_text(in)}}; }
};

template <>
struct annals::Codec<ThrowsWhenCopied> {
    static constexpr std::string_view name = "throws";
    static std::size_t size(ThrowsWhenCopied const&) { return 0; }
    static void encode(ThrowsWhenCopied const&, MutableBytes) {}
    static ThrowsWhenCopied decode(Bytes) { return {}; }
};

TEST_CASE("an optional inside a value says in one byte whether there is one") {
    CHECK(encoded<Nested<std::int16_t>>(std::optional<std::int16_t>{0x0102}) == "010201");
    CHECK(encoded<Nested<std::int16_t>>(std::optional<std::int16_t>{}) == "00");
    CHECK(encoded<Nested<std::string>>(std::optional<std::string>{""}) == "01");
    CHECK(encoded<Nested<Note>>(std::optional<Note>{Note{"a"}}) == "0161ff");
    CHECK(encoded<Nested<Note>>(std::optional<Note>{}) == "00");

    CHECK(decoded<Nested<std::int16_t>>("010201") == 0x0102);
    CHECK(decoded<Nested<std::int16_t>>("00") == std::nullopt);
    CHECK(decoded<Nested<std::int32_t>>("0101020304") == 0x04030201);
    CHECK(decoded<Nested<std::int32_t>>("00") == std::nullopt);
    CHECK(decoded<Nested<std::string>>("01").value().empty());
    CHECK(decoded<Nested<Note>>("016162ff")->text == "ab");
    CHECK(decoded<Nested<std::optional<bool>>>("0100").value() == std::nullopt);
    CHECK(decoded<Nested<std::optional<bool>>>("010101").value().value());
}

TEST_CASE("an optional does not decode from other bytes") {
    CHECK(decode_code<Nested<std::int16_t>>("") == Errc::decode_failed);
    CHECK(decode_code<Nested<std::int16_t>>("02") == Errc::decode_failed);
    CHECK(decode_code<Nested<std::int16_t>>("0000") == Errc::decode_failed);
    CHECK(decode_code<Nested<std::int16_t>>("0102") == Errc::decode_failed);
    CHECK(decode_code<Nested<std::int16_t>>("01020304") == Errc::decode_failed);
}

TEST_CASE("a variant is one byte for the alternative, then its value") {
    CHECK(encoded<Grown>(Deposited{500}) == "00f4010000");
    CHECK(encoded<Grown>(Withdrawn{-1}) == "01ffffffff");
    CHECK(encoded<Grown>(Closed{}) == "02");
    CHECK(encoded<std::variant<std::monostate, std::string>>("hi") == "016869");
    CHECK(encoded<std::variant<std::monostate, std::string>>(std::monostate{}) == "00");
    CHECK(encoded<std::variant<int, Person>>(Person{"Ada"}) == "01416461");
    CHECK(encoded<std::variant<int, Note>>(Note{"a"}) == "0161ff");
    CHECK(encoded<std::variant<int, Note>>(1) == "0001000000");
    CHECK(encoded<std::variant<std::optional<bool>, Event>>(Event{Withdrawn{1}}) == "010101000000");

    CHECK(std::get<Deposited>(decoded<Grown>("00f4010000")).cents == 500);
    CHECK(std::get<Withdrawn>(decoded<Grown>("01ffffffff")).cents == -1);
    CHECK(std::holds_alternative<Closed>(decoded<Grown>("02")));
    CHECK(std::get<std::string>(decoded<std::variant<int, std::string>>("016869")) == "hi");
    CHECK(std::get<Person>(decoded<std::variant<int, Person>>("01416461")).name == "Ada");
    CHECK(std::get<Note>(decoded<std::variant<int, Note>>("0161ff")).text == "a");
}

TEST_CASE("a variant that has one type twice keeps them apart") {
    using Twice = std::variant<std::uint8_t, std::uint8_t>;
    CHECK(encoded<Twice>(Twice{std::in_place_index<1>, std::uint8_t{7}}) == "0107");
    CHECK(decoded<Twice>("0107").index() == 1);
    CHECK(decoded<Twice>("0007").index() == 0);
}

TEST_CASE("an alternative that is not known fails to decode and is told") {
    auto const failure = failure_of([] { (void)decoded<Event>("02"); });
    CHECK(failure.code == Errc::decode_failed);
    CHECK(failure.message.find("alternative 2") != std::string::npos);
    CHECK(failure.message.find(event) != std::string::npos);
    CHECK(decode_code<Event>("ff00000000") == Errc::decode_failed);
}

TEST_CASE("a variant does not decode from nothing or from a broken value") {
    CHECK(decode_code<Event>("") == Errc::decode_failed);
    CHECK(decode_code<Event>("00") == Errc::decode_failed);
    CHECK(decode_code<Event>("00f40100") == Errc::decode_failed);
    CHECK(decode_code<Event>("00f401000000") == Errc::decode_failed);
    CHECK(decode_code<Grown>("0200") == Errc::decode_failed);
}

TEST_CASE("a variant that has lost its value is an invalid argument before anything is written") {
    std::variant<int, ThrowsWhenCopied> broken{1};
    ThrowsWhenCopied const value;
    try {
        broken.emplace<ThrowsWhenCopied>(value);
    } catch (int) {
    }
    REQUIRE(broken.valueless_by_exception());
    using Broken = decltype(broken);
    CHECK(code_of([&] { (void)Codec<Broken>::size(broken); }) == Errc::invalid_argument);
    CHECK(code_of([&] { detail::ValueEncoder<Broken>{broken}; }) == Errc::invalid_argument);
}

TEST_CASE("optionals and variants are named by what they hold") {
    CHECK(codec_name<Event>() == event);
    CHECK(codec_name<std::variant<std::monostate>>() == "variant<monostate:0>");
    CHECK(codec_name<std::variant<int, Person, Note, std::vector<bool>>>() ==
          "variant<i32|person.v2|note|vector<bool>>");
    CHECK(codec_name<Nested<Person>>() == "optional<person.v2>");
    CHECK(codec_name<std::variant<std::optional<Event>, std::string>>() ==
          std::string{"variant<optional<"} + event + ">|string>");
}

TEST_CASE(
    "a variant that has gained alternatives at its end opens the topic and extends its name") {
    CHECK(codec_accepts<Grown>(event));
    CHECK(codec_extends<Grown>(event));
    CHECK(codec_accepts<Grown>(grown));
    CHECK_FALSE(codec_extends<Grown>(grown));
    CHECK(codec_accepts<Grown>(std::string{"variant<"} + deposited + ">"));
    CHECK(codec_extends<std::optional<Grown>>(event));
}

TEST_CASE("a variant that has fewer alternatives than the topic opens it and leaves its name") {
    CHECK(codec_accepts<Event>(grown));
    CHECK_FALSE(codec_extends<Event>(grown));
}

TEST_CASE("variants that differ otherwise do not match") {
    CHECK_FALSE(codec_accepts<std::variant<Withdrawn, Deposited>>(event));
    CHECK_FALSE(codec_accepts<std::variant<Deposited, Closed>>(event));
    CHECK_FALSE(codec_accepts<std::variant<Withdrawn>>(event));
    CHECK_FALSE(codec_accepts<std::variant<Reopened, Deposited, Withdrawn>>(event));
    CHECK_FALSE(codec_accepts<Event>(deposited));
    CHECK_FALSE(codec_accepts<Deposited>(event));
    CHECK_FALSE(codec_accepts<Event>("variant<"));
    CHECK_FALSE(codec_accepts<Event>("variant<>>"));
    CHECK_FALSE(codec_accepts<Event>("variant"));
    CHECK_FALSE(codec_accepts<Event>(""));
    CHECK_FALSE(codec_accepts<Event>(std::string{"variant<|"} + deposited + ">"));
}

TEST_CASE("a variant inside another type grows too") {
    using Outer = std::variant<std::optional<Grown>, std::string>;
    std::string const stored = std::string{"variant<optional<"} + event + ">|string>";
    CHECK(codec_accepts<Outer>(stored));
    CHECK(codec_extends<Outer>(stored));
    CHECK(codec_extends<Nested<Grown>>(std::string{"optional<"} + event + ">"));
    CHECK_FALSE(codec_accepts<Nested<Grown>>(event));
}

TEST_CASE("gaining alternatives in one place and lacking some in another is a mismatch") {
    std::string const stored = std::string{"variant<"} + grown + "|i32>";
    CHECK(codec_accepts<std::variant<Event, int>>(stored));
    CHECK(codec_accepts<std::variant<Grown, int, bool>>(stored));
    CHECK_FALSE(codec_accepts<std::variant<Event, int, bool>>(stored));
}

TEST_CASE("an older name that a codec accepts is accepted inside a variant") {
    using Now = std::variant<Person, int>;
    CHECK(codec_accepts<Now>("variant<person.v1|i32>"));
    CHECK_FALSE(codec_extends<Now>("variant<person.v1|i32>"));
    CHECK(codec_extends<std::variant<Person, int, bool>>("variant<person.v1|i32>"));
    CHECK(codec_accepts<Nested<Person>>("optional<person.v1>"));
    CHECK_FALSE(codec_accepts<Now>("variant<person.v0|i32>"));
}

TEST_CASE("what cannot be part of an optional or variant") {
    static_assert(!HasCodec<Nested<int*>> && !HasCodec<std::variant<int, int*>>);
    static_assert(!HasCodec<std::variant<int, std::vector<std::string>>>);
    static_assert(HasCodec<std::variant<int, std::string, std::vector<int>, Note, Bytes>>);
    SUCCEED("all of it is checked when compiling");
}
