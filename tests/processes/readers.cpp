// SPDX-License-Identifier: MIT
// Readers that stay attached while writers come, recover, remove, retain and go.
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <annals/annals.hpp>
#include <annals/format/control.hpp>
#include <annals/format/segment.hpp>

#include "../numbered.hpp"
#include "../world.hpp"
#include "looked_at.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

template <class Consumer>
std::vector<std::int64_t> poll_all(Consumer& consumer) {
    return values_of(consumer.poll(0ns, 1'000'000));
}

/// A system that does not tell its boots apart.
class Bootless : public MemoryPlatform {
public:
    using MemoryPlatform::MemoryPlatform;
    explicit Bootless(MemoryPlatform machine) noexcept : MemoryPlatform{std::move(machine)} {}
    [[nodiscard]] BootId boot_id() const noexcept { return {}; }
};

}  // namespace

TEMPLATE_TEST_CASE("what a writer sent that came and went between two polls is not missed", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    {
        auto log = world.open(small);
        send_numbers(log, 0, 10);
    }
    auto reader = world.attach();
    auto topic = numbers_topic(reader);
    auto consumer = topic.consumer();
    CHECK((poll_all(consumer) == range(0, 10)));
    for (std::int64_t from : {10, 11, 12, 3000, 9000}) {
        auto const next = static_cast<std::int64_t>(consumer.position(0).value());
        {
            auto log = world.open(small);
            send_numbers(log, next, from + 1);
        }
        CHECK((poll_all(consumer) == range(next, from + 1)));
        CHECK(topic.end_offset() == Offset{static_cast<std::uint64_t>(from) + 1});
    }
    CHECK((values_of(topic.replay()) == range(0, 9001)));
}

TEST_CASE("who is not told which boot this is hears of it after a death, not after a close") {
    World<MemoryPlatform> world;
    Bootless const machine{world.machine.platform};
    std::optional<MemoryPlatform> dead;
    {
        BasicLog<Bootless> log{world.path, small, machine};
        send_numbers(log, 0, 1);
        dead = world.machine.platform.after_process_death();
        log.close();
    }
    BasicLog<Bootless> const closed{world.path, small, machine};
    CHECK(closed.recovery().partitions.empty());
    BasicLog<Bootless> const died{world.path, small, Bootless{*dead}};
    REQUIRE(died.recovery().partitions.size() == 1);
    CHECK_FALSE(died.recovery().partitions[0].notes.empty());
}

TEST_CASE("a reader follows a writer that was not told which boot this is") {
    World<MemoryPlatform> world;
    BasicLog<Bootless> log{world.path, small, Bootless{world.machine.platform}};
    send_numbers(log, 0, 1);
    auto reader = world.attach();
    auto consumer = numbers_topic(reader).consumer();
    CHECK((poll_all(consumer) == range(0, 1)));
    send_numbers(log, 1, 5000);
    CHECK((poll_all(consumer) == range(1, 5000)));
}

TEMPLATE_TEST_CASE("a reader that attached before the first record sees it", "", NativePlatform,
                   MemoryPlatform) {
    World<TestType> world;
    auto log = std::make_unique<BasicLog<TestType>>(world.open(small));
    auto reader = world.attach();
    CHECK(code_of([&] { (void)numbers_topic(reader); }) == Errc::not_found);
    (void)numbers_topic(*log);
    auto topic = numbers_topic(reader);
    auto consumer = topic.consumer();
    auto cursor = topic.partition(0).cursor();
    CHECK(consumer.poll(0ns).empty());
    CHECK_FALSE(cursor.next());
    bool const is_new_life = GENERATE(false, true);
    if (is_new_life) {
        log.reset();
        CHECK(consumer.poll(0ns).empty());
        log = std::make_unique<BasicLog<TestType>>(world.open(small));
    }
    send_numbers(*log, 0, 5000);
    CHECK((poll_all(consumer) == range(0, 5000)));
    CHECK(cursor.next());
}

TEMPLATE_TEST_CASE("a reader of a topic that was removed is told closed, whatever has its name now",
                   "", NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = world.open(small);
    send_numbers(log, 0, 5000);
    auto reader = world.attach();
    auto topic = numbers_topic(reader);
    auto consumer = topic.consumer();
    auto cursor = topic.partition(0).cursor();
    auto const replay = topic.replay();
    REQUIRE(cursor.next());
    auto const polled = consumer.poll(0ns, 10);
    log.remove_topic("numbers");
    if (GENERATE(false, true)) send_numbers(log, 0, 7000);
    // What lies in segments that are mapped stays readable; what must be looked for does not.
    CHECK(code_of([&] {
              while (!consumer.poll(0ns).empty()) {
              }
          }) == Errc::closed);
    CHECK(code_of([&] {
              while (cursor.next()) {
              }
          }) == Errc::closed);
    std::vector<std::int64_t> replayed;
    auto const ended = code_of([&] {
        for (auto const& record : replay) replayed.push_back(record.value());
    });
    CHECK((ended == Errc::closed || replayed == range(0, 5000)));
    CHECK(code_of([&] { (void)topic.end_offset(); }) == Errc::closed);
    CHECK(code_of([&] { (void)topic.durable_offset(); }) == Errc::closed);
    CHECK(code_of([&] { (void)topic.replay(); }) == Errc::closed);
    CHECK(code_of([&] { (void)consumer.lag(); }) == Errc::closed);
    CHECK(code_of([&] { consumer.seek(std::chrono::sys_time<std::chrono::nanoseconds>{}); }) ==
          Errc::closed);
    CHECK((values_of(polled) == range(0, 10)));
}

namespace {

/// What retention does, by hand: the beginning, then the file.
template <class P>
std::uint64_t remove_first_segment(World<P>& world) {
    auto directory = world.directory("topics", "numbers", "0");
    auto const second = directory.open_file("00000002.seg", Access::read);
    auto const base = [&] {
        std::vector<std::byte> page(format::page_bytes);
        (void)second.read_at(0, page);
        auto const header = annals::detail::load<format::SegmentHeader>(page.data());
        format::Activation activation;
        (void)format::read_record(Bytes{page}.subspan(format::activation_place), activation,
                                  header.salt);
        return activation.base_offset;
    }();
    auto control = directory.open_file("control", Access::write);
    auto const beginning = format::checked(format::Beginning{.sequence = 1, .offset = base});
    control.write_at(format::beginning_places[1], format::bytes_of(beginning));
    directory.remove_file("00000001.idx");
    directory.remove_file("00000001.seg");
    return base;
}

}  // namespace

TEMPLATE_TEST_CASE("a reader whose next segment was removed is told the range that is left", "",
                   NativePlatform, MemoryPlatform) {
    World<TestType> world;
    auto log = std::make_unique<BasicLog<TestType>>(world.open(small));
    send_numbers(*log, 0, 5000);
    if (GENERATE(false, true)) log.reset();
    auto reader = world.attach();
    auto topic = numbers_topic(reader);
    auto consumer = topic.consumer();
    auto cursor = topic.partition(0).cursor();
    auto const replay = topic.replay();
    SECTION("who holds it finishes") {
        REQUIRE(cursor.next());
        REQUIRE(remove_first_segment(world) > 0);
        std::uint64_t next = 1;
        while (auto const record = cursor.next()) CHECK(record->offset() == Offset{next++});
        CHECK(next == 5000);
        return;
    }
    std::uint64_t const base = remove_first_segment(world);
    REQUIRE(base > 0);
    auto const check_range = [&](auto const& call) {
        auto const error = error_of(call);
        REQUIRE(error);
        CHECK(error->code() == Errc::offset_out_of_range);
        REQUIRE(error->valid_range());
        CHECK(error->valid_range()->first == base);
        CHECK(error->valid_range()->end == 5000);
        CHECK(error->partition() == 0);
    };
    SECTION("of those who do not, each is told, until it goes elsewhere") {
        check_range([&] { (void)cursor.next(); });
        check_range([&] { (void)consumer.poll(0ns); });
        check_range([&] { (void)consumer.poll(0ns); });
        check_range([&] { (void)replay.begin(); });
        consumer.seek_to_beginning();
        CHECK((poll_all(consumer) == range(static_cast<std::int64_t>(base), 5000)));
        cursor.seek(Offset{base});
        CHECK(cursor.next());
    }
    SECTION("a search by time looks again") {
        consumer.seek(std::chrono::sys_time<std::chrono::nanoseconds>{});
        CHECK(consumer.position(0) == Offset{base});
    }
    CHECK(topic.end_offset() == Offset{5000});
    CHECK(topic.beginning_offset() == Offset{base});
    CHECK((values_of(topic.replay()) == range(static_cast<std::int64_t>(base), 5000)));
}

TEST_CASE("a segment that its predecessor's seal has shut out is never part of the log") {
    // A roll was cut short: the last claim of the old segment is open or the one in the middle, the
    // new one is active and empty, and the old one has no seal. Whoever recovers seals the old one
    // and makes another new one. The reader has attached before, and looks after each of his
    // stores.
    constexpr std::int64_t full = ((64 << 10) - 4096 - 24) / 40;
    for (std::int64_t before = full - 6; before < full; ++before) {
        CAPTURE(before);
        World<MemoryPlatform> world;
        auto log = world.open(small);
        send_numbers(log, 0, before);
        std::optional<MemoryPlatform> dead;
        bool is_nested = false;
        {
            MemoryPlatform::StoreHook const stop{[&](std::byte const*, std::size_t) {
                if (std::exchange(is_nested, true)) return;
                MemoryPlatform::StoreHook const kill{[&](std::byte const*, std::size_t size) {
                    bool const is_activation = size == sizeof(format::Activation);
                    if (is_activation && !dead) dead = world.machine.platform.after_process_death();
                }};
                for (std::int64_t i = 1; i < 10 && !dead; ++i) {
                    send_numbers(log, before + i, before + i + 1);
                }
            }};
            send_numbers(log, before, before + 1);
        }
        REQUIRE(dead);

        auto lock = std::optional{
            dead->open_directory(world.path, Access::read).open_file("lock", Access::write)};
        REQUIRE(lock->try_lock());
        MemoryLog reader{world.path, {.read_only = true}, *dead};
        auto topic = numbers_topic(reader);
        auto consumer = topic.consumer();
        std::int64_t next = 0;
        std::uint64_t end = 0;
        auto const look = [&] {
            for (auto const& record : consumer.poll(0ns, 10'000)) {
                CHECK(record.value() >= next);
                CHECK(record.offset() == Offset{static_cast<std::uint64_t>(record.value())});
                next = record.value() + 1;
            }
            CHECK(consumer.lag() == 0);
            CHECK(topic.end_offset().value() >= end);
            end = topic.end_offset().value();
        };
        look();
        CHECK(next == before);
        lock.reset();
        bool is_looking = false;
        MemoryPlatform::StoreHook const after{[&](std::byte const*, std::size_t) {
            if (std::exchange(is_looking, true)) return;
            look();
            is_looking = false;
        }};
        MemoryLog writer{world.path, small, *dead};
        REQUIRE(writer.recovery().partitions.size() == 1);
        CHECK(writer.recovery().partitions[0].segments_removed == 1);
        look();
        auto const first = static_cast<std::int64_t>(numbers_topic(writer).end_offset().value());
        CHECK(end == static_cast<std::uint64_t>(first));
        send_numbers(writer, first, first + 2000);
        look();
        CHECK(next == first + 2000);
    }
}

TEST_CASE(
    "a reader that attached before there was a lock file knows a living writer all the same") {
    World<MemoryPlatform> world;
    {
        auto log = world.open(small);
        send_numbers(log, 0, 10);
    }
    world.machine.platform.open_directory(world.path, Access::write).remove_file("lock");
    auto reader = world.attach();
    auto consumer = numbers_topic(reader).consumer();
    CHECK((poll_all(consumer) == range(0, 10)));
    auto log = world.open(small);
    send_numbers(log, 10, 11);
    bool is_nested = false;
    {
        // A claim is open, and another record is published behind it.
        MemoryPlatform::StoreHook const hook{[&](std::byte const*, std::size_t size) {
            if (size != sizeof(std::uint64_t) || std::exchange(is_nested, true)) return;
            send_numbers(log, 12, 13);
            CHECK((poll_all(consumer) == range(10, 11)));
            CHECK(poll_all(consumer).empty());
        }};
        numbers_topic(log).producer().send("k", 11);
    }
    CHECK(is_nested);
    CHECK((poll_all(consumer) == range(11, 13)));
}

TEST_CASE("a reader that waits before an open claim passes over it when its owner has died") {
    // At the first record of the log, of a segment, and in the middle; alone and in a batch.
    constexpr std::int64_t full = ((64 << 10) - 4096 - 24) / 40;
    for (std::int64_t const before : {std::int64_t{1}, std::int64_t{100}, full, full + 1}) {
        CAPTURE(before);
        World<MemoryPlatform> world;
        auto log = world.open(small);
        send_numbers(log, 0, before);
        std::optional<MemoryPlatform> dead;
        bool is_nested = false;
        {
            MemoryPlatform::StoreHook const hook{[&](std::byte const* at, std::size_t size) {
                if (size != sizeof(std::uint64_t)) return;
                bool const is_claim =
                    format::FrameWord{detail::load<std::uint64_t>(at)}.length() == 2 * 40;
                if (!is_claim || std::exchange(is_nested, true)) return;
                send_numbers(log, before + 2, before + 10);
                dead = world.machine.platform.after_process_death();
            }};
            numbers_topic(log).producer().send_batch("k", {before, before + 1});
        }
        REQUIRE(dead);
        auto lock = std::optional{
            dead->open_directory(world.path, Access::read).open_file("lock", Access::write)};
        REQUIRE(lock->try_lock());
        MemoryLog reader{world.path, {.read_only = true}, *dead};
        auto topic = numbers_topic(reader);
        auto consumer = topic.consumer();
        auto cursor = topic.partition(0).cursor();
        CHECK((poll_all(consumer) == range(0, before)));
        while (cursor.next()) {
        }
        CHECK(poll_all(consumer).empty());
        CHECK(topic.end_offset() == Offset{static_cast<std::uint64_t>(before)});
        lock.reset();
        auto const rest = range(before + 2, before + 10);
        SECTION("nobody has recovered yet") {
            CHECK((poll_all(consumer) == rest));
            CHECK(consumer.lag() == 0);
            auto const record = cursor.next();
            REQUIRE(record);
            CHECK(record->offset().value() == static_cast<std::uint64_t>(before + 2));
        }
        SECTION("the next writer has") {
            MemoryLog writer{world.path, small, *dead};
            CHECK(writer.recovery().partitions.at(0).records_voided == 2);
            if (before % 2 == 0) send_numbers(writer, before + 10, before + 11);
            auto const polled = poll_all(consumer);
            CHECK(polled.size() == rest.size() + (before % 2 == 0 ? 1 : 0));
            auto const record = cursor.next();
            REQUIRE(record);
            CHECK(record->offset().value() == static_cast<std::uint64_t>(before + 2));
        }
    }
}

TEST_CASE("a reader that looks whenever a successor's first append fails sees the next") {
    constexpr Operation operations[] = {
        Operation::open,           Operation::create, Operation::allocate, Operation::write,
        Operation::sync,           Operation::map,    Operation::rename,   Operation::remove,
        Operation::directory_sync, Operation::list};
    World<MemoryPlatform> world;
    std::optional<MemoryPlatform> dead;
    {
        auto log = world.open(small);
        send_numbers(log, 0, 2000);
        dead = world.machine.platform.after_process_death();
    }
    bool const must_copy = GENERATE(false, true);
    unsigned failures = 0;
    for (Operation const operation : operations) {
        for (unsigned n = 0; n < 20; ++n) {
            CAPTURE(static_cast<int>(operation), n);
            MemoryPlatform machine = dead->after_process_death();
            MemoryLog reader{world.path, {.read_only = true}, machine};
            auto consumer = numbers_topic(reader).consumer();
            CHECK((poll_all(consumer) == range(0, 2000)));
            if (must_copy) machine.fail_next(Operation::sync, EIO);
            MemoryLog successor{world.path, small, machine};
            auto producer = numbers_topic(successor).producer();
            CHECK(poll_all(consumer).empty());
            machine.fail_next(operation, ENOSPC, n);
            std::int64_t next = 2000;
            auto const failed = detail::attempt([&] { producer.send("k", next++); });
            machine.clear_failures();
            failures += failed ? 1U : 0U;
            if (failed) CHECK(poll_all(consumer).empty());
            next = 2000 + (failed ? 0 : 1);
            producer.send("k", next);
            CHECK((poll_all(consumer) == range(2000, next + 1)));
        }
    }
    CHECK(failures > 20);
}

TEST_CASE("a reader that looks while a successor copies what a death left sees what it appends") {
    World<MemoryPlatform> world;
    std::optional<MemoryPlatform> dead;
    {
        auto log = world.open(small);
        send_numbers(log, 0, 2000);
        dead = world.machine.platform.after_process_death();
    }
    LookedAtPlatform machine{*dead};
    BasicLog<LookedAtPlatform> reader{world.path, {.read_only = true}, machine};
    auto consumer = numbers_topic(reader).consumer();
    CHECK((poll_all(consumer) == range(0, 2000)));
    machine.fail_next(Operation::sync, EIO);
    BasicLog<LookedAtPlatform> successor{world.path, small, machine};
    CHECK(poll_all(consumer).empty());
    auto producer = numbers_topic(successor).producer();
    unsigned looks = 0;
    LookedAtPlatform::look = [&] {
        ++looks;
        CHECK(poll_all(consumer).empty());
    };
    producer.send("k", 2000);
    LookedAtPlatform::look = nullptr;
    CHECK(looks > 0);
    CHECK((poll_all(consumer) == range(2000, 2001)));
}
