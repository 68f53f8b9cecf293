// SPDX-License-Identifier: MIT
// The names are stored in files, so each is written out here: whoever compiles this must get them.
#include <annals/detail/type_name.hpp>

#include <string>

#include "catch.hpp"

using annals::detail::type_name;

namespace {
struct Hidden {};
}  // namespace

namespace type_name_tests {

struct Plain {
    struct Within {};
};
enum class Colour { red };

inline namespace v3 {
struct InInline {};
}  // namespace v3

template <class T>
struct Template {
    struct Within {};
};

struct Renamed {};

inline std::string name_of_local(int, long) {
    struct Local {};
    return type_name<Local>();
}

template <class T>
std::string name_of_local_in_template(T) {
    struct Local {};
    return type_name<Local>();
}

struct Outer {
    static std::string name_of_private() { return type_name<Private>(); }

private:
    struct Private {};
};

}  // namespace type_name_tests

struct TypeNameTestsGlobal {};
typedef struct {
} TypeNameTestsTypedef;

template <>
struct annals::TypeName<type_name_tests::Renamed> {
    static constexpr std::string_view value = "called otherwise";
};

using namespace type_name_tests;

TEST_CASE("a type has its qualified name") {
    CHECK(type_name<Plain>() == "type_name_tests::Plain");
    CHECK(type_name<Plain::Within>() == "type_name_tests::Plain::Within");
    CHECK(type_name<Colour>() == "type_name_tests::Colour");
    CHECK(type_name<TypeNameTestsGlobal>() == "TypeNameTestsGlobal");
    CHECK(type_name<TypeNameTestsTypedef>() == "TypeNameTestsTypedef");
    CHECK(Outer::name_of_private() == "type_name_tests::Outer::Private");
}

TEST_CASE("the name is the same on all compilers where they spell it differently themselves") {
    CHECK(type_name<Hidden>() == "(anonymous namespace)::Hidden");
    CHECK(type_name<InInline>() == "type_name_tests::v3::InInline");
    CHECK(type_name<Template<long>>() == "type_name_tests::Template<long>");
    CHECK(type_name<Template<Template<Template<unsigned char>>>>() ==
          "type_name_tests::Template<type_name_tests::Template<"
          "type_name_tests::Template<unsigned char>>>");
    CHECK(type_name<Template<Template<Plain>>::Within>() ==
          "type_name_tests::Template<type_name_tests::Template<type_name_tests::Plain>>::Within");
    CHECK(name_of_local(1, 2) == "type_name_tests::name_of_local(int, long)::Local");
    CHECK(name_of_local_in_template(1) ==
          "type_name_tests::name_of_local_in_template<int>(int)::Local");
}

TEST_CASE("a type can be given another name") {
    CHECK(type_name<Renamed>() == "called otherwise");
    CHECK(type_name<Template<Renamed>>() == "type_name_tests::Template<type_name_tests::Renamed>");
}
