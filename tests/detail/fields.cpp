// SPDX-License-Identifier: MIT
#include <annals/detail/fields.hpp>

#include <array>
#include <string>
#include <type_traits>

#include "catch.hpp"

using namespace annals::detail;

namespace {

enum class Kind { one };
struct Empty {};
struct One {
    int a;
};
struct Pair {
    One a;
    One b;
};
struct Mixed {
    char text[40];
    double grid[2][3];
    Pair pairs[2];
    std::array<int, 5> array;
    Kind kind;
    Pair pair;
    bool last = true;
};
struct Derived : One {
    int b;
};
struct DerivedOnly : One {};
struct WithReference {
    int const& a;
};

}  // namespace

TEST_CASE("members are counted, whatever they contain") {
    static_assert(field_count<Empty>() == 0);
    static_assert(field_count<One>() == 1);
    static_assert(field_count<Pair>() == 2);
    static_assert(field_count<Mixed>() == 7);
    static_assert(
        std::is_same_v<field_types_t<Mixed>, TypeList<char[40], double[2][3], Pair[2],
                                                      std::array<int, 5>, Kind, Pair, bool>>);
    static_assert(std::is_same_v<field_types_t<Empty>, TypeList<>>);
    SUCCEED("all of it is checked when compiling");
}

TEST_CASE("structs that cannot be taken apart are told from those that can") {
    static_assert(SimpleStruct<Empty> && SimpleStruct<One> && SimpleStruct<Mixed>);
    static_assert(!SimpleStruct<Derived> && !SimpleStruct<DerivedOnly>);
    static_assert(!SimpleStruct<WithReference> && !SimpleStruct<std::array<int, 2>>);
    static_assert(!SimpleStruct<std::string> && !SimpleStruct<int> && !SimpleStruct<int[2]>);
    SUCCEED("all of it is checked when compiling");
}

TEST_CASE("a call gets all members in order and may change them") {
    Mixed mixed{};
    with_fields(mixed, [](auto& text, auto&, auto& pairs, auto&, auto&, auto& pair, auto& last) {
        text[39] = 'x';
        pairs[1].b.a = 5;
        pair.a.a = 6;
        last = false;
    });
    CHECK(mixed.text[39] == 'x');
    CHECK(mixed.pairs[1].b.a == 5);
    CHECK(mixed.pair.a.a == 6);
    CHECK_FALSE(mixed.last);

    constexpr Pair pair{{1}, {2}};
    static_assert(with_fields(pair, [](One const& a, One const& b) { return 10 * a.a + b.a; }) ==
                  12);
    constexpr Empty empty{};
    static_assert(with_fields(empty, [] { return 3; }) == 3);
}
