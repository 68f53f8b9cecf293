// SPDX-License-Identifier: MIT
// A claim from its first store to its last, and what becomes of one whose owner gives up.
#include <annals/storage/appender.hpp>

#include <atomic>
#include <functional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "senders.hpp"
#include "turns.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

/// A value that is encoded inside its claim, and does there what the test wants.
struct InClaim {
    std::string text;
    std::function<void()> before{};
};

}  // namespace

template <>
struct annals::Codec<InClaim> {
    static constexpr std::string_view name = "in claim";
    static constexpr bool encode_in_place = true;
    static std::size_t size(InClaim const& value) { return value.text.size(); }
    static void encode(InClaim const& value, MutableBytes out) {
        if (value.before) value.before();
        copy_bytes(as_bytes(value.text), out);
    }
    static InClaim decode(Bytes in) { return {std::string{as_text(in)}}; }
};

namespace {

using format::FrameState;
using format::FrameWord;

/// A partition and its writer, without the types above them.
struct Bare {
    MemoryPlatform machine{};
    storage::LogState<MemoryPlatform> log{"log", {.segment_bytes = 64 << 10}, machine};
    std::shared_ptr<storage::TopicState<MemoryPlatform>> topic = log.open_topic(
        "t", {codec_name<Bytes>(), codec_name<Bytes>(), {.sync = Sync::never}});

    [[nodiscard]] storage::PartitionState<MemoryPlatform>& state() {
        return *topic->partition(0);
    }
    [[nodiscard]] BasicTopic<Bytes, Bytes, MemoryPlatform> handle() const {
        return {topic, Access::write};
    }
};

struct Store {
    std::uint64_t place;
    std::uint64_t size;
    FrameWord word;  ///< what the first eight bytes say now
};

/// All stores into a segment while it lives.
struct Stores {
    std::byte const* begin;
    std::vector<Store> seen{};
    MemoryPlatform::StoreHook hook{[this](std::byte const* address, std::size_t size) {
        std::uint64_t word = 0;
        std::memcpy(&word, address, sizeof word);
        seen.push_back({static_cast<std::uint64_t>(address - begin), size, FrameWord{word}});
    }};

    explicit Stores(std::byte const* segment) : begin{segment} {}
};

using Content = storage::FrameContent<storage::BytesPart, storage::BytesPart>;

storage::BytesPart part(std::string_view text) { return {as_bytes(text)}; }

}  // namespace

TEST_CASE("a record is first claimed with its length and count, then written, then published") {
    Bare bare;
    bare.handle().partition(0).append({}, as_bytes("opens the gate"));
    auto const [segment, at, first] = bare.state().writer().claim(1, 48);
    Stores stores{segment.bytes()};
    auto const key = part("key");
    auto const value = part("a value of 20 bytes");
    Content const content{key, value, {}, Timestamp{77ns}};
    REQUIRE(content.length() == 24 + 3 + 19);
    storage::Claim<MemoryPlatform> claim{segment, at, 48, 1};
    REQUIRE(stores.seen.size() == 1);
    CHECK(stores.seen[0].place == at.place);
    CHECK(stores.seen[0].word.state() == FrameState::claimed);
    CHECK(stores.seen[0].word.length() == 48);
    CHECK(stores.seen[0].word.claimed_records() == 1);

    claim.write(content, content.length());
    REQUIRE(stores.seen.size() == 2);
    CHECK(stores.seen[1].place == at.place + 8);
    CHECK(bare.state().published_end() == 1);
    CHECK(bare.state().claimed_end() == 2);

    claim.publish();
    REQUIRE(stores.seen.size() == 3);
    CHECK(stores.seen[2].place == at.place);
    CHECK(stores.seen[2].size == 8);
    CHECK(stores.seen[2].word.state() == FrameState::data);
    CHECK(stores.seen[2].word.length() == 46);
    CHECK(bare.state().published_end() == 2);

    format::FrameView frame;
    REQUIRE(format::decode_frame({segment.bytes() + at.place, 46}, frame));
    CHECK(as_text(frame.key) == "key");
    CHECK(as_text(frame.value) == "a value of 20 bytes");
    CHECK(frame.flags == (format::has_key | format::has_value));
    CHECK(frame.timestamp == 77);
    CHECK(format::load_header(segment.bytes() + at.place).number == 1);
}

TEST_CASE("a batch becomes visible with one store, the last one, of its first word") {
    Bare bare;
    bare.handle().partition(0).append({}, as_bytes("opens the gate"));
    auto const [segment, at, first] = bare.state().writer().claim(3, 3 * 32);
    Stores stores{segment.bytes()};
    auto const none = storage::BytesPart{};
    auto const value = part("8 bytes.");
    storage::Claim<MemoryPlatform> claim{segment, at, 3 * 32, 3};
    CHECK(stores.seen.back().word.length() == 3 * 32);
    CHECK(stores.seen.back().word.claimed_records() == 3);
    for (int i = 0; i < 3; ++i) {
        claim.write(Content{none, value, {}, {}}, 32);
        CHECK(bare.state().published_end() == 1);
    }
    auto const before = stores.seen.size();
    claim.publish();
    CHECK(stores.seen.size() == before + 1);
    CHECK(stores.seen.back().place == at.place);
    CHECK(bare.state().published_end() == 4);
}

TEST_CASE("a claim that is given up becomes one void over all its offsets") {
    auto const written = GENERATE(0, 1, 2);
    CAPTURE(written);
    Bare bare;
    auto const topic = bare.handle();
    topic.partition(0).append({}, as_bytes("before"));
    {
        auto const [segment, at, first] = bare.state().writer().claim(3, 3 * 32);
        storage::Claim<MemoryPlatform> claim{segment, at, 3 * 32, 3};
        auto const none = storage::BytesPart{};
        auto const value = part("8 bytes.");
        for (int i = 0; i < written; ++i) claim.write(Content{none, value, {}, {}}, 32);
        topic.partition(0).append({}, as_bytes("behind"));
        CHECK(bare.state().published_end() == 1);
    }
    CHECK(topic.end_offset() == Offset{5});
    auto cursor = topic.partition(0).cursor();
    CHECK(as_text(cursor.next()->value()) == "before");
    auto const behind = cursor.next();
    REQUIRE(behind);
    CHECK(as_text(behind->value()) == "behind");
    CHECK(behind->offset() == Offset{4});
    // From the middle of the void one comes to what is behind it.
    CHECK(topic.partition(0).cursor(Offset{2}).next()->offset() == Offset{4});
    CHECK(topic.producer().send({}, as_bytes("next")).offset == Offset{5});
    bare.log.close();

    MemoryLog again{"log", {}, bare.machine};
    CHECK(again.recovery().was_clean());
    auto const found = again.topic<Bytes, Bytes>("t");
    CHECK(found.end_offset() == Offset{6});
    auto const middle = found.replay({.from = Offset{1}, .until = Offset{5}});
    CHECK(values_of(middle).size() == 1);
}

TEMPLATE_TEST_CASE("what a codec throws inside its claim reaches the sender and stops nobody else",
                   "", MemoryPlatform, NativePlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = 64 << 10});
    auto topic = log.template topic<std::string, InClaim>("t", {.sync = Sync::always});
    auto producer = topic.producer();
    CHECK(producer.send("k", {"first"}).offset == Offset{0});
    auto const fail = [] { throw std::runtime_error{"no such value"}; };
    CHECK_THROWS_WITH(producer.send("k", {"second", fail}), "no such value");
    CHECK(topic.end_offset() == Offset{2});
    std::vector<InClaim> const batch{{"third"}, {"fourth", fail}, {"fifth"}};
    CHECK_THROWS_WITH(producer.send_batch("k", batch), "no such value");
    CHECK(producer.send("k", {"sixth"}).offset == Offset{5});
    CHECK(topic.end_offset() == Offset{6});
    CHECK(topic.durable_offset() == Offset{6});
    std::vector<std::string> texts;
    for (auto const& record : topic.replay()) texts.push_back(record.value().text);
    CHECK(texts == std::vector<std::string>{"first", "sixth"});
    CHECK(topic.consumer().poll(0ns).size() == 2);
}

TEST_CASE("senders whose codecs throw beside others: nobody hangs, what was sent is there") {
    World<NativePlatform> world;
    std::atomic<std::uint64_t> sent{0};
    std::atomic<std::uint64_t> thrown{0};
    {
        auto log = world.open({.segment_bytes = 64 << 10});
        auto topic = log.topic<std::string, InClaim>("t", {.sync = Sync::always});
        std::vector<std::jthread> threads;
        for (std::uint64_t id = 0; id < 4; ++id) {
            threads.emplace_back([&, id] {
                Random random{id};
                auto producer = topic.producer();
                for (int i = 0; i < 300; ++i) {
                    bool const fails = random.one_in(3);
                    InClaim value{std::string(random.below(3000), 'x')};
                    if (fails) value.before = [] { throw std::runtime_error{"fails"}; };
                    try {
                        producer.send("k", value);
                        ++sent;
                    } catch (std::runtime_error const&) {
                        ++thrown;
                    }
                }
            });
        }
        threads.clear();
        CHECK(topic.end_offset() == Offset{sent + thrown});
        CHECK(thrown > 0);
    }
    auto log = world.open();
    CHECK(log.recovery().was_clean());
    auto topic = log.topic<std::string, InClaim>("t");
    std::uint64_t count = 0;
    for (auto const& record : topic.replay({.check = Check::always})) {
        count += record.value().text.find_first_not_of('x') == std::string::npos;
    }
    CHECK(count == sent);
}

TEST_CASE("a slow claim holds back who asks for the end, but no other sender") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        TurnPlatform machine;
        Turns{seed, machine}.run([&] {
            BasicLog<TurnPlatform> log{"log", {.segment_bytes = 64 << 10}, machine};
            auto topic = log.topic<std::string, InClaim>("t", {.sync = Sync::never});
            topic.producer().send("k", {"opens the gate"});
            bool is_claimed = false;
            bool is_asked = false;
            unsigned others = 0;
            auto const wait_for_others = [&] {
                is_claimed = true;
                while (others < 20 || !is_asked) Turns::let_others();
            };
            TurnThread slow{[&] { topic.producer().send("k", {"slow", wait_for_others}); }};
            while (!is_claimed) Turns::let_others();
            TurnThread asker{[&] {
                is_asked = true;
                CHECK(topic.end_offset() >= Offset{2});
                CHECK(others == 20);
            }};
            InClaim const large{std::string(5000, 'x')};  // so that there are rolls
            for (; others < 20; ++others) topic.producer().send("k", large);
            slow.join();
            asker.join();
            CHECK(topic.end_offset() == Offset{22});
        });
    }
}

TEST_CASE("close waits for the claims that stand") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        TurnPlatform machine;
        bool is_sent = false;
        Turns{seed, machine}.run([&] {
            BasicLog<TurnPlatform> log{"log", {.segment_bytes = 64 << 10}, machine};
            auto topic = log.topic<std::string, InClaim>("t", {.sync = Sync::never});
            bool is_claimed = false;
            auto const dawdle = [&] {
                is_claimed = true;
                for (int i = 0; i < 50; ++i) Turns::let_others();
            };
            TurnThread slow{[&] {
                topic.producer().send("k", {"slow", dawdle});
                is_sent = true;
            }};
            while (!is_claimed) Turns::let_others();
            log.close();
            slow.join();
        });
        CHECK(is_sent);
        MemoryLog log{"log", {}, machine};
        CHECK(log.recovery().was_clean());
        CHECK(log.topic<std::string, InClaim>("t").end_offset() == Offset{1});
    }
}
