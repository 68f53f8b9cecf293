// SPDX-License-Identifier: MIT
#include <annals/codec/plain.hpp>

#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "codec/helpers.hpp"

using namespace annals;
using namespace codec_tests;

namespace plain_tests {

enum class Colour : std::uint8_t { red = 1, green = 2 };
enum Old : int { first = -1, second = 2 };
enum class Flag : bool { down, up };

struct Deposited {
    std::int64_t cents;
};

struct Padded {
    std::uint8_t a;
    std::uint32_t b;
    std::uint8_t c;
    double d;
    bool e;
};

struct Inner {
    std::int16_t x;
    Colour colour;
};

struct Nested {
    Inner first;
    std::uint8_t between;
    Inner second[2];
    std::array<Inner, 2> third;
};

struct WithArrays {
    char name[4];
    std::int16_t grid[2][3];
    std::array<std::array<std::uint8_t, 2>, 2> table;
    std::uint8_t last;
};

struct Defaults {
    std::int32_t a = 7;
    Colour colour = Colour::green;
    std::uint8_t rest[2] = {1, 2};
};

struct Empty {};

struct Renamed {
    std::uint16_t x;
};

struct Floats {
    float f;
    double d;
};

struct Fields24 {
    std::uint8_t a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w;
    std::uint16_t x;
};

struct Fields26 {
    std::uint8_t a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z;
};

struct Fields27 {
    std::uint8_t a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, zz;
};

struct Long {
    std::uint8_t head;
    std::uint8_t body[5000];
    std::uint8_t tail;
};

struct Money {  // plain, but with a codec of its own
    std::int32_t cents;
};

struct WithPointer {
    int a;
    int* b;
};
struct WithView {
    int a;
    std::string_view b;
};
struct WithBytes {
    int a;
    Bytes b;
};
struct WithString {
    int a;
    std::string b;
};
struct WithReference {
    int a;
    int& b;
};
struct WithConst {
    int a;
    int const b;
};
struct WithVolatile {
    int volatile a;
};
struct WithBase : Inner {
    int a;
};
struct WithEmptyBase : Empty {
    int a;
};
struct WithEmptyMember {
    Empty a;
    int b;
};
struct WithConstructor {
    explicit WithConstructor(int x) : a{x} {}
    int a;
};
struct WithPrivate {
    int a = 0;

private:
    [[maybe_unused]] int b_ = 0;
};
struct WithVirtual {
    virtual ~WithVirtual() = default;
    int a;
};
struct WithUnion {
    union {
        int a;
        float b;
    } either;
};
struct WithLongDouble {
    long double a;
};
struct WithArrayOfPointers {
    char const* names[3];
};
struct WithNestedPointer {
    WithPointer inner;
};
struct WithCodecInside {
    Money money;
};
struct WithTime {
    std::chrono::nanoseconds since;
};
union Union {
    int a;
};

}  // namespace plain_tests

using namespace plain_tests;

namespace {

enum class Unseen : std::int8_t { a = 1 };
struct Hidden {
    Unseen unseen[2];
    Inner inner;
};

}  // namespace

template <>
struct annals::TypeName<Renamed> {
    static constexpr std::string_view value = "renamed.v2";
};

template <>
struct annals::Codec<Money> {
    static constexpr std::string_view name = "money";
    static std::size_t size(Money) { return 1; }
    static void encode(Money money, MutableBytes out) {
        store_le(out, static_cast<std::uint8_t>(money.cents));
    }
    static Money decode(Bytes in) { return {load_le<std::uint8_t>(in)}; }
};

TEST_CASE("numbers have the bytes of a little-endian machine") {
    CHECK(encoded<std::int8_t>(-2) == "fe");
    CHECK(encoded<std::uint8_t>(254) == "fe");
    CHECK(encoded<std::int16_t>(-2) == "feff");
    CHECK(encoded<std::uint16_t>(0x1234) == "3412");
    CHECK(encoded<std::int32_t>(-559038737) == "efbeadde");
    CHECK(encoded<std::uint32_t>(0xdeadbeef) == "efbeadde");
    CHECK(encoded<std::int64_t>(-2) == "feffffffffffffff");
    CHECK(encoded<std::uint64_t>(0x0102030405060708) == "0807060504030201");
    CHECK(encoded<float>(1.5f) == "0000c03f");
    CHECK(encoded<double>(-2.0) == "00000000000000c0");
    CHECK(encoded<bool>(true) == "01");
    CHECK(encoded<bool>(false) == "00");
    CHECK(encoded<char>('A') == "41");
    CHECK(encoded<char16_t>(u'\u20ac') == "ac20");
    CHECK(encoded<std::byte>(std::byte{9}) == "09");
    CHECK(encoded<Colour>(Colour::green) == "02");
    CHECK(encoded<Old>(first) == "ffffffff");
    CHECK(encoded<Flag>(Flag::up) == "01");
}

TEMPLATE_TEST_CASE("numbers come back as they were at the ends of their range", "", std::int8_t,
                   std::uint8_t, std::int16_t, std::uint16_t, std::int32_t, std::uint32_t,
                   std::int64_t, std::uint64_t, long, unsigned long long, char, wchar_t, float,
                   double) {
    using Limits = std::numeric_limits<TestType>;
    for (TestType const value : {Limits::min(), Limits::lowest(), Limits::max(), TestType{}}) {
        CHECK(decode_as<TestType>(from_hex(encoded<TestType>(value))) == value);
    }
}

TEST_CASE("a not-a-number keeps its bits") {
    CHECK(encoded<double>(std::bit_cast<double>(0x7ff8000000abcdef)) == "efcdab000000f87f");
    CHECK(std::bit_cast<std::uint64_t>(decoded<double>("efcdab000000f87f")) == 0x7ff8000000abcdef);
}

TEST_CASE("numbers decode from exactly their size") {
    CHECK(decoded<std::uint16_t>("3412") == 0x1234);
    CHECK(decode_code<std::uint16_t>("34") == Errc::decode_failed);
    CHECK(decode_code<std::uint16_t>("341200") == Errc::decode_failed);
    CHECK(decode_code<std::uint16_t>("") == Errc::decode_failed);
    CHECK(decode_code<bool>("") == Errc::decode_failed);
    CHECK(decode_code<bool>("02") == Errc::decode_failed);
    CHECK(decode_code<bool>("0100") == Errc::decode_failed);
    CHECK(decode_code<double>("00000000000000") == Errc::decode_failed);
    CHECK(decode_code<Colour>("") == Errc::decode_failed);
    CHECK(decode_code<Colour>("0102") == Errc::decode_failed);
    CHECK(decode_code<Flag>("03") == Errc::decode_failed);
}

TEST_CASE("an enum's value that has no name comes back as it was") {
    CHECK(decoded<Colour>("77") == static_cast<Colour>(0x77));
}

TEST_CASE("types of the same representation have the same name") {
    CHECK(codec_name<signed char>() == "i8");
    CHECK(codec_name<unsigned char>() == "u8");
    CHECK(codec_name<short>() == "i16");
    CHECK(codec_name<unsigned short>() == "u16");
    CHECK(codec_name<int>() == "i32");
    CHECK(codec_name<unsigned>() == "u32");
    CHECK(codec_name<long>() == "i64");
    CHECK(codec_name<long long>() == "i64");
    CHECK(codec_name<unsigned long>() == "u64");
    CHECK(codec_name<unsigned long long>() == "u64");
    CHECK(codec_name<float>() == "f32");
    CHECK(codec_name<double>() == "f64");
    CHECK(codec_name<bool>() == "bool");
    CHECK(codec_name<char>() == "char");
    CHECK(codec_name<char8_t>() == "char8");
    CHECK(codec_name<char16_t>() == "char16");
    CHECK(codec_name<char32_t>() == "char32");
    CHECK(codec_name<wchar_t>() == "wchar32");
    CHECK(codec_name<std::byte>() == "byte:1");
}

TEST_CASE("structs and enums are named by type and size") {
    CHECK(codec_name<Deposited>() == "plain_tests::Deposited:8");
    CHECK(codec_name<Colour>() == "plain_tests::Colour:1");
    CHECK(codec_name<Old>() == "plain_tests::Old:4");
    CHECK(codec_name<Padded>() == "plain_tests::Padded:15");
    CHECK(codec_name<Empty>() == "plain_tests::Empty:0");
    CHECK(codec_name<Renamed>() == "renamed.v2:2");
    CHECK(codec_name<std::monostate>() == "monostate:0");
    CHECK(codec_name<std::array<std::int32_t, 3>>() == "array<i32,3>");
    CHECK(codec_name<std::array<std::array<Renamed, 2>, 3>>() == "array<array<renamed.v2:2,2>,3>");
}

TEST_CASE("a struct is its fields in order, without padding") {
    static_assert(sizeof(Padded) > 15);
    Padded const value{1, 0x02030405, 6, 1.0, true};
    CHECK(encoded<Padded>(value) == "010504030206000000000000f03f01");
    auto const back = decoded<Padded>("01 05040302 06 000000000000f03f 01");
    CHECK(back.a == 1);
    CHECK(back.b == 0x02030405);
    CHECK(back.c == 6);
    CHECK(back.d == 1.0);
    CHECK(back.e);
    CHECK(encoded<Deposited>({500}) == "f401000000000000");
    CHECK(encoded<Floats>({1.5f, -2.0}) == "0000c03f00000000000000c0");
    CHECK(encoded<Empty>({}).empty());
}

TEST_CASE("structs and arrays nest") {
    Nested const value{{1, Colour::red}, 9, {{2, Colour::green}, {3, Colour::red}}, {}};
    CHECK(encoded<Nested>(value) == "01000109020002030001000000000000");
    auto const back = decoded<Nested>("010001 09 020002 030001 040001 050002");
    CHECK(back.first.colour == Colour::red);
    CHECK(back.between == 9);
    CHECK(back.second[0].x == 2);
    CHECK(back.second[1].x == 3);
    CHECK(back.third[0].x == 4);
    CHECK(back.third[1].x == 5);
    CHECK(back.third[1].colour == Colour::green);
}

TEST_CASE("built-in arrays of any dimension are their elements in order") {
    WithArrays const value{{'a', 'b', 'c', 'd'}, {{1, 2, 3}, {4, 5, 6}}, {{{7, 8}, {9, 10}}}, 11};
    std::string const bytes = "616263640100020003000400050006000708090a0b";
    CHECK(encoded<WithArrays>(value) == bytes);
    auto const back = decoded<WithArrays>(bytes);
    CHECK(back.name[3] == 'd');
    CHECK(back.grid[1][0] == 4);
    CHECK(back.table[1][1] == 10);
    CHECK(back.last == 11);
    CHECK(encoded<std::array<std::int16_t, 2>>({1, -1}) == "0100ffff");
    CHECK(decoded<std::array<std::int16_t, 2>>("0100ffff") == std::array<std::int16_t, 2>{1, -1});
}

TEST_CASE("a long array does not count as many fields") {
    static_assert(Codec<Long>::fixed_size == 5002);
    auto value = std::make_unique<Long>();
    value->head = 1;
    value->body[4999] = 2;
    value->tail = 3;
    auto const bytes = encoded<Long>(*value);
    CHECK(bytes.substr(0, 4) == "0100");
    CHECK(bytes.substr(bytes.size() - 4) == "0203");
    CHECK(decoded<Long>(bytes).tail == 3);
}

TEST_CASE("structs of an unnamed namespace or a function are as good as others") {
    struct Local {
        std::uint8_t x;
        Hidden hidden;
    };
    Local const value{1, {{Unseen::a, Unseen::a}, {3, Colour::red}}};
    CHECK(encoded<Local>(value) == "010101030001");
    CHECK(decoded<Local>("010101030001").hidden.inner.x == 3);
    CHECK(codec_name<Hidden>() == "(anonymous namespace)::Hidden:5");
    CHECK(codec_name<Unseen>() == "(anonymous namespace)::Unseen:1");
    CHECK(encoded<std::array<Hidden, 0>>({}).empty());
}

TEST_CASE("defaults of members do not show after decoding") {
    CHECK(encoded<Defaults>({}) == "07000000020102");
    auto const back = decoded<Defaults>("00000000 01 0000");
    CHECK(back.a == 0);
    CHECK(back.colour == Colour::red);
    CHECK(back.rest[1] == 0);
}

TEST_CASE("a struct may have twenty-six fields") {
    Fields24 value{1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
                   13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 0x1819};
    CHECK(encoded<Fields24>(value) == "0102030405060708090a0b0c0d0e0f10111213141516171918");
    auto const back = decoded<Fields24>(encoded<Fields24>(value));
    CHECK(back.a == 1);
    CHECK(back.w == 23);
    CHECK(back.x == 0x1819);
    CHECK(decoded<Fields26>("0102030405060708090a0b0c0d0e0f101112131415161718191a").z == 26);
    static_assert(!HasCodec<Fields27>);
}

TEST_CASE("a struct decodes from exactly its size, and its parts are checked") {
    CHECK(decode_code<Deposited>("f4010000000000") == Errc::decode_failed);
    CHECK(decode_code<Deposited>("f40100000000000000") == Errc::decode_failed);
    CHECK(decode_code<Deposited>("") == Errc::decode_failed);
    CHECK(decode_code<Empty>("00") == Errc::decode_failed);
    CHECK(decode_code<Empty>("") == Errc::ok);
    CHECK(decode_code<std::array<std::int16_t, 2>>("010002") == Errc::decode_failed);
    CHECK(decode_code<Padded>("01 05040302 06 000000000000f03f 02") == Errc::decode_failed);
    auto const failure = failure_of([] { (void)decoded<Deposited>("00"); });
    CHECK(failure.message.find("plain_tests::Deposited:8") != std::string::npos);
}

TEST_CASE("encoding into too little room is an invalid argument") {
    std::array<std::byte, 7> out{};
    CHECK(code_of([&] { Codec<Deposited>::encode({-1}, out); }) == Errc::invalid_argument);
    CHECK(to_hex(out) == "00000000000000");
}

TEST_CASE("what is not plain has no codec") {
    static_assert(HasCodec<Nested> && HasCodec<Fields26> && HasCodec<Money>);
    static_assert(!HasCodec<WithPointer> && !HasCodec<WithView> && !HasCodec<WithBytes>);
    static_assert(!HasCodec<WithString> && !HasCodec<WithReference> && !HasCodec<WithConst>);
    static_assert(!HasCodec<WithVolatile> && !HasCodec<WithBase> && !HasCodec<WithEmptyBase>);
    static_assert(!HasCodec<WithEmptyMember> && !HasCodec<WithConstructor>);
    static_assert(!HasCodec<WithPrivate> && !HasCodec<WithVirtual> && !HasCodec<WithUnion>);
    static_assert(!HasCodec<WithLongDouble> && !HasCodec<WithArrayOfPointers>);
    static_assert(!HasCodec<WithNestedPointer> && !HasCodec<WithTime> && !HasCodec<Union>);
    static_assert(!HasCodec<std::array<int*, 2>> && !HasCodec<std::array<std::string, 2>>);
    static_assert(!HasCodec<int*> && !HasCodec<int&> && !HasCodec<int const> && !HasCodec<int[3]>);
    static_assert(!HasCodec<void> && !HasCodec<long double> && !HasCodec<std::pair<int, int>>);
    SUCCEED("all of it is checked when compiling");
}

TEST_CASE("a struct with a codec of its own is not taken apart by another's") {
    static_assert(!HasCodec<WithCodecInside> && !HasCodec<std::array<Money, 2>>);
    CHECK(encoded<Money>({5}) == "05");
    CHECK(codec_name<Money>() == "money");
}
