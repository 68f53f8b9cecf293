// SPDX-License-Identifier: MIT
#include <annals/codec/traits.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "codec/helpers.hpp"

using namespace annals;
using namespace codec_tests;

namespace traits_tests {

struct Small {
    std::int64_t a, b;
};
struct Large {
    std::int64_t a, b, c;
};

struct Person {
    std::string name;
    std::uint32_t age = 0;
};

struct PersonView {
    std::string_view name;
    std::uint32_t age;
};

struct Nameless {
    std::string text;
};
struct NoDecode {
    std::string text;
};
struct NoEncode {
    std::string text;
};

}  // namespace traits_tests

using namespace traits_tests;

template <>
struct annals::Codec<Person> {
    static constexpr std::string_view name = "person.v3";
    static bool accepts(std::string_view stored) {
        return stored == "person.v1" || stored == "person.v2";
    }
    static std::size_t size(Person const& person) { return 4 + person.name.size(); }
    static void encode(Person const& person, MutableBytes out) {
        store_le(out, person.age);
        copy_bytes(as_bytes(person.name), out.subspan(4));
    }
    static PersonView decode(Bytes in) {
        auto const age = load_le<std::uint32_t>(in);
        return {as_text(in.subspan(4)), age};
    }
};

template <>
struct annals::Codec<Nameless> {
    static void encode(Nameless const&, Buffer&) {}
    static Nameless decode(Bytes) { return {}; }
};
template <>
struct annals::Codec<NoDecode> {
    static constexpr std::string_view name = "no decode";
    static void encode(NoDecode const&, Buffer&) {}
    static void decode(Bytes) {}
};
template <>
struct annals::Codec<NoEncode> {
    static constexpr std::string_view name = "no encode";
    static void encode(NoEncode const&, MutableBytes) {}  // and no size
    static NoEncode decode(Bytes) { return {}; }
};

TEST_CASE("send takes what reads a value cheaply") {
    static_assert(std::is_same_v<codec_argument_t<std::string>, std::string_view>);
    static_assert(std::is_same_v<codec_argument_t<std::string_view>, std::string_view>);
    static_assert(std::is_same_v<codec_argument_t<Bytes>, Bytes>);
    static_assert(std::is_same_v<codec_argument_t<int>, int>);
    static_assert(std::is_same_v<codec_argument_t<Small>, Small>);
    static_assert(std::is_same_v<codec_argument_t<Large>, Large const&>);
    static_assert(std::is_same_v<codec_argument_t<Person>, Person const&>);
    static_assert(std::is_same_v<codec_argument_t<std::vector<int>>, std::vector<int> const&>);
    static_assert(std::is_same_v<codec_argument_t<std::optional<std::string>>,
                                 std::optional<std::string_view>>);
    static_assert(std::is_same_v<codec_argument_t<std::optional<int>>, std::optional<int>>);
    static_assert(
        std::is_same_v<codec_argument_t<std::optional<Person>>, std::optional<Person> const&>);
    using Inside = std::optional<std::optional<std::string>>;
    static_assert(std::is_same_v<codec_argument_t<Inside>, Inside const&>);
    SUCCEED("all of it is checked when compiling");
}

TEST_CASE("a record returns what the codec decodes") {
    static_assert(std::is_same_v<codec_result_t<std::string>, std::string_view>);
    static_assert(std::is_same_v<codec_result_t<Bytes>, Bytes>);
    static_assert(std::is_same_v<codec_result_t<Large>, Large>);
    static_assert(std::is_same_v<codec_result_t<Person>, PersonView>);
    static_assert(std::is_same_v<codec_result_t<std::optional<std::string>>, std::string_view>);
    static_assert(std::is_same_v<codec_result_t<std::optional<int>>, int>);
    static_assert(
        std::is_same_v<codec_result_t<std::optional<std::optional<int>>>, std::optional<int>>);
    using Variant = std::variant<std::string, int>;
    static_assert(std::is_same_v<codec_result_t<Variant>, Variant>);

    auto const in = from_hex("24000000416461");
    auto const view = decode_as<Person>(in);
    CHECK(view.age == 36);
    CHECK(view.name == "Ada");
    CHECK(as_bytes(view.name).data() == in.data() + 4);
}

TEST_CASE("an optional at the top has the name and the bytes of what it holds") {
    CHECK(codec_name<std::optional<std::string>>() == "string");
    CHECK(codec_name<std::optional<std::optional<int>>>() == "optional<i32>");
    CHECK(codec_accepts<std::optional<std::string>>("string"));
    CHECK(codec_accepts<std::string>(codec_name<std::optional<std::string>>()));
    CHECK(encoded<std::optional<std::string>>("hi") == "6869");
    CHECK(encoded<std::optional<std::string>>(std::nullopt).empty());
}

TEST_CASE("another name is another type") {
    CHECK(codec_accepts<int>("i32"));
    CHECK_FALSE(codec_accepts<int>("u32"));
    CHECK_FALSE(codec_accepts<std::string>("bytes"));
    CHECK_FALSE(codec_accepts<Bytes>("string"));
    CHECK_FALSE(codec_accepts<Small>("traits_tests::Small:8"));
    CHECK_FALSE(codec_accepts<int>(""));
    CHECK_FALSE(codec_extends<int>("i32"));
}

TEST_CASE("a codec accepts the older names that it knows and keeps them stored") {
    CHECK(codec_accepts<Person>("person.v3"));
    CHECK(codec_accepts<Person>("person.v1"));
    CHECK(codec_accepts<std::optional<Person>>("person.v2"));
    CHECK_FALSE(codec_accepts<Person>("person.v4"));
    CHECK_FALSE(codec_extends<Person>("person.v1"));
}

TEST_CASE("a codec needs a name, a way to encode and a way to decode") {
    static_assert(HasCodec<Person> && HasCodec<std::optional<Person>>);
    static_assert(!HasCodec<Nameless> && !HasCodec<NoDecode> && !HasCodec<NoEncode>);
    SUCCEED("all of it is checked when compiling");
}

TEST_CASE("what decodes to a view of another type cannot be part of a variant") {
    static_assert(!HasCodec<std::variant<int, Person>>);
    SUCCEED("all of it is checked when compiling");
}

TEST_CASE("only codecs that say so encode inside the claim") {
    static_assert(detail::encodes_in_place<int> && detail::encodes_in_place<std::string>);
    static_assert(detail::encodes_in_place<Bytes> && detail::encodes_in_place<Large>);
    static_assert(detail::encodes_in_place<std::variant<int, std::optional<std::string>>>);
    static_assert(detail::encodes_in_place<std::vector<int>>);
    static_assert(!detail::encodes_in_place<Person>);
    SUCCEED("all of it is checked when compiling");
}
