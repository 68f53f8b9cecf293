// SPDX-License-Identifier: MIT
// Retention of one partition: which segments may go, and that a death, a failure or power loss at
// any step of their removal leaves the log whole from its beginning on.
#include <annals/storage/retention.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "catch.hpp"
#include "storage/lives.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;
using storage::EndedSegment;

namespace {

// ---- which segments may go

/// Ended segments of ten records and 100 bytes each, whose youngest records have these stamps, and
/// which were completed when they came.
std::vector<EndedSegment> segments_of(std::vector<std::int64_t> const& stamps) {
    std::vector<EndedSegment> segments;
    std::uint64_t end = 0;
    for (std::int64_t const stamp : stamps) {
        segments.push_back(
            {.end = end += 10, .bytes = 100, .max_timestamp = stamp, .completed = stamp});
    }
    return segments;
}

/// Where a log begins then that has five more records, and so many bytes, behind them.
std::uint64_t beginning_by(format::Retention const& limits, std::vector<EndedSegment> const& ended,
                           std::int64_t now = 1'000) {
    std::uint64_t const end = (ended.empty() ? 0 : ended.back().end) + 5;
    return storage::apply(limits, 0, ended, end, 1'000, now).beginning;
}

}  // namespace

TEST_CASE("without limits everything is kept") {
    CHECK(beginning_by({}, segments_of({1, 2, 3})) == 0);
    CHECK(beginning_by({}, {}) == 0);
    CHECK(storage::apply({}, 7, segments_of({1, 2}), 20, 0, 1'000).beginning == 7);
}

TEST_CASE("segments go whose youngest record is older than the limit") {
    auto const ended = segments_of({100, 200, 300});
    CHECK(beginning_by({.age = 901ns}, ended) == 0);
    CHECK(beginning_by({.age = 900ns}, ended) == 0);  // not older
    CHECK(beginning_by({.age = 899ns}, ended) == 10);
    CHECK(beginning_by({.age = 750ns}, ended) == 20);
    CHECK(beginning_by({.age = 1ns}, ended) == 30);
}

TEST_CASE("a segment that is young enough keeps what lies behind it") {
    CHECK(beginning_by({.age = 500ns}, segments_of({100, 600, 200})) == 10);
}

TEST_CASE("a segment of nothing but voids has no youngest record and goes with its elders") {
    auto ended = segments_of({100, 200, 990});
    ended[1].max_timestamp = format::before_all_time;
    CHECK(beginning_by({.age = 500ns}, ended) == 20);
}

TEST_CASE("stamps in the future count from when the segment, or one behind it, was completed") {
    auto ended = segments_of({100, 5'000, 300});
    ended[1].completed = 200;
    CHECK(beginning_by({.age = 500ns}, ended) == 30);
    CHECK(beginning_by({.age = 850ns}, ended) == 10);
    // The clock was ahead then, and has been set back since.
    ended[1].completed = 5'000;
    CHECK(beginning_by({.age = 500ns}, ended) == 30);
    CHECK(beginning_by({.age = 750ns}, ended) == 10);
    ended[1].completed = ended[2].completed = format::after_all_time;
    ended[2].max_timestamp = 5'000;
    CHECK(beginning_by({.age = 500ns}, ended) == 10);
}

TEST_CASE("a clock that is behind the stamps removes nothing, nor does one that was behind once") {
    auto ended = segments_of({100, 200, 300});
    CHECK(beginning_by({.age = 50ns}, ended, 20) == 0);
    CHECK(beginning_by({.age = 50ns}, ended, -5'000) == 0);
    for (auto& segment : ended) segment.completed = -10'000;
    CHECK(beginning_by({.age = 950ns}, ended) == 0);
}

TEST_CASE("times at the ends of what can be said do not wrap") {
    constexpr auto max = format::after_all_time;
    constexpr auto min = format::before_all_time;
    auto const ended = segments_of({max - 1, max, min, min + 1});
    for (std::int64_t const now : {min, std::int64_t{0}, max}) {
        for (auto const age : {1ns, std::chrono::nanoseconds{max - 1}}) {
            auto const kept = storage::apply({.age = age}, 0, ended, 45, 0, now);
            CHECK(kept.wait >= 0);
            CHECK(kept.beginning <= 40);
        }
    }
}

TEST_CASE("the oldest segments go while all of them take more than the limit") {
    auto const ended = segments_of({1, 2, 3});
    CHECK(beginning_by({.bytes = 1'300}, ended) == 0);
    CHECK(beginning_by({.bytes = 1'299}, ended) == 10);
    CHECK(beginning_by({.bytes = 1'100}, ended) == 20);
    CHECK(beginning_by({.bytes = 5}, ended) == 30);
}

TEST_CASE("the oldest segments go as long as enough records remain") {
    auto const ended = segments_of({1, 2, 3});
    CHECK(beginning_by({.records = 26}, ended) == 0);
    CHECK(beginning_by({.records = 25}, ended) == 10);
    CHECK(beginning_by({.records = 6}, ended) == 20);
    CHECK(beginning_by({.records = 5}, ended) == 30);
    CHECK(beginning_by({.records = 1}, ended) == 30);
}

TEST_CASE("where several limits hold the strictest decides") {
    auto const ended = segments_of({100, 200, 300});
    CHECK(beginning_by({.age = 850ns, .bytes = 1'150, .records = 25}, ended) == 20);
}

TEST_CASE("it is known how long until the next segment is too old") {
    auto const ended = segments_of({100, 200, 300});
    auto const wait = [&](format::Retention const& limits) {
        return storage::apply(limits, 0, ended, 35, 0, 1'000).wait;
    };
    CHECK(wait({.age = 950ns}) == 50);
    CHECK(wait({.age = 850ns}) == 50);
    CHECK(wait({.age = 1ns}) == storage::Retention<MemoryPlatform>::never);
    CHECK(wait({.bytes = 1}) == storage::Retention<MemoryPlatform>::never);
}

// ---- their removal, and what comes in between

namespace {

/// What a life of six segments wrote, by offset, and how far it is durable.
struct Story {
    std::vector<std::string> records{};
    std::uint64_t durable = 0;
};

std::string value_of(std::uint64_t offset) { return std::to_string(offset) + '.'; }

void append(MemoryLife& life, Story& story, unsigned count) {
    for (; count > 0; --count) {
        std::string const value = value_of(story.records.size());
        CHECK(life.append(value + std::string(7'900, 'x')) == story.records.size());
        story.records.push_back(value);
    }
}

std::vector<std::string> records_of(MemoryLife const& life) {
    std::vector<std::string> records;
    auto const& state = life.partition_state();
    BasicRecordReader<MemoryPlatform> reader{state, state->beginning(), Check::always};
    RecordView record;
    while (reader.next(record)) {
        CHECK(record.offset().value() == state->beginning() + records.size());
        std::string const text{as_text(record.value())};
        records.push_back(text.substr(0, text.find('.') + 1));
    }
    CHECK(state->end() == state->beginning() + records.size());
    return records;
}

std::vector<std::string> from(Story const& story, std::uint64_t beginning) {
    auto const first = story.records.begin() + static_cast<std::ptrdiff_t>(beginning);
    return {first, story.records.end()};
}

/// The base of the first segment file; it must be part of the log.
std::uint64_t oldest_base(Ground const& ground) {
    auto const page = ground.first_page(ground.files()->ordinals().at(0));
    REQUIRE(page.activation == format::RecordState::good);
    return page.info.base_offset;
}

/// How many segment files there are.
std::size_t segments_on(Ground const& ground) { return ground.files()->ordinals().size(); }

/// The log on that machine begins at one of the two, has everything from there on, or after power
/// loss at least what is durable, has no file from before it, and goes on, also after one death
/// more, before or behind the next append. Returns where it begins.
std::uint64_t expect_whole_from(MemoryPlatform const& machine, Story const& story,
                                std::uint64_t before, std::uint64_t after, bool is_power_loss) {
    Ground const ground{machine};
    Story now = story;
    std::uint64_t beginning = 0;
    { MemoryLife const idle{ground}; }
    {
        MemoryLife life{ground};
        beginning = life.state().beginning();
        CHECK((beginning == before || beginning == after));
        CHECK(life.report().beginning.value() == beginning);
        std::uint64_t const end = life.state().end();
        if (is_power_loss) {
            CHECK(end >= story.durable);
            REQUIRE(end <= now.records.size());
            now.records.resize(end);
        }
        CHECK(records_of(life) == from(now, beginning));
        append(life, now, 1);
    }
    auto const ordinals = ground.files()->ordinals();
    for (auto const& [name, bytes] : ground.dump()) {
        auto const index = format::parse_ordinal(name, format::index_suffix);
        CHECK((!index || *index >= ordinals.front()));
    }
    for (std::size_t i = 1; i < ordinals.size(); ++i) {
        auto const page = ground.first_page(ordinals[i]);
        bool const is_spare = page.activation == format::RecordState::absent;
        CHECK((is_spare || beginning == 0 || page.info.base_offset > beginning));
    }
    MemoryLife const again{ground};
    CHECK(again.state().beginning() == beginning);
    CHECK(records_of(again) == from(now, beginning));
    return beginning;
}

}  // namespace

TEST_CASE("records are deleted up to an offset, and whole files before it go") {
    Ground ground;
    MemoryLife life{ground};
    Story story;
    append(life, story, 45);
    CHECK(segments_on(ground) == 7);
    CHECK(life.state().delete_before(0) == 0);
    CHECK(life.state().delete_before(20) == 20);
    CHECK(records_of(life) == from(story, 20));
    CHECK(segments_on(ground) == 5);
    CHECK(life.state().delete_before(10) == 20);
    CHECK(life.state().delete_before(1'000) == 45);
    CHECK(records_of(life).empty());
    CHECK(segments_on(ground) == 1);  // the newest stays
    append(life, story, 1);
    CHECK(records_of(life) == from(story, 45));
    life.close();
    MemoryLife const next{ground};
    CHECK(next.report().ending == Ending::clean);
    CHECK(next.report().beginning == Offset{45});
    CHECK(records_of(next) == from(story, 45));
}

TEST_CASE(
    "a death or power loss after any store of a deletion leaves the log whole from its beginning") {
    bool const is_begun = GENERATE(true, false);  // whether this life has appended before
    Ground ground;
    Story story;
    {
        MemoryLife life{ground};
        append(life, story, 40);
        life.close();
    }
    MemoryLife life{ground};
    if (is_begun) append(life, story, 5);
    story.durable = 40;
    unsigned stores = 0;
    {
        MemoryPlatform::StoreHook const hook{[&](std::byte const*, std::size_t) {
            MemoryPlatform const machine = ground.platform();
            INFO("store " << stores++);
            (void)expect_whole_from(machine.after_process_death(), story, 0, 20, false);
            (void)expect_whole_from(machine.after_power_loss(), story, 0, 20, true);
            for (std::uint64_t seed = 0; seed < 4; ++seed) {
                (void)expect_whole_from(machine.after_power_loss(seed), story, 0, 20, true);
            }
        }};
        CHECK(life.state().delete_before(20) == 20);
    }
    CHECK(stores > 0);
    MemoryPlatform const machine = ground.platform();
    CHECK(expect_whole_from(machine.after_process_death(), story, 0, 20, false) == 20);
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        CHECK(expect_whole_from(machine.after_power_loss(seed), story, 0, 20, true) == 20);
    }
}

TEST_CASE(
    "a deletion in which any call to the system fails is whole or has not been, and can be "
    "repeated") {
    bool const is_begun = GENERATE(true, false);
    unsigned failures = 0;
    for (Operation const operation : all_operations) {
        for (unsigned n = 0; n < 30; ++n) {
            INFO("operation " << static_cast<int>(operation) << ", call " << n);
            Ground ground;
            Story story;
            {
                MemoryLife life{ground};
                append(life, story, 40);
                life.close();
            }
            MemoryLife life{ground};
            if (is_begun) append(life, story, 5);
            story.durable = 40;
            MemoryPlatform& machine = ground.platform();
            machine.fail_next(operation, n % 2 == 0 ? EIO : ENOSPC, n);
            bool const has_failed =
                code_of([&] { (void)life.state().delete_before(20); }) != Errc::ok;
            machine.clear_failures();
            failures += has_failed ? 1 : 0;
            std::uint64_t const found = life.state().beginning();
            CHECK(found == (has_failed ? 0 : 20));
            CHECK(records_of(life) == from(story, found));
            (void)expect_whole_from(machine.after_process_death(), story, 0, 20, false);
            for (std::uint64_t seed = 0; seed < 3; ++seed) {
                auto const left =
                    expect_whole_from(machine.after_power_loss(seed), story, 0, 20, true);
                if (!has_failed) CHECK(left == 20);
            }
            CHECK(life.state().delete_before(20) == 20);
            CHECK(oldest_base(ground) == 14);
            CHECK(expect_whole_from(machine.after_power_loss(n), story, 0, 20, true) == 20);
            CHECK(expect_whole_from(machine.after_process_death(), story, 0, 20, false) == 20);
        }
    }
    CHECK((failures > 0 || is_begun));  // there one failure is always got round
}

TEST_CASE("a file goes once the one behind it is durably part of the log") {
    Ground ground;
    Story story;
    MemoryLife life{ground, AfterDeath::detect, {.records = 1}};
    append(life, story, 9);
    life.keep();
    CHECK(life.state().beginning() == 7);
    CHECK(oldest_base(ground) == 7);
    story.durable = 7;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        MemoryPlatform const machine = ground.platform().after_power_loss(seed);
        (void)expect_whole_from(machine, story, 7, 7, true);
    }
}

TEST_CASE("a control file whose sync has failed is replaced before any file goes") {
    bool const is_begun = GENERATE(true, false);
    Ground ground;
    Story story;
    {
        MemoryLife life{ground};
        append(life, story, 40);
        life.close();
    }
    MemoryLife life{ground};
    if (is_begun) append(life, story, 5);
    story.durable = 40;
    MemoryPlatform& machine = ground.platform();
    machine.fail_next(Operation::sync, EIO);
    machine.fail_next(Operation::create, ENOSPC);
    CHECK(code_of([&] { (void)life.state().delete_before(20); }) == Errc::no_space);
    CHECK(life.state().beginning() == 0);
    CHECK(segments_on(ground) >= 5);
    // A second sync of that file would succeed and prove nothing.
    CHECK(life.state().delete_before(20) == 20);
    CHECK(oldest_base(ground) == 14);
    CHECK(expect_whole_from(machine.after_power_loss(), story, 20, 20, true) == 20);
    CHECK(expect_whole_from(machine.after_process_death(), story, 20, 20, false) == 20);
}

TEST_CASE("what a death left of such a failure is made durable before what it says is done") {
    Ground ground;
    Story story;
    {
        MemoryLife life{ground};
        append(life, story, 40);
        life.close();
    }
    story.durable = 40;
    {
        MemoryLife life{ground};
        ground.platform().fail_next(Operation::sync, EIO);
        ground.platform().fail_next(Operation::create, ENOSPC);
        CHECK(code_of([&] { (void)life.state().delete_before(20); }) == Errc::no_space);
    }
    Ground next{ground.platform().after_process_death()};
    {
        MemoryLife const life{next};
        CHECK(life.state().beginning() == 20);
        CHECK(oldest_base(next) == 14);
    }
    MemoryPlatform const machine = next.platform();
    CHECK(expect_whole_from(machine.after_power_loss(), story, 20, 20, true) == 20);
}

// ---- segments that are ended by their age

TEST_CASE("a segment that is old enough is sealed, and the next append goes to another") {
    Ground ground;
    Story story;
    MemoryLife life{ground, AfterDeath::detect, {.segment_age = 10s}};
    life.keep();
    CHECK(segments_on(ground) == 0);  // never an empty one
    append(life, story, 2);
    life.keep();
    ground.platform().advance(9s);
    life.keep();
    CHECK_FALSE(ground.first_page(1).completion);
    ground.platform().advance(3s);
    life.keep();
    auto const completion = ground.first_page(1).completion;
    REQUIRE(completion);
    CHECK(completion->count == 2);
    CHECK(completion->completed == ground.platform().now().time_since_epoch().count());
    CHECK(segments_on(ground) == 1);
    CHECK(life.state().durable() == 2);
    for (int i = 0; i < 5; ++i) {
        ground.platform().advance(20s);
        life.keep();
    }
    CHECK(segments_on(ground) == 1);
    append(life, story, 1);
    CHECK(segments_on(ground) == 2);
    CHECK(ground.first_page(2).info.predecessor == 1);
    CHECK(ground.first_page(2).info.capacity == ground.first_page(1).info.capacity);
    CHECK(records_of(life) == story.records);
}

TEST_CASE("a log whose last segment was ended by its age is closed, opened and goes on") {
    Ground ground;
    Story story;
    {
        MemoryLife life{ground, AfterDeath::detect, {.segment_age = 10s}};
        append(life, story, 2);
        life.keep();
        ground.platform().advance(20s);
        life.keep();
        life.close();
    }
    CHECK(ground.control().clean->ordinal == 1);
    for (int i = 0; i < 3; ++i) {
        auto const before = ground.dump();
        MemoryLife life{ground};
        CHECK(life.report().ending == Ending::clean);
        CHECK(life.report().notes.empty());
        CHECK(records_of(life) == story.records);
        life.close();
        CHECK(ground.dump() == before);
    }
    MemoryLife life{ground};
    append(life, story, 2);
    CHECK(ground.epochs().size() == 1);
    CHECK(ground.first_page(2).info.epoch == 1);
    CHECK(records_of(life) == story.records);
    life.close();
    CHECK(records_of(MemoryLife{ground}) == story.records);
}

TEST_CASE(
    "where the mark of completion is damaged, nothing is appended behind the seal all the same") {
    Ground ground;
    Story story;
    {
        MemoryLife life{ground, AfterDeath::detect, {.segment_age = 10s}};
        append(life, story, 2);
        life.keep();
        ground.platform().advance(20s);
        life.keep();
        life.close();
    }
    ground.damage("00000001.seg", format::completion_place);
    MemoryLife life{ground};
    append(life, story, 1);
    CHECK(segments_on(ground) == 2);
    CHECK(records_of(life) == story.records);
}

TEST_CASE("an idle partition that another life left open is ended once it is old enough") {
    Ground ground;
    Story story;
    {
        MemoryLife life{ground};
        append(life, story, 2);
        life.close();
    }
    ground.platform().advance(5s);
    MemoryLife life{ground, AfterDeath::detect, {.segment_age = 10s}};
    life.keep();
    CHECK_FALSE(ground.first_page(1).completion);
    ground.platform().advance(6s);
    life.keep();
    CHECK(ground.first_page(1).completion);
    life.close();
    CHECK(MemoryLife{ground}.report().ending == Ending::clean);
}

TEST_CASE("a death or power loss after any store of ending a segment by its age loses nothing") {
    Ground ground;
    Story story;
    MemoryLife life{ground, AfterDeath::detect, {.segment_age = 10s}};
    append(life, story, 3);
    life.keep();
    ground.platform().advance(20s);
    unsigned stores = 0;
    {
        MemoryPlatform::StoreHook const hook{[&](std::byte const*, std::size_t) {
            MemoryPlatform const machine = ground.platform();
            INFO("store " << stores++);
            Story all = story;  // and what is being appended
            all.records.push_back(value_of(3));
            for (std::uint64_t seed = 0; seed < 4; ++seed) {
                (void)expect_whole_from(machine.after_power_loss(seed), all, 0, 0, true);
            }
            all.records.resize(life.state().published_end());
            (void)expect_whole_from(machine.after_process_death(), all, 0, 0, false);
        }};
        life.keep();
        story.durable = 3;
        life.append(value_of(3) + std::string(7'900, 'x'));
        life.close();
    }
    CHECK(stores > 10);
}

TEST_CASE("records that are too old go, the file of the last ones once there is a newer one") {
    Ground ground;
    Story story;
    format::Retention const limits{.age = 40s};
    MemoryLife life{ground, AfterDeath::detect, limits};
    append(life, story, 12);
    life.keep();
    ground.platform().advance(30s);
    life.keep();
    CHECK(life.state().beginning() == 0);
    ground.platform().advance(15s);
    life.keep();
    CHECK(life.state().beginning() == 12);
    CHECK(records_of(life).empty());
    CHECK(oldest_base(ground) == 7);
    append(life, story, 1);
    ground.platform().advance(2s);
    life.keep();
    CHECK(oldest_base(ground) == 12);
    CHECK(ground.first_page(3).info.base_offset == 12);
    CHECK(records_of(life) == from(story, 12));
    life.close();
    CHECK(records_of(MemoryLife{ground}) == from(story, 12));
}

TEST_CASE("a life that appends nothing removes what is too old, and what was closed stays so") {
    Ground ground;
    Story story;
    {
        MemoryLife life{ground};
        append(life, story, 40);
        life.close();
    }
    ground.platform().advance(100s);
    MemoryLife life{ground, AfterDeath::detect, {.records = 10}};
    life.keep();
    CHECK(life.state().beginning() == 28);
    CHECK(oldest_base(ground) == 28);
    CHECK(ground.control().clean);
    MemoryPlatform const lost = ground.platform().after_power_loss();
    CHECK(MemoryLife{Ground{lost}}.report().ending == Ending::clean);
    CHECK(records_of(MemoryLife{Ground{lost}}) == from(story, 28));
}

TEST_CASE("on a full disk what is too old goes, whoever died before") {
    Ground ground;
    Story story;
    {
        MemoryLife life{ground};
        append(life, story, 40);
    }
    Ground next{ground.platform().after_process_death()};
    MemoryLife life{next, AfterDeath::detect, {.records = 10}};
    next.platform().set_free_space(0);
    CHECK(code_of([&] { life.append("none"); }) == Errc::no_space);
    life.keep();
    CHECK(life.state().beginning() == 28);
    append(life, story, 1);
    CHECK(records_of(life) == from(story, 28));
}

TEST_CASE("a copied log whose control file is younger than its segments goes on behind them") {
    Ground ground;
    Story story;
    MemoryLife life{ground};
    append(life, story, 30);
    auto files = ground.dump();
    append(life, story, 30);
    CHECK(life.state().delete_before(55) == 55);
    files["control"] = ground.dump().at("control");
    MemoryPlatform other{7};
    Ground const copy{other};
    auto to = other.open_directory("/a/root/topics/t/0", Access::write);
    for (auto const& [name, bytes] : files) make_file(to, name, bytes);
    story.records.resize(55);
    for (int i = 0; i < 3; ++i) {
        MemoryLife next{copy};
        CHECK(next.state().beginning() == 55);
        append(next, story, 1);
        CHECK(records_of(next) == from(story, 55));
    }
}

TEST_CASE("age ends a segment also where nobody has looked since its first record") {
    World<MemoryPlatform> world;
    auto& machine = world.machine.platform;
    auto log = world.open({.segment_bytes = small_segment, .keeper = false});
    auto const topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never, .retention_age = 1h});
    auto consumer = topic.consumer();
    append_to(topic, 7);
    machine.advance(2h);
    {
        bool is_activated = false;
        MemoryPlatform::StoreHook const hook{[&](std::byte const*, std::size_t size) {
            if (size == sizeof(format::Activation)) is_activated = true;
            if (size != 8 || !is_activated) return;
            if (topic.partition(0).durable_offset() < Offset{7}) return;  // not the claim yet
            is_activated = false;
            (void)error_of([&] { (void)consumer.poll(0ns); });
        }};
        append_to(topic, 1);
    }
    for (int i = 0; i < 10; ++i) {
        machine.advance(30min);
        consumer.seek_to_end();
        (void)consumer.poll(0ns);
    }
    CHECK(topic.beginning_offset() == Offset{8});
}

TEST_CASE("what is too many records goes when they are, not with the next roll") {
    World<MemoryPlatform> world;
    auto log = world.open({.segment_bytes = small_segment, .keeper = false});
    auto const topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never, .retention_records = 5});
    append_to(topic, 8);  // seven fill a segment
    append_to(topic, 3, 8);
    world.machine.platform.advance(1h);
    append_to(topic, 1, 8);
    CHECK(topic.beginning_offset() == Offset{7});
}
