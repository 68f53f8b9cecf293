// SPDX-License-Identifier: MIT
// Logs as each released format wrote them, kept for good: this program must read them, and what it
// writes itself must have the same bytes, so that a change of the format is a decision.
//
// The files are text as `hexdump -C` prints it; in segments nearly everything is zeros. Those of a
// format that was released are never made again. For a new one: change the folder's name below, and
//     annals_test_golden "[make]"
// writes them to it, from the life that `write_golden_log` tells.
#include <annals/annals.hpp>
#include <annals/platform/memory.hpp>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "catch.hpp"
#include "golden/hexdump.hpp"
#include "storage/lives.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

using Files = std::map<std::string, std::string>;  // path to bytes; directories end in a slash

/// Random numbers are all alike on it, so that the files do not depend on how many were taken.
class GoldenPlatform : public MemoryPlatform {
public:
    GoldenPlatform() { set_time(Timestamp{1'700'000'000s}); }
    [[nodiscard]] std::uint64_t random() const noexcept { return 0x600D'600D'600D'600D; }
};

std::filesystem::path folder_of(std::string const& format) {
    return std::filesystem::path{__FILE__}.parent_path() / format;
}

Files read_golden(std::string const& format, std::string const& name) {
    auto const root = folder_of(format) / name;
    Files files;
    for (auto const& entry : std::filesystem::recursive_directory_iterator{root}) {
        if (!entry.is_regular_file()) continue;
        std::ifstream in{entry.path()};
        std::string const text{std::istreambuf_iterator<char>{in}, {}};
        auto path = std::filesystem::relative(entry.path(), root);
        files[path.replace_extension().string()] = from_hexdump(text);
    }
    return files;
}

/// Lays the files out on a machine, as a copy of the directory that they came from.
template <class P>
void lay_out(Machine<P>& machine, Files const& files) {
    for (auto const& [path, bytes] : files) {
        auto const slash = path.rfind('/');
        auto const directory = slash == std::string::npos ? "" : "/" + path.substr(0, slash);
        auto parent = machine.platform.open_directory(machine.path + directory, Access::write);
        parent.create_file(path.substr(slash == std::string::npos ? 0 : slash + 1))
            .write_at(0, as_bytes(bytes));
    }
    (void)machine.platform.open_directory(machine.path + "/groups", Access::write);
}

template <class Topic>
void send_records(Topic const& topic, GoldenPlatform& machine) {
    auto producer = topic.producer();
    producer.send("key", "value");
    machine.advance(1s);
    producer.send(std::nullopt, "no key");
    producer.send("", "");
    producer.send("gone", std::nullopt, {.timestamp = Timestamp{-5ns}});
    std::array const headers{Header{"trace", as_bytes("4bf9")}, Header{"", {}}};
    producer.send("with headers", "h", {.headers = headers});
    machine.advance(1s);
    producer.send_batch("batch", std::vector<std::string>{"one", "two", "three"});
}

/// Two topics; `fruit` has rolled, and a group has read of it. Nothing is closed yet.
template <class Log>
void write_golden_log(GoldenPlatform& machine, Log& log) {
    auto const fruit = log.template topic<std::string, std::string>("fruit", {.sync = Sync::never});
    send_records(fruit, machine);
    auto producer = fruit.producer();
    for (int i = 0; i < 8; ++i) producer.send("large", std::string(8'000, 'x'));
    (void)log.template topic<std::uint32_t, Bytes>(
        "unused", {.partitions = 2, .sync = Sync::always, .clock = Clock::coarse});
    auto consumer = fruit.consumer({.group = "readers"});
    (void)consumer.poll(0ns, 3);
    consumer.commit();
}

/// What the last threads of a writer leave that dies: behind the records an open claim of two more,
/// a void of three, and another record, number `number`, which was published before it died.
void leave_open(std::string& segment, std::uint32_t number) {
    std::uint64_t const end = annals::detail::align_up(segment.find_last_not_of('\0') + 1, 8);
    auto* const bytes = reinterpret_cast<std::byte*>(segment.data());
    auto const salt = annals::detail::load<format::SegmentHeader>(bytes).salt;
    auto const publish = [&](std::uint64_t place, std::uint64_t length, format::FrameState state) {
        auto const word = format::published_word(bytes + place, state, length, salt, place);
        annals::detail::store(bytes + place, word.raw());
    };
    annals::detail::store(bytes + end, format::FrameWord{format::FrameState::claimed, 64, 2}.raw());
    annals::detail::store(bytes + end + 64, format::FrameHeader{.number = number - 3, .detail = 3});
    publish(end + 64, 40, format::FrameState::voided);
    annals::detail::store(
        bytes + end + 104,
        format::FrameHeader{.number = number, .flags = format::has_value, .detail = 1'000});
    std::memcpy(bytes + end + 104 + 24, "last", 4);
    publish(end + 104, 28, format::FrameState::data);
}

/// The golden log after its clean close, or as its writer's death leaves it.
Files write_today(std::string const& name) {
    GoldenPlatform machine;
    BasicLog<GoldenPlatform> log{"/log", {.segment_bytes = small_segment}, machine};
    write_golden_log(machine, log);
    if (name == "closed") log.close();
    Files files = dump(machine.open_directory("/log", Access::read));
    if (name == "died") leave_open(files.at("topics/fruit/0/00000002.seg"), 6);
    std::erase_if(files, [](auto const& file) { return file.first.ends_with('/'); });
    return files;
}

/// What `fruit` holds, one record a line.
template <class Topic>
std::string records_of(Topic const& topic) {
    std::string text;
    for (auto const& record : topic.replay({.check = Check::always})) {
        std::string value{record.has_value() ? record.value() : "none"};
        if (record.has_value() && value.size() < 100) value = '"' + value + '"';
        text += std::to_string(record.offset().value()) + " @" +
                std::to_string(record.timestamp().time_since_epoch() / 1ns) + ' ' +
                (record.has_key() ? '"' + std::string{record.key()} + '"' : "none") + ": " +
                (value.size() < 100 ? value : std::to_string(value.size()) + " bytes");
        record.for_each_header([&](Header const& header) {
            text += ", \"" + std::string{header.name} + "\": \"" +
                    std::string{as_text(header.value)} + '"';
        });
        text += '\n';
    }
    return text;
}

std::string const golden_records = R"(0 @1700000000000000000 "key": "value"
1 @1700000001000000000 none: "no key"
2 @1700000001000000000 "": ""
3 @-5 "gone": none
4 @1700000001000000000 "with headers": "h", "trace": "4bf9", "": ""
5 @1700000002000000000 "batch": "one"
6 @1700000002000000000 "batch": "two"
7 @1700000002000000000 "batch": "three"
8 @1700000002000000000 "large": 8000 bytes
9 @1700000002000000000 "large": 8000 bytes
10 @1700000002000000000 "large": 8000 bytes
11 @1700000002000000000 "large": 8000 bytes
12 @1700000002000000000 "large": 8000 bytes
13 @1700000002000000000 "large": 8000 bytes
14 @1700000002000000000 "large": 8000 bytes
15 @1700000002000000000 "large": 8000 bytes
)";

/// A control file without what names the machine's files, which are others on each.
std::string without_identity(std::string const& bytes) {
    auto control = format::decode_control(as_bytes(bytes), "control").value();
    if (auto& writer = control.writer) writer->device = writer->inode = writer->mount = 0;
    if (control.watermark) control.watermark->device = control.watermark->inode = 0;
    return std::string{as_text(format::encode_control(control))};
}

}  // namespace

TEST_CASE("a hexdump is read as it was written") {
    for (std::string const& bytes :
         {std::string{}, std::string{"a"}, std::string(16, 'x'), std::string(48, 'x'),
          std::string(4'096, '\0') + "end", "begin" + std::string(100, '\0'),
          std::string{"0123456789abcdef0123456789abcdef!"}}) {
        CHECK(from_hexdump(to_hexdump(bytes)) == bytes);
    }
    CHECK(to_hexdump("Annals!\n" + std::string(56, '\0')) ==
          "00000000  41 6e 6e 61 6c 73 21 0a  00 00 00 00 00 00 00 00  |Annals!.........|\n"
          "00000010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n"
          "*\n"
          "00000040\n");
}

TEMPLATE_TEST_CASE("a log that was closed in format 1.0 is read and goes on", "", NativePlatform,
                   MemoryPlatform) {
    Machine<TestType> machine;
    Files const files = read_golden("1.0", "closed");
    lay_out(machine, files);
    {
        BasicLog<TestType> const reader{machine.path, {.read_only = true}, machine.platform};
        CHECK(reader.topics() == std::vector<std::string>{"fruit", "unused"});
    }
    {
        BasicLog<TestType> log{machine.path, {.segment_bytes = small_segment}, machine.platform};
        CHECK(log.recovery().was_clean());
        CHECK(log.recovery().partitions.empty());
        auto topic = log.template topic<std::string, std::string>("fruit");
        CHECK(records_of(topic) == golden_records);
        CHECK(topic.durable_offset() == Offset{16});
        CHECK(topic.consumer({.group = "readers"}).committed(0) == Offset{3});
        auto unused = log.template topic<std::uint32_t, Bytes>("unused", {.partitions = 2});
        CHECK(unused.end_offset(1) == Offset{0});
        CHECK(topic.producer().send(std::nullopt, "more").offset == Offset{16});
    }
    BasicLog<TestType> log{machine.path, {.segment_bytes = small_segment}, machine.platform};
    auto topic = log.template topic<std::string, std::string>("fruit");
    CHECK(topic.end_offset() == Offset{17});
    auto const read = records_of(topic);
    CHECK(read.starts_with(golden_records));
    CHECK(read.ends_with("none: \"more\"\n"));
}

TEMPLATE_TEST_CASE("a log whose writer died in format 1.0 is recovered by either rule", "",
                   NativePlatform, MemoryPlatform) {
    Machine<TestType> machine;
    lay_out(machine, read_golden("1.0", "died"));
    AfterDeath const rule = GENERATE(AfterDeath::process_death, AfterDeath::power_loss,
                                     AfterDeath::detect);  // in a copy: power loss
    bool const is_prefix = rule != AfterDeath::process_death;
    std::string const expected = golden_records + (is_prefix ? "" : "21 @1000 none: \"last\"\n");
    LogOptions const options{.segment_bytes = small_segment, .after_death = rule};
    {
        BasicLog<TestType> log{machine.path, options, machine.platform};
        REQUIRE(log.recovery().partitions.size() == 1);
        auto const& found = log.recovery().partitions[0];
        CHECK(found.topic == "fruit");
        CHECK(found.ending == (is_prefix ? Ending::power_loss : Ending::process_death));
        CHECK(found.end == Offset{is_prefix ? 16u : 22u});
        CHECK(found.records_voided == (is_prefix ? 0 : 2));
        CHECK(found.bytes_cut == (is_prefix ? 136 : 0));
        auto topic = log.template topic<std::string, std::string>("fruit");
        CHECK(records_of(topic) == expected);
        CHECK(topic.consumer({.group = "readers"}).committed(0) == Offset{3});
        CHECK(topic.producer().send(std::nullopt, "more").offset == found.end);
    }
    BasicLog<TestType> log{machine.path, options, machine.platform};
    CHECK(log.recovery().was_clean());
    auto const read = records_of(log.template topic<std::string, std::string>("fruit"));
    CHECK(read.starts_with(expected));
    CHECK(read.ends_with("none: \"more\"\n"));
}

TEST_CASE("what is written today has the bytes that format 1.0 has") {
    std::string const name = GENERATE("closed", "died");
    Files const golden = read_golden("1.0", name);
    Files const today = write_today(name);
    for (auto const& [path, bytes] : golden) {
        INFO(name << "/" << path);
        REQUIRE(today.contains(path));
        bool const is_control = path.ends_with("/control");
        std::string const now = is_control ? without_identity(today.at(path)) : today.at(path);
        std::string const then = is_control ? without_identity(bytes) : bytes;
        CHECK(to_hexdump(now) == to_hexdump(then));
    }
    CHECK(today.size() == golden.size());
}

TEST_CASE("golden files are made for the format that is written now", "[.make]") {
    auto const format =
        std::to_string(format::major_version) + "." + std::to_string(format::minor_version);
    for (std::string const name : {"closed", "died"}) {
        for (auto const& [path, bytes] : write_today(name)) {
            auto const file = folder_of(format) / name / (path + ".hex");
            std::filesystem::create_directories(file.parent_path());
            std::ofstream{file} << to_hexdump(bytes);
        }
    }
}
