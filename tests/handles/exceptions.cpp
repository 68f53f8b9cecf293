// SPDX-License-Identifier: MIT
// Code of the user's that throws, wherever the log calls it: nothing is sent, no claim stays open,
// and everything goes on.
#include <chrono>
#include <cstdint>
#include <functional>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <annals/annals.hpp>

#include "../world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

/// Where the next one throws, and after how many calls.
enum class Point { none, size, encode, decode, partitioner, first_walk, second_walk };
Point point = Point::none;
int calls = 0;

struct Thrown : std::runtime_error {
    Thrown() : std::runtime_error{"thrown by the test"} {}
};

void pass(Point here) {
    if (here == point && calls-- == 0) throw Thrown{};
}

/// Encoded inside the claim.
struct Inside {
    std::int64_t number = 0;
};
/// Encoded before it.
struct Before {
    std::int64_t number = 0;
};

}  // namespace

template <>
struct annals::Codec<Inside> {
    static constexpr std::string_view name = "inside";
    static constexpr bool encode_in_place = true;
    static std::size_t size(Inside const&) { return pass(Point::size), 8; }
    static void encode(Inside const& value, MutableBytes out) {
        store_le(out, value.number);
        pass(Point::encode);
    }
    static Inside decode(Bytes bytes) {
        pass(Point::decode);
        return {load_le<std::int64_t>(bytes)};
    }
};

template <>
struct annals::Codec<Before> {
    static constexpr std::string_view name = "before";
    static void encode(Before const& value, Buffer& out) {
        out.append_le(value.number);
        pass(Point::encode);
    }
    static Before decode(Bytes bytes) {
        pass(Point::decode);
        return {load_le<std::int64_t>(bytes)};
    }
};

namespace {

/// A range that makes its values as it goes, and may throw on either walk.
template <class T>
struct Values {
    std::int64_t first = 0;
    std::int64_t count = 0;
    mutable int walks = 0;

    struct Iterator {
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        std::int64_t at = 0;
        int walk = 0;
        T operator*() const { return pass(here()), T{at}; }
        Iterator& operator++() { return pass(here()), ++at, *this; }
        void operator++(int) { ++*this; }
        friend bool operator==(Iterator const& a, Iterator const& b) { return a.at == b.at; }
        [[nodiscard]] Point here() const {
            return walk == 1 ? Point::first_walk : Point::second_walk;
        }
    };
    [[nodiscard]] Iterator begin() const { return {first, ++walks}; }
    [[nodiscard]] Iterator end() const { return {first + count, walks}; }
};

}  // namespace

TEMPLATE_TEST_CASE("whatever throws in a send, nothing is sent and everything goes on", "",
                   (std::pair<Inside, MemoryPlatform>), (std::pair<Inside, NativePlatform>),
                   (std::pair<Before, MemoryPlatform>), (std::pair<Before, NativePlatform>)) {
    using Value = typename TestType::first_type;
    using Platform = typename TestType::second_type;
    World<Platform> world;
    std::vector<std::int64_t> sent;
    {
        auto log = world.open({.segment_bytes = 64u << 10});
        auto topic = log.template topic<Value, Value>("t");
        auto producer = topic.producer({.partitioner = [](std::optional<Bytes>, std::uint32_t) {
            pass(Point::partitioner);
            return 0u;
        }});
        auto consumer = topic.consumer();
        std::int64_t next = 0;
        std::vector<std::int64_t> polled;
        unsigned thrown = 0;
        auto const go_on = [&] {
            for (auto const& record : consumer.poll(0ns)) polled.push_back(record.value().number);
            CHECK(polled == sent);
            CHECK(consumer.lag() == 0);  // no claim is open
        };
        auto const attempt = [&](auto const& send, std::int64_t records) {
            bool has_thrown = false;
            try {
                send();
                for (std::int64_t i = 0; i < records; ++i) sent.push_back(next + i);
            } catch (Thrown const&) {
                has_thrown = true;
                ++thrown;
            }
            bool const is_over = !has_thrown;
            point = Point::none;
            next += records;
            go_on();
            producer.send(Value{1}, Value{next});
            sent.push_back(next++);
            go_on();
            return is_over;
        };
        for (Point const at : {Point::size, Point::encode, Point::partitioner, Point::first_walk,
                               Point::second_walk}) {
            auto const at_each_call = [&](auto const& send, std::int64_t records) {
                for (int n = 0;; ++n) {
                    REQUIRE(n < 100);
                    point = at;
                    calls = n;
                    if (attempt(send, records)) return;
                }
            };
            at_each_call([&] { producer.send(Value{1}, Value{next}); }, 1);
            at_each_call([&] { producer.send_batch(Value{1}, Values<Value>{next, 3}); }, 3);
        }
        CHECK(thrown > 10);
        log.close();
    }
    auto log = world.open();
    CHECK(log.recovery().was_clean());
}

TEMPLATE_TEST_CASE("what cannot be decoded stops no reader", "", MemoryPlatform, NativePlatform) {
    World<TestType> world;
    auto log = world.open();
    auto topic = log.template topic<std::string, Inside>("t");
    auto producer = topic.producer();
    for (std::int64_t i = 0; i < 10; ++i) producer.send("k", Inside{i});
    auto consumer = topic.consumer({.group = "g"});
    std::int64_t next = 0;
    unsigned thrown = 0;
    for (auto const& record : consumer.poll(0ns)) {
        if (next % 2 == 0) {
            point = Point::decode;
            calls = 0;
            CHECK_THROWS_AS(record.value(), Thrown);
            ++thrown;
        }
        CHECK(record.value().number == next);  // again, and it can be
        ++next;
    }
    CHECK(thrown == 5);
    consumer.commit();
    next = 0;
    for (auto const& record : topic.replay()) {
        point = Point::decode;
        calls = 0;
        CHECK_THROWS_AS(record.value(), Thrown);
        CHECK(record.offset() == Offset{static_cast<std::uint64_t>(next++)});
    }
    point = Point::none;
    CHECK(next == 10);
}

TEST_CASE(
    "a poll that a damaged record ends hands out what came before, and the rest after a seek") {
    World<MemoryPlatform> world;
    {
        auto log = world.open();
        auto topic = log.topic<std::string, std::string>("t", {.partitions = 2});
        for (std::uint32_t partition : {0u, 1u}) {
            for (int i = 0; i < 5; ++i) {
                topic.producer().send("k", "value" + std::to_string(i), {.partition = partition});
            }
        }
    }
    auto file = world.directory("topics", "t", "0").open_file("00000001.seg", Access::write);
    flip(file, place_of(file, "value3"));
    auto log = world.open();
    auto consumer = log.topic<std::string, std::string>("t").consumer();
    std::vector<std::string> polled;
    auto const poll = [&] {
        return error_of([&] {
            for (auto const& record : consumer.poll(0ns)) {
                polled.push_back(std::to_string(record.partition()) + std::string{record.value()});
            }
        });
    };
    unsigned errors = 0;
    for (int i = 0; i < 6; ++i) {
        auto const error = poll();
        if (!error) continue;
        CHECK(error->code() == Errc::corrupt);
        CHECK(error->partition() == 0);
        ++errors;
    }
    CHECK(errors >= 4);
    consumer.seek(0, Offset{4});
    for (int i = 0; i < 3; ++i) CHECK_FALSE(poll());
    CHECK(polled.size() == 9);
    CHECK(consumer.lag() == 0);
}
