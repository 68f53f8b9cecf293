// SPDX-License-Identifier: MIT
#include <annals/detail/callable.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "catch.hpp"

using annals::detail::Callable;

namespace {

int twice(int x) { return 2 * x; }

}  // namespace

TEST_CASE("an empty callable is false, one that holds something is true") {
    Callable<int(int)> const empty;
    CHECK_FALSE(empty);
    Callable<int(int)> const full = twice;
    CHECK(full);
    CHECK(full(21) == 42);
}

TEST_CASE(
    "a callable holds functions, lambdas, function objects and what returns something alike") {
    Callable<int(int)> call = [](int x) { return x + 1; };
    CHECK(call(1) == 2);
    call = &twice;
    CHECK(call(4) == 8);
    call = std::function<int(int)>{[](int x) { return -x; }};
    CHECK(call(4) == -4);
    Callable<double(int)> const converted = [](int x) { return x; };
    CHECK(converted(7) == 7.0);
    int called = 0;
    Callable<void(int)> const forgets = [&](int x) { return called += x; };
    forgets(5);
    CHECK(called == 5);
}

TEST_CASE("what cannot be called so is refused when compiling") {
    static_assert(!std::is_constructible_v<Callable<int(int)>, int>);
    static_assert(!std::is_constructible_v<Callable<int(int)>, int (*)(std::string)>);
    static_assert(!std::is_constructible_v<Callable<int(int)>, void (*)(int)>);
    static_assert(std::is_nothrow_default_constructible_v<Callable<int(int)>>);
    SUCCEED("checked when compiling");
}

TEST_CASE("copies share the state, and it goes with the last of them") {
    auto const state = std::make_shared<int>(0);
    std::optional<Callable<int()>> first = Callable<int()>{[state] { return ++*state; }};
    std::optional<Callable<int()>> second = first;
    CHECK((*first)() == 1);
    CHECK((*second)() == 2);
    CHECK(state.use_count() == 2);
    first.reset();
    CHECK((*second)() == 3);
    second.reset();
    CHECK(state.use_count() == 1);
}

TEST_CASE("arguments are passed on as they are, also those that can only be moved") {
    Callable<int(std::unique_ptr<int>)> const take = [](std::unique_ptr<int> p) { return *p; };
    CHECK(take(std::make_unique<int>(9)) == 9);
    Callable<void(std::string&)> const change = [](std::string& text) { text += '!'; };
    std::string text = "a";
    change(text);
    CHECK(text == "a!");
}

TEST_CASE("a callable can be called through a constant, and its target may change itself") {
    Callable<int()> const counter = [count = 0]() mutable { return ++count; };
    CHECK(counter() == 1);
    CHECK(counter() == 2);
}
