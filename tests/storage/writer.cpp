// SPDX-License-Identifier: MIT
// Claims, and every branch of the roll from a full segment to the next; the gate before the first
// claim of a life; what happens where either of them fails.
#include <annals/storage/writer.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "storage/lives.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;
constexpr std::uint64_t piece = 256 * kib;  // of a spare that is prepared
constexpr std::uint64_t header = format::frame_header_bytes;

/// A value whose frame takes `extent` bytes, and that is told from others by its first byte.
std::string value_in_frame_of(std::uint64_t extent, char mark = 'v') {
    return std::string(extent - header, mark);
}

template <class P>
Offset append_frame(BasicTopic<Bytes, Bytes, P> const& topic, std::uint64_t extent,
                    char mark = 'v') {
    return topic.partition(0).append(std::nullopt, as_bytes(value_in_frame_of(extent, mark)));
}

/// Leaves exactly `left` claimable bytes in an empty segment of 64 KiB. Returns how many records
/// that took.
template <class P>
std::uint64_t fill_but(BasicTopic<Bytes, Bytes, P> const& topic, std::uint64_t left) {
    std::uint64_t room = format::claimable_end(small_segment) - format::first_frame_place - left;
    std::uint64_t count = 0;
    for (; room > 8 * kib; room -= 8 * kib, ++count) append_frame(topic, 8 * kib);
    append_frame(topic, room);
    return count + 1;
}

std::size_t open_descriptors() {
    auto const entries = std::filesystem::directory_iterator{"/proc/self/fd"};
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

template <class P>
std::vector<std::string> segments_of(World<P>& world) {
    auto names = names_in(world.directory("topics", "t", "0"));
    std::erase_if(names, [](auto const& name) { return !name.ends_with(".seg"); });
    return names;
}

template <class P>
std::vector<std::uint64_t> capacities_of(World<P>& world) {
    std::vector<std::uint64_t> sizes;
    for (auto const& name : segments_of(world)) {
        sizes.push_back(world.directory("topics", "t", "0").open_file(name, Access::read).size() /
                        kib);
    }
    return sizes;
}

/// The frame header at this place of a segment file.
template <class P>
format::FrameHeader frame_in(World<P>& world, std::string_view name, std::uint64_t place) {
    auto const file = world.directory("topics", "t", "0").open_file(name, Access::read);
    format::FrameHeader frame;
    (void)file.read_at(place, MutableBytes{reinterpret_cast<std::byte*>(&frame), sizeof frame});
    return frame;
}

format::FrameState state_of(format::FrameHeader const& frame) {
    return format::FrameWord{frame.word}.state();
}

/// All offsets from 0 to the end have a record; returns the first bytes of their values.
template <class P>
std::string marks_of(BasicTopic<Bytes, Bytes, P> const& topic) {
    std::string marks;
    std::uint64_t expected = 0;
    for (auto const& record : topic.replay({.check = Check::always})) {
        REQUIRE(record.offset() == Offset{expected++});
        auto const value = as_text(record.value());
        REQUIRE(value.find_first_not_of(value.empty() ? 'v' : value.front()) ==
                std::string_view::npos);
        marks += value.empty() ? '0' : value.front();
    }
    REQUIRE(topic.end_offset() == Offset{expected});
    return marks;
}

}  // namespace

TEMPLATE_TEST_CASE("a record that fits exactly ends at the claimable end, with the seal behind it",
                   "", MemoryPlatform, NativePlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = small_segment, .keeper = false});
    auto topic = log.template topic<Bytes, Bytes>("t");
    auto const filled = fill_but(topic, 0);
    CHECK(segments_of(world).size() == 1);

    CHECK(append_frame(topic, header) == Offset{filled});
    CHECK(segments_of(world).size() == 2);
    auto const seal = frame_in(world, "00000001.seg", format::claimable_end(small_segment));
    CHECK(state_of(seal) == format::FrameState::seal);
    CHECK(seal.number == filled);
    CHECK(seal.detail == 2);
    CHECK(state_of(frame_in(world, "00000002.seg", 4096)) == format::FrameState::data);
    CHECK(marks_of(topic).size() == filled + 1);
}

TEMPLATE_TEST_CASE("a record goes into what is left where it fits and rolls where it does not", "",
                   MemoryPlatform, NativePlatform) {
    auto const left = GENERATE(as<std::uint64_t>{}, 8, 16, 24, 32, 48);
    auto const extent = GENERATE(as<std::uint64_t>{}, 24, 32, 48);
    CAPTURE(left, extent);
    World<TestType> world;
    {
        auto log = world.open({.segment_bytes = small_segment, .keeper = false});
        auto topic = log.template topic<Bytes, Bytes>("t");
        auto const filled = fill_but(topic, left);
        CHECK(append_frame(topic, extent, 'x') == Offset{filled});
        CHECK(segments_of(world).size() == (extent <= left ? 1 : 2));
        std::uint64_t const place = format::claimable_end(small_segment) - left;
        auto const next = frame_in(world, "00000001.seg", place);
        CHECK(state_of(next) ==
              (extent <= left ? format::FrameState::data : format::FrameState::seal));
        CHECK(append_frame(topic, 8 * kib, 'y') == Offset{filled + 1});
        CHECK(marks_of(topic) == std::string(filled, 'v') + (extent == 24 ? "0y" : "xy"));
    }
    auto log = world.open({.segment_bytes = small_segment});
    CHECK(log.recovery().was_clean());
    auto topic = log.template topic<Bytes, Bytes>("t");
    auto const last = append_frame(topic, 24);
    CHECK(marks_of(topic).size() == last.value() + 1);
}

TEMPLATE_TEST_CASE("a batch that does not fit any more goes into the next segment as a whole", "",
                   MemoryPlatform, NativePlatform) {
    auto const left = GENERATE(as<std::uint64_t>{}, 0, 24, 64, 72, 96);
    CAPTURE(left);
    World<TestType> world;
    auto log = world.open({.segment_bytes = small_segment, .keeper = false});
    auto topic = log.template topic<Bytes, Bytes>("t");
    auto const filled = fill_but(topic, left);
    std::vector<std::string> const texts{value_in_frame_of(32, 'a'), value_in_frame_of(24),
                                         value_in_frame_of(40, 'b')};
    std::vector<Bytes> values;
    for (auto const& text : texts) values.push_back(as_bytes(text));
    auto const sent = topic.producer().send_batch(std::nullopt, values);
    CHECK(sent.first == Offset{filled});
    CHECK(sent.count == 3);
    CHECK(segments_of(world).size() == (left == 96 ? 1 : 2));
    append_frame(topic, 32, 'c');
    CHECK(marks_of(topic) == std::string(filled, 'v') + "a0bc");
}

TEMPLATE_TEST_CASE("a record or batch of the limit is taken, and one byte more claims nothing", "",
                   MemoryPlatform, NativePlatform) {
    World<TestType> world;
    auto const segment = GENERATE(as<std::uint64_t>{}, small_segment, 1 * mib, 16 * mib);
    auto log = world.open({.segment_bytes = segment, .keeper = false});
    auto topic = log.template topic<Bytes, Bytes>("t");
    auto const limit = segment / 8;

    std::string const most(limit - header, 'm');
    auto partition = topic.partition(0);
    CHECK(partition.append({}, as_bytes(most)) == Offset{0});
    CHECK(code_of([&] { partition.append({}, as_bytes(most + 'x')); }) == Errc::record_too_large);
    std::string const key(100, 'k');
    CHECK(code_of([&] { partition.append(as_bytes(key), as_bytes(most)); }) ==
          Errc::record_too_large);

    auto producer = topic.producer();
    std::vector<std::string> texts(2, std::string(limit / 2 - header, 'b'));
    std::vector<Bytes> batch{as_bytes(texts[0]), as_bytes(texts[1])};
    CHECK(producer.send_batch(std::nullopt, batch).first == Offset{1});
    texts[1] += 'x';
    batch[1] = as_bytes(texts[1]);
    CHECK(code_of([&] { producer.send_batch(std::nullopt, batch); }) == Errc::record_too_large);

    CHECK(topic.end_offset() == Offset{3});
    CHECK(append_frame(topic, 24) == Offset{3});
}

TEMPLATE_TEST_CASE("no record is larger than 16 MiB, however large the segments", "",
                   MemoryPlatform, NativePlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = 256 * mib, .keeper = false});
    auto topic = log.template topic<Bytes, Bytes>("t");
    std::string const most(16 * mib - header, 'm');
    CHECK(topic.partition(0).append({}, as_bytes(most)) == Offset{0});
    CHECK(code_of([&] { topic.partition(0).append({}, as_bytes(most + 'x')); }) ==
          Errc::record_too_large);
    CHECK(capacities_of(world) == std::vector<std::uint64_t>{1 * kib, 32 * kib});
    CHECK(topic.end_offset() == Offset{1});
    CHECK(marks_of(topic) == "m");
}

TEMPLATE_TEST_CASE("segments begin with 1 MiB and double up to what the log was told", "",
                   MemoryPlatform, NativePlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = 4 * mib, .keeper = false});
    auto topic = log.template topic<Bytes, Bytes>("t");
    while (segments_of(world).size() < 5) append_frame(topic, 500'000);
    CHECK(capacities_of(world) == std::vector<std::uint64_t>{1024, 2048, 4096, 4096, 4096});
    CHECK(marks_of(topic).size() == topic.end_offset().value());
}

TEMPLATE_TEST_CASE("a log of 64 KiB segments has no larger ones", "", MemoryPlatform,
                   NativePlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = small_segment, .keeper = false});
    auto topic = log.template topic<Bytes, Bytes>("t");
    while (segments_of(world).size() < 6) append_frame(topic, 8 * kib);
    CHECK(capacities_of(world) == std::vector<std::uint64_t>(6, 64));
}

TEMPLATE_TEST_CASE("a record too large for the next segment gets one of the next power of two", "",
                   MemoryPlatform, NativePlatform) {
    // A segment of 4 MiB holds a frame of 4 MiB less its first page and the seal.
    auto const over = GENERATE(as<std::uint64_t>{}, 0, 8);
    CAPTURE(over);
    World<TestType> world;
    {
        auto log = world.open({.keeper = false});
        auto topic = log.template topic<Bytes, Bytes>("t");
        bool const begins_empty = GENERATE(true, false);
        if (!begins_empty) append_frame(topic, 48, 'a');
        append_frame(topic, 4 * mib - 4096 - header + over, 'b');
        append_frame(topic, 48, 'c');
        std::uint64_t const next = over == 0 ? 4096 : 8192;
        // Exactly full is full: then the third record has rolled again.
        std::vector<std::uint64_t> expected{1024, next};
        if (over == 0) expected.push_back(8192);
        CHECK(capacities_of(world) == expected);
        CHECK(marks_of(topic) == (begins_empty ? "bc" : "abc"));
    }
    auto log = world.open();
    CHECK(log.recovery().was_clean());
    auto topic = log.template topic<Bytes, Bytes>("t");
    CHECK(marks_of(topic).ends_with("bc"));
}

// ---- the segment that is made in advance

namespace {

/// A log whose writer the test can ask for what the keeper does.
template <class P>
struct KeptLog {
    World<P> world{};
    std::optional<storage::LogState<P>> log{};
    std::shared_ptr<storage::TopicState<P>> state{};

    explicit KeptLog(std::uint64_t segment_bytes) { open(segment_bytes); }

    void open(std::uint64_t segment_bytes) {
        log.emplace(world.path, LogOptions{.segment_bytes = segment_bytes, .keeper = false},
                    world.machine.platform);
        state = log->open_topic("t", {codec_name<Bytes>(), codec_name<Bytes>(), {}});
    }
    [[nodiscard]] BasicTopic<Bytes, Bytes, P> topic() const { return {state, Access::write}; }
    [[nodiscard]] storage::Writer<P>& writer() const { return state->partition(0)->writer(); }
};

}  // namespace

TEMPLATE_TEST_CASE("a spare is made once the segment is half full, and the roll uses it", "",
                   MemoryPlatform, NativePlatform) {
    KeptLog<TestType> kept{small_segment};
    auto const topic = kept.topic();
    kept.writer().make_spare_where_due();
    CHECK(topic.end_offset() == Offset{0});
    CHECK(segments_of(kept.world).empty());

    append_frame(topic, 8 * kib);
    kept.writer().make_spare_where_due();
    CHECK(segments_of(kept.world).size() == 1);
    while (topic.end_offset() < Offset{4}) append_frame(topic, 8 * kib);
    kept.writer().make_spare_where_due();
    REQUIRE(segments_of(kept.world).size() == 2);
    auto const directory = kept.world.directory("topics", "t", "0");
    auto const spare = directory.open_file("00000002.seg", Access::read).identity();

    while (topic.end_offset() < Offset{8}) append_frame(topic, 8 * kib);
    CHECK(segments_of(kept.world).size() == 2);
    CHECK(directory.open_file("00000002.seg", Access::read).identity() == spare);
    CHECK(state_of(frame_in(kept.world, "00000002.seg", 4096)) == format::FrameState::data);
    CHECK(marks_of(topic).size() == 8);
}

TEMPLATE_TEST_CASE(
    "a spare that is too small_segment for the record is replaced, its ordinal not reused", "",
    MemoryPlatform, NativePlatform) {
    KeptLog<TestType> kept{128 * mib};
    auto const topic = kept.topic();
    append_frame(topic, 600 * kib, 'a');
    kept.writer().make_spare_where_due();
    CHECK(capacities_of(kept.world) == std::vector<std::uint64_t>{1024, 2048});
    append_frame(topic, 3 * mib, 'b');
    CHECK(segments_of(kept.world) == std::vector<std::string>{"00000001.seg", "00000003.seg"});
    CHECK(capacities_of(kept.world) == std::vector<std::uint64_t>{1024, 4096});
    CHECK(marks_of(topic) == "ab");
}

TEMPLATE_TEST_CASE("at speed two spares are made at once, each larger while segments grow", "",
                   MemoryPlatform, NativePlatform) {
    using Capacities = std::vector<std::uint64_t>;
    KeptLog<TestType> kept{4 * mib};
    append_frame(kept.topic(), 64 * kib, 'a');
    kept.writer().make_spare_where_due(true);
    CHECK(capacities_of(kept.world) == Capacities{1024, 2048});
    kept.writer().make_spare_where_due(false);
    CHECK(capacities_of(kept.world) == Capacities{1024, 2048});
    kept.writer().make_spare_where_due(true);
    CHECK(capacities_of(kept.world) == Capacities{1024, 2048, 4096});
    kept.writer().make_spare_where_due(true);
    CHECK(capacities_of(kept.world) == Capacities{1024, 2048, 4096});
    append_frame(kept.topic(), 512 * kib, 'b');
    append_frame(kept.topic(), 512 * kib, 'c');
    kept.writer().make_spare_where_due(true);
    CHECK(capacities_of(kept.world) == Capacities{1024, 2048, 4096, 4096});
    CHECK(segments_of(kept.world).back() == "00000004.seg");
    CHECK(marks_of(kept.topic()) == "abc");
}

TEMPLATE_TEST_CASE("of two spares one is kept at a clean close, and used", "", MemoryPlatform,
                   NativePlatform) {
    KeptLog<TestType> kept{1 * mib};
    append_frame(kept.topic(), 128 * kib, 'a');
    for (int n = 0; n < 2; ++n) kept.writer().make_spare_where_due(true);
    CHECK(segments_of(kept.world).size() == 3);
    kept.log->close();
    CHECK(segments_of(kept.world) == std::vector<std::string>{"00000001.seg", "00000002.seg"});

    kept.open(1 * mib);
    for (int n = 0; n < 9; ++n) append_frame(kept.topic(), 128 * kib, 'b');
    CHECK(segments_of(kept.world) == std::vector<std::string>{"00000001.seg", "00000002.seg"});
    CHECK(marks_of(kept.topic()) == "abbbbbbbbb");
}

TEST_CASE("a spare is opened when it is prepared, and used so, given back, or replaced") {
    enum class Then { use, give_back, replace };
    auto const then = GENERATE(Then::use, Then::give_back, Then::replace);
    KeptLog<NativePlatform> kept{128 * mib};
    auto const topic = kept.topic();
    append_frame(topic, 64 * kib, 'a');
    auto& writer = kept.writer();
    auto const before = open_descriptors();
    writer.spares().prepare(1 * mib, piece);  // there is none
    writer.make_spare_where_due(true);
    CHECK(open_descriptors() == before);
    writer.spares().prepare(0, piece);
    CHECK(open_descriptors() == before);
    writer.spares().prepare(1, piece);
    CHECK(open_descriptors() == before + 1);
    writer.spares().prepare(16 * mib, piece);
    CHECK(open_descriptors() == before + 1);
    if (then == Then::give_back) {
        writer.give_back();
        CHECK(open_descriptors() == before);
    }
    std::uint64_t const extent = (then == Then::replace ? 3 : 1) * mib;  // the spare has 2 MiB
    append_frame(topic, extent, 'b');
    CHECK(open_descriptors() == before);
    CHECK(capacities_of(kept.world) ==
          std::vector<std::uint64_t>{1024, then == Then::replace ? 4096U : 2048U});
    CHECK(marks_of(topic) == "ab");
}

TEST_CASE("a partition keeps no descriptor of its spare while it rests, nor once it is closed") {
    KeptLog<NativePlatform> kept{128 * mib};
    auto const topic = kept.topic();
    append_frame(topic, 64 * kib);
    kept.writer().make_spare_where_due(true);
    (void)kept.state->partition(0)->track();
    auto const before = open_descriptors();
    kept.writer().spares().prepare(1, piece);
    CHECK(open_descriptors() == before + 1);
    SECTION("at rest") {
        CHECK_FALSE(kept.state->partition(0)->track().is_busy);
        CHECK(open_descriptors() == before);
    }
    SECTION("closed") {
        kept.log->close();
        for (auto const& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
            std::error_code none;
            CHECK_FALSE(read_symlink(entry, none).string().ends_with("00000002.seg"));
        }
    }
}

TEMPLATE_TEST_CASE("a spare that is in use is prepared no further", "", MemoryPlatform,
                   NativePlatform) {
    KeptLog<TestType> kept{4 * mib};
    append_frame(kept.topic(), 64 * kib);
    auto& spares = kept.writer().spares();
    spares.make_where_due([](std::uint64_t) { return 4 * mib; }, Blocks::reserved);
    spares.prepare(1 * mib, piece);
    auto const info = spares.get(4 * mib, Blocks::reserved);
    auto file = kept.world.directory("topics", "t", "0")
                    .open_file(format::ordinal_name(info.ordinal, ".seg"), Access::write);
    for (std::uint64_t const place : {1 * mib - 8, 1 * mib, 3 * mib}) {
        file.write_at(place, as_bytes("a sender"));
    }
    spares.prepare(4 * mib, piece);
    for (std::uint64_t const place : {1 * mib - 8, 1 * mib, 3 * mib}) {
        CHECK(content(file).substr(place, 8) == "a sender");
    }
}

TEST_CASE("a spare is prepared while senders come to use it, and nothing of theirs is lost") {
    constexpr std::uint64_t senders = 3;
    constexpr std::uint64_t each = 100;
    KeptLog<NativePlatform> kept{16 * mib};
    auto const topic = kept.topic();
    append_frame(topic, 500 * kib);
    auto& writer = kept.writer();
    std::atomic<bool> is_done{false};
    std::thread preparing{[&] {
        for (unsigned n = 0; !is_done; ++n) {
            if (n % 1000 == 0) writer.make_spare_where_due(true);  // others make their own
            writer.spares().prepare(16 * mib, piece);
        }
    }};
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < senders; ++i) {
        threads.emplace_back([&] {
            for (std::uint64_t n = 0; n < each; ++n) append_frame(topic, 500 * kib);
        });
    }
    for (auto& thread : threads) thread.join();
    is_done = true;
    preparing.join();
    std::uint64_t found = 0;
    for (auto const& record : topic.replay({.check = Check::always})) {
        CHECK(as_text(record.value()).find_first_not_of('v') == std::string_view::npos);
        ++found;
    }
    CHECK(found == 1 + senders * each);
}

TEMPLATE_TEST_CASE("a spare is still there, and used, after a clean close", "", MemoryPlatform,
                   NativePlatform) {
    KeptLog<TestType> kept{small_segment};
    for (int i = 0; i < 5; ++i) append_frame(kept.topic(), 8 * kib);
    kept.writer().make_spare_where_due();
    kept.log->close();
    CHECK(segments_of(kept.world).size() == 2);

    kept.open(small_segment);
    kept.writer().make_spare_where_due();
    for (int i = 0; i < 3; ++i) append_frame(kept.topic(), 8 * kib);
    CHECK(segments_of(kept.world) == std::vector<std::string>{"00000001.seg", "00000002.seg"});
    CHECK(marks_of(kept.topic()).size() == 8);
}

TEMPLATE_TEST_CASE("a log opened with larger segments does not use a spare of the old size", "",
                   MemoryPlatform, NativePlatform) {
    KeptLog<TestType> kept{small_segment};
    for (int i = 0; i < 5; ++i) append_frame(kept.topic(), 8 * kib);
    kept.writer().make_spare_where_due();
    kept.log->close();
    kept.open(1 * mib);
    for (int i = 0; i < 3; ++i) append_frame(kept.topic(), 8 * kib);
    CHECK(capacities_of(kept.world) == std::vector<std::uint64_t>{64, 128});
    append_frame(kept.topic(), 120 * kib);
    append_frame(kept.topic(), 120 * kib);
    CHECK(capacities_of(kept.world) == std::vector<std::uint64_t>{64, 128, 256});
    CHECK(marks_of(kept.topic()).size() == 10);
}

// ---- rolls and gates that fail

namespace {

/// What a test does before the send that is made to fail.
struct Situation {
    char const* name;
    std::function<void(World<MemoryPlatform>&)> prepare;
    std::uint64_t records;
};

std::uint64_t const full = 7;  // records of 8 KiB that leave no room for another

BasicTopic<Bytes, Bytes, MemoryPlatform> bytes_topic(MemoryLog& log) {
    return log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
}

/// Leaves a log with `records` records that was closed.
void prepare_closed(World<MemoryPlatform>& world, std::uint64_t records) {
    auto log = world.open({.segment_bytes = small_segment});
    auto const topic = bytes_topic(log);
    for (std::uint64_t i = 0; i < records; ++i) append_frame(topic, 8 * kib);
}

void prepare_dead(World<MemoryPlatform>& world, std::uint64_t records, bool in_sync) {
    auto log = world.open({.segment_bytes = small_segment});
    auto const topic = bytes_topic(log);
    for (std::uint64_t i = 0; i < records; ++i) {
        append_frame(topic, 8 * kib);
        if (i == 1) topic.flush();
    }
    if (in_sync) {
        world.machine.platform.fail_next(Operation::sync, EIO);
        CHECK_THROWS_AS(topic.flush(), Error);
    }
    auto dead = world.machine.platform.after_process_death();
    (void)error_of([&] { log.close(); });
    world.machine.platform = dead;
}

std::vector<Situation> const situations{
    {"the first record of a partition", [](auto& world) { prepare_closed(world, 0); }, 0},
    {"the first record after a clean close", [](auto& world) { prepare_closed(world, 3); }, 3},
    {"the first record after a clean close, and a roll",
     [](auto& world) { prepare_closed(world, full); }, full},
    {"the first record after a death", [](auto& world) { prepare_dead(world, 3, false); }, 3},
    {"the first record after a death in the middle of a sync",
     [](auto& world) { prepare_dead(world, 4, true); }, 4},
    {"a roll", nullptr, full},
};

/// A log in that situation, and nothing yet sent in this life but what the situation asks for.
struct Prepared {
    World<MemoryPlatform> world{};
    std::optional<MemoryLog> log{};

    explicit Prepared(Situation const& situation) {
        if (situation.prepare) situation.prepare(world);
        log.emplace(world.open({.segment_bytes = small_segment}));
        if (situation.prepare) return;
        for (std::uint64_t i = 0; i < full; ++i) append_frame(topic(), 8 * kib);
    }
    [[nodiscard]] BasicTopic<Bytes, Bytes, MemoryPlatform> topic() { return bytes_topic(*log); }
};

/// After whatever happened: all is there, the next sends succeed at once, and so it stays after a
/// clean close, after a death and after the death of who opened that.
void require_goes_on(Prepared& prepared, std::uint64_t records) {
    auto const topic = prepared.topic();
    auto& machine = prepared.world.machine.platform;
    std::string const before(records, 'v');
    CHECK(marks_of(topic) == before);
    auto const died_before = machine.after_process_death();
    for (std::uint64_t i = 0; i < 9; ++i) {
        REQUIRE(append_frame(topic, 8 * kib, 'w') == Offset{records + i});
    }
    std::string const all = before + std::string(9, 'w');
    CHECK(marks_of(topic) == all);
    auto const died = machine.after_process_death();
    prepared.log->close();
    auto const require = [&](MemoryPlatform const& left, std::string const& marks) {
        for (std::size_t life = 0; life < 2; ++life) {
            MemoryLog again{prepared.world.path, {.segment_bytes = small_segment}, left};
            auto const found = bytes_topic(again);
            CHECK(marks_of(found) == marks + std::string(life, 'x'));
            append_frame(found, 64, 'x');
        }
    };
    require(machine.after_power_loss(), all);
    require(machine, all);
    require(died, all);
    require(died_before, before);
}

}  // namespace

TEST_CASE("a roll or gate that fails has claimed nothing, and the next send goes through") {
    auto const situation = GENERATE(from_range(situations));
    auto const operation =
        GENERATE(Operation::allocate, Operation::create, Operation::write, Operation::rename,
                 Operation::directory_sync, Operation::open, Operation::map, Operation::remove);
    unsigned gone_well = 0;  // what fails may be swallowed, and what follows may fail again
    for (unsigned after = 0; gone_well < 6; ++after) {
        Prepared prepared{situation};
        prepared.world.machine.platform.fail_next(
            operation, operation == Operation::allocate ? ENOSPC : EMFILE, after);
        CAPTURE(situation.name, static_cast<int>(operation), after);
        auto const error = error_of([&] { append_frame(prepared.topic(), 8 * kib); });
        prepared.world.machine.platform.clear_failures();
        if (error) CHECK(prepared.topic().end_offset() == Offset{situation.records});
        gone_well = error ? 0 : gone_well + 1;
        require_goes_on(prepared, situation.records + (error ? 0 : 1));
        REQUIRE(after < 100);
    }
}

TEST_CASE("a sync that fails in a roll or gate leaves nothing unclear after the next opening") {
    auto const situation = GENERATE(from_range(situations));
    for (unsigned after = 0; after < 8; ++after) {
        Prepared prepared{situation};
        auto& machine = prepared.world.machine.platform;
        machine.fail_next(Operation::sync, EIO, after);
        CAPTURE(situation.name, after);
        auto records = situation.records;
        auto const error = error_of([&] { append_frame(prepared.topic(), 8 * kib); });
        machine.clear_failures();
        CHECK((!error || error->code() == Errc::sync_failed));
        if (!error) ++records;
        CHECK(marks_of(prepared.topic()) == std::string(records, 'v'));
        // What was made anew may be tried again; what was to hold records may not.
        auto const second = error_of([&] { append_frame(prepared.topic(), 64); });
        CHECK((!second || second->code() == Errc::sync_failed));
        if (!second) ++records;
        auto const dead = machine.after_process_death();
        (void)error_of([&] { prepared.log->close(); });
        for (auto const& left : {machine, dead}) {
            MemoryLog again{prepared.world.path, {.segment_bytes = small_segment}, left};
            auto const found = bytes_topic(again);
            CHECK(marks_of(found) == std::string(records, 'v'));
            CHECK(append_frame(found, 64, 'x') == Offset{records});
        }
    }
}

TEST_CASE("while the disk is full every send that needs a new segment says so, and no other") {
    auto const situation = GENERATE(from_range(situations));
    CAPTURE(situation.name);
    Prepared prepared{situation};
    auto& machine = prepared.world.machine.platform;
    auto const topic = prepared.topic();
    machine.set_free_space(0);
    std::uint64_t records = situation.records;
    while (records % full != 0) {
        auto const error = error_of([&] { append_frame(topic, 8 * kib); });
        if (error) break;  // it begins with a new segment
        ++records;
    }
    for (int i = 0; i < 3; ++i) {
        CHECK(code_of([&] { append_frame(topic, 8 * kib); }) == Errc::no_space);
        CHECK(marks_of(topic) == std::string(records, 'v'));
    }
    std::string const batch[] = {value_in_frame_of(64), value_in_frame_of(64)};
    std::vector<Bytes> const values{as_bytes(batch[0]), as_bytes(batch[1])};
    CHECK(code_of([&] { topic.producer().send_batch(std::nullopt, values); }) == Errc::no_space);
    machine.set_free_space(small_segment - 1);
    CHECK(code_of([&] { append_frame(topic, 8 * kib); }) == Errc::no_space);
    machine.clear_free_space();
    require_goes_on(prepared, records);
}

TEST_CASE("a roll that fails does not keep smaller records from going on later") {
    // Whoever crossed the end has ended the segment: nothing goes into what was left of it.
    World<MemoryPlatform> world;
    auto log = world.open({.segment_bytes = small_segment});
    auto const topic = bytes_topic(log);
    for (std::uint64_t i = 0; i < full; ++i) append_frame(topic, 8 * kib);
    world.machine.platform.set_free_space(0);
    CHECK(code_of([&] { append_frame(topic, 8 * kib); }) == Errc::no_space);
    CHECK(code_of([&] { append_frame(topic, 24); }) == Errc::no_space);
    CHECK(topic.end_offset() == Offset{full});
    world.machine.platform.clear_free_space();
    CHECK(append_frame(topic, 24) == Offset{full});
    CHECK(marks_of(topic).size() == full + 1);
}

TEST_CASE("nothing is left behind where a segment could not be made") {
    World<MemoryPlatform> world;
    auto log = world.open({.segment_bytes = small_segment});
    auto const topic = bytes_topic(log);
    for (std::uint64_t i = 0; i < full; ++i) append_frame(topic, 8 * kib);
    auto const before = names_in(world.directory("topics", "t", "0"));
    world.machine.platform.set_free_space(small_segment / 2);
    CHECK(code_of([&] { append_frame(topic, 8 * kib); }) == Errc::no_space);
    CHECK(names_in(world.directory("topics", "t", "0")) == before);
}

// ---- the end of a writing life

TEMPLATE_TEST_CASE("after close every send throws closed, and a second close does nothing", "",
                   MemoryPlatform, NativePlatform) {
    World<TestType> world;
    auto log = world.open({.segment_bytes = small_segment});
    auto topic = log.template topic<Bytes, Bytes>("t");
    bool const has_begun = GENERATE(true, false);
    if (has_begun) append_frame(topic, 64);
    log.close();
    CHECK(code_of([&] { append_frame(topic, 64); }) == Errc::closed);
    CHECK(code_of([&] { append_frame(topic, 8 * kib); }) == Errc::closed);
    CHECK_NOTHROW(log.close());
    CHECK(marks_of(topic) == (has_begun ? "v" : ""));
}

TEMPLATE_TEST_CASE("a partition that is only opened and closed is not written to", "",
                   MemoryPlatform, NativePlatform) {
    World<TestType> world;
    { (void)world.open().template topic<Bytes, Bytes>("t"); }
    auto const control_of = [&] {
        return content(world.directory("topics", "t", "0").open_file("control", Access::read));
    };
    auto const before = control_of();
    {
        auto log = world.open();
        auto topic = log.template topic<Bytes, Bytes>("t");
        CHECK(topic.end_offset() == Offset{0});
        topic.flush();
    }
    CHECK(control_of() == before);
    CHECK(segments_of(world).empty());
}

TEST_CASE("a flush makes durable what a death in the middle of a sync left in doubt") {
    World<MemoryPlatform> world;
    prepare_dead(world, 4, true);
    auto log = world.open({.segment_bytes = small_segment});
    auto const topic = bytes_topic(log);
    CHECK(topic.durable_offset() == Offset{2});
    topic.flush();
    CHECK(topic.durable_offset() == Offset{4});
    auto const after_loss = world.machine.platform.after_power_loss();
    log.close();
    world.machine.platform = after_loss;
    auto again = world.open();
    CHECK(marks_of(bytes_topic(again)) == "vvvv");
}

TEST_CASE("timestamps come from the sender, or the clock that the topic chose") {
    World<MemoryPlatform> world;
    auto log = world.open();
    auto const clock = GENERATE(Clock::precise, Clock::coarse);
    auto topic = log.topic<Bytes, Bytes>("t", {.clock = clock});
    Timestamp const time{1'234'567'890s};
    world.machine.platform.set_time(time);
    CHECK(topic.producer().send({}, as_bytes("v")).timestamp == time);
    Timestamp const given{-5s};
    CHECK(topic.producer().send({}, as_bytes("v"), {.timestamp = given}).timestamp == given);
    std::vector<Timestamp> found;
    for (auto const& record : topic.replay()) found.push_back(record.timestamp());
    CHECK(found == std::vector{time, given});
}

TEST_CASE("a segment that retention may drop in the midst of a roll stays until it is sealed") {
    using P = MemoryPlatform;
    Ground ground;
    auto const files = ground.files();
    auto settings = std::make_shared<storage::TopicSettings<P>>();
    settings->sync = Sync::never;
    auto const context =
        std::make_shared<storage::WriterContext<P>>(files->platform(), 32 * mib, true);
    auto const state = std::make_shared<storage::PartitionState<P>>(
        files, context, settings, std::make_shared<storage::Signal<P>>(files->platform()),
        AfterDeath::detect);
    BasicPartition<P> partition{state, Access::write};
    // The partition's own cannot be reached from here; this one does the same.
    auto& segments = const_cast<storage::SegmentList<P>&>(state->segments());
    storage::Retention<P> retention{*files, segments, *settings, state->writer()};

    partition.append({}, as_bytes(std::string_view{"a"}));
    CHECK(state->delete_before(1) == 1);
    state->writer().end_segment();
    std::weak_ptr<storage::Segment<P>> empty;
    unsigned activations = 0;
    {
        P::StoreHook const hook{[&](std::byte const*, std::size_t size) {
            if (size != sizeof(format::Activation)) return;
            // The first successor is too small for the record, and is rolled again at once.
            if (++activations == 1) empty = segments.last();
            if (activations == 2) std::thread{[&] { retention.keep(1); }}.join();
            if (activations == 2) CHECK_FALSE(empty.expired());
        }};
        partition.append({}, as_bytes(std::string(3 * mib, 'x')));
    }
    CHECK(activations == 2);
    CHECK(state->end() == 2);
}
