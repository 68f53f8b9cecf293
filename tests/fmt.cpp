// SPDX-License-Identifier: MIT
#include <annals/fmt.hpp>

#include <fmt/chrono.h>

#include <chrono>
#include <string>

#include <annals/annals.hpp>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

TEST_CASE("offsets and codes are shown as they are written") {
    CHECK(fmt::format("{}", Offset{17}) == "17");
    CHECK(fmt::format("{:>6}|{:<6}|{:^6}|{:06}", Offset{17}, Offset{17}, Offset{17}, 17) ==
          "    17|17    |  17  |000017");
    CHECK(fmt::format("{}", Errc::log_truncated) == "log_truncated");
    CHECK(fmt::format("[{:*^8}]", Errc::ok) == "[***ok***]");
}

TEST_CASE("an error is shown by its message") {
    auto const error = error_of([] { detail::raise(Errc::closed, "the log was closed"); });
    CHECK(fmt::format("{}", *error) == "closed: the log was closed");
}

TEST_CASE("times are shown in UTC with nanoseconds") {
    auto const text = [](Timestamp stamp) { return fmt::format("{}", utc(stamp)); };
    CHECK(text(Timestamp{1'700'000'000s}) == "2023-11-14T22:13:20.000000000Z");
    CHECK(text(Timestamp{0ns}) == "1970-01-01T00:00:00.000000000Z");
    CHECK(text(Timestamp{-1ns}) == "1969-12-31T23:59:59.999999999Z");
    CHECK(text(Timestamp{1'234'567'890ns}) == "1970-01-01T00:00:01.234567890Z");
    CHECK(text(std::chrono::sys_days{std::chrono::year{2024} / 2 / 29}) ==
          "2024-02-29T00:00:00.000000000Z");
    CHECK(text(std::chrono::sys_days{std::chrono::year{1900} / 3 / 1} - 1ns) ==
          "1900-02-28T23:59:59.999999999Z");
    CHECK(text(Timestamp::max()) == "2262-04-11T23:47:16.854775807Z");
    CHECK(text(Timestamp::min()) == "1677-09-21T00:12:43.145224192Z");
    CHECK(fmt::format("{:.19}", utc(Timestamp{1'700'000'000s})) == "2023-11-14T22:13:20");
}

TEST_CASE("every day of two centuries is the calendar's") {
    for (std::chrono::sys_days day = std::chrono::year{1800} / 1 / 1;
         day < std::chrono::year{2200} / 1 / 1; day += std::chrono::days{1}) {
        std::chrono::year_month_day const date{day};
        REQUIRE(detail::text_of(utc(day)).substr(0, 10) ==
                fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                            static_cast<unsigned>(date.month()),
                            static_cast<unsigned>(date.day())));
    }
}

TEST_CASE("the standard library's times stay fmt's") {
    CHECK(fmt::format("{:%Y-%m-%d}", Timestamp{1'700'000'000s}) == "2023-11-14");
}

TEST_CASE("records and where they went are shown by partition and offset") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto topic = log.topic<std::string, int>("t", {.partitions = 4});
    auto producer = topic.producer();
    SendOptions const options{.timestamp = Timestamp{1'700'000'000s}, .partition = 3};
    CHECK(fmt::format("{}", producer.send("key", 1, options)) ==
          "3@0 2023-11-14T22:13:20.000000000Z");
    CHECK(fmt::format("{}", producer.send_batch(std::nullopt, {1, 2}, options)) ==
          "3@[1, 3) 2023-11-14T22:13:20.000000000Z");
    producer.send("", std::nullopt, options);
    std::string all;
    for (auto const& record : topic.replay()) all += fmt::format("{}\n", record);
    CHECK(all ==
          "3@0 2023-11-14T22:13:20.000000000Z key: 3 bytes, value: 4 bytes\n"
          "3@1 2023-11-14T22:13:20.000000000Z key: none, value: 4 bytes\n"
          "3@2 2023-11-14T22:13:20.000000000Z key: none, value: 4 bytes\n"
          "3@3 2023-11-14T22:13:20.000000000Z key: 0 bytes, value: none\n");
    RecordView const view = *topic.replay().begin();
    CHECK(fmt::format("{:.3}", view) == "3@0");
}
