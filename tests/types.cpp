// SPDX-License-Identifier: MIT
#include <annals/types.hpp>

#include <string>
#include <type_traits>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;

TEST_CASE("text and bytes are the same memory") {
    std::string const text{"a\0b", 3};
    Bytes const bytes = as_bytes(text);
    CHECK(bytes.size() == 3);
    CHECK(bytes[1] == std::byte{0});
    CHECK(static_cast<void const*>(bytes.data()) == text.data());
    CHECK(as_text(bytes) == text);
    CHECK(as_text({}).empty());
    CHECK(as_bytes("").empty());
}

TEST_CASE("offsets count on, compare, and give their distance") {
    constexpr Offset five{5};
    static_assert(five.value() == 5 && Offset{}.value() == 0);
    static_assert((five + 2).value() == 7 && (five - 2).value() == 3 && Offset{9} - five == 4);
    static_assert(five < Offset{6} && five == Offset{5} && five != Offset{});
    Offset offset = five;
    CHECK((offset++).value() == 5);
    CHECK((++offset).value() == 7);
    offset += 3;
    CHECK(offset == Offset{10});
}

TEST_CASE("an offset is not a number by accident") {
    static_assert(!std::is_convertible_v<int, Offset> && !std::is_convertible_v<Offset, int>);
    static_assert(std::is_trivially_copyable_v<Offset> && sizeof(Offset) == 8);
    SUCCEED("checked when compiling");
}

TEST_CASE("timestamps count nanoseconds since 1970") {
    using namespace std::chrono_literals;
    CHECK(Timestamp{1s}.time_since_epoch().count() == 1'000'000'000);
    CHECK(Timestamp{} == Timestamp{0s});
}

TEST_CASE("a recovery was clean when every partition was") {
    Recovery recovery;
    CHECK(recovery.was_clean());
    recovery.notes.emplace_back("something to say");
    recovery.partitions.push_back({.topic = "a", .notes = {"another"}});
    CHECK(recovery.was_clean());
    recovery.partitions.push_back({.topic = "b", .ending = Ending::process_death});
    CHECK_FALSE(recovery.was_clean());
    recovery.partitions.back().ending = Ending::power_loss;
    CHECK_FALSE(recovery.was_clean());
}
