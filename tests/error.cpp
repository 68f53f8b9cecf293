// SPDX-License-Identifier: MIT
#include <annals/error.hpp>

#include <cerrno>
#include <new>
#include <set>
#include <string>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;

TEST_CASE("each code has a name of its own, and a number that is no code has none") {
    std::set<std::string_view> names;
    for (unsigned code = 0; code <= static_cast<unsigned>(Errc::log_truncated); ++code) {
        names.insert(to_string(static_cast<Errc>(code)));
    }
    CHECK(names.size() == static_cast<unsigned>(Errc::log_truncated) + 1);
    CHECK_FALSE(names.contains("unknown"));
    CHECK(to_string(Errc::ok) == "ok");
    CHECK(to_string(Errc::offset_out_of_range) == "offset_out_of_range");
    CHECK(to_string(static_cast<Errc>(200)) == "unknown");
}

TEST_CASE("an error carries what is known, and nothing where nothing is") {
    Error const bare{Errc::closed, "text"};
    CHECK(bare.code() == Errc::closed);
    CHECK(std::string{bare.what()} == "text");
    CHECK(bare.path().empty());
    CHECK(bare.system_code() == 0);
    CHECK_FALSE(bare.segment());
    CHECK_FALSE(bare.place());
    CHECK_FALSE(bare.partition());
    CHECK_FALSE(bare.valid_range());

    Error const full{Errc::corrupt,
                     "text",
                     {.path = "data/x",
                      .system_code = EIO,
                      .segment = 3,
                      .place = 4096,
                      .partition = 2,
                      .valid_range = OffsetRange{5, 9}}};
    Error const copy = full;
    CHECK(copy.path() == "data/x");
    CHECK(&copy.path() == &full.path());
    CHECK(copy.system_code() == EIO);
    CHECK(copy.segment() == 3);
    CHECK(copy.place() == 4096);
    CHECK(copy.partition() == 2);
    REQUIRE(copy.valid_range());
    CHECK(copy.valid_range()->first == 5);
    CHECK(copy.valid_range()->end == 9);
}

TEST_CASE("the message names the code, what was wrong, and all that is known") {
    CHECK(detail::error_message(Errc::closed, "the log was closed", {}) ==
          "closed: the log was closed");
    CHECK(detail::error_message(Errc::corrupt, "bad", {.path = "p/1.seg", .place = 4096}) ==
          "corrupt: bad: p/1.seg, place 4096");
    CHECK(detail::error_message(Errc::corrupt, "bad", {.path = "p", .place = 0}) ==
          "corrupt: bad: p, place 0");
    CHECK(detail::error_message(Errc::no_space, "full", {.path = "p", .system_code = ENOSPC}) ==
          "no_space: full: p (No space left on device)");
    CHECK(detail::error_message(Errc::offset_out_of_range, "gone",
                                {.valid_range = OffsetRange{3, 7}}) ==
          "offset_out_of_range: gone (valid: 3 up to 7)");
}

TEST_CASE("what is raised is an Error and a runtime_error with that message") {
    try {
        detail::raise(Errc::not_found, "no such topic", {.path = "data/topics/t"});
    } catch (std::runtime_error const& error) {
        CHECK(std::string{error.what()} == "not_found: no such topic: data/topics/t");
        CHECK(dynamic_cast<Error const*>(&error)->code() == Errc::not_found);
        return;
    }
    FAIL("nothing was thrown");
}

TEST_CASE("an attempt gives back what was thrown, whatever the kind") {
    CHECK_FALSE(detail::attempt([] {}));
    auto const own = detail::attempt([] { detail::raise(Errc::locked, "x", {.path = "p"}); });
    REQUIRE(own);
    CHECK(own->code() == Errc::locked);
    CHECK(own->path() == "p");
    auto const other = detail::attempt([] { throw std::bad_alloc{}; });
    REQUIRE(other);
    CHECK(other->code() == Errc::io_error);
    CHECK_THROWS_AS(detail::raise_again(*own), Error);
}
