// SPDX-License-Identifier: MIT
// What can be done without, a writer makes anew where it is damaged: indexes, and parts of control
// files.
#include <string>
#include <vector>

#include "catch.hpp"
#include "damage/judge.hpp"

using namespace annals;
using namespace annals::test;

namespace {

std::string const segment_path = "topics/t/0/00000001.seg";
std::string const index_path = "topics/t/0/00000001.idx";

/// An index that passes its check, and leads elsewhere.
std::string lying_index(MemoryPlatform const& machine) {
    auto const files = files_of(machine);
    auto const header =
        annals::detail::load<format::SegmentHeader>(as_bytes(files.at(segment_path)).data());
    auto contents =
        format::decode_index(as_bytes(files.at(index_path)), header.salt, header.capacity);
    for (format::IndexEntry& entry : contents.value().entries) entry.place += 1;
    return std::string{as_text(format::encode_index(header.salt, *contents))};
}

/// The last record of the first segment.
Offset last_of_first(MemoryPlatform const& machine) {
    auto const files = files_of(machine);
    auto const completion = annals::detail::load<format::Completion>(
        as_bytes(files.at(segment_path)).data() + format::completion_place);
    return Offset{completion.count - 1};
}

/// Reads it, which only the index leads to.
std::string value_at(MemoryLog& log, Offset offset) {
    auto cursor = log.topic<std::string, std::string>("t").partition(0).cursor();
    cursor.seek(offset);
    return std::string{as_text(cursor.next().value().value())};
}

}  // namespace

TEST_CASE("a writer who meets a wrong index leaves a good one, and a reader leaves it as it is") {
    SmallLog log;
    log.close();
    auto const files = files_of(log.machine());
    Offset const offset = last_of_first(log.machine());
    std::string const good = files.at(index_path);
    std::optional<std::string> bad;
    SECTION("missing") {}
    SECTION("empty") { bad = ""; }
    SECTION("garbage") { bad = std::string(good.size(), 'x'); }
    SECTION("cut") { bad = good.substr(0, good.size() - 1); }
    SECTION("another segment's") { bad = files.at("topics/t/0/00000002.idx"); }
    SECTION("one that leads elsewhere") { bad = lying_index(log.machine()); }
    replace(log.machine(), index_path, bad);
    auto const damaged = files_of(log.machine());
    std::string expected;
    {
        MemoryLog reader{small_log_path, {.read_only = true}, log.machine()};
        expected = value_at(reader, offset);
    }
    CHECK(files_of(log.machine()) == damaged);
    MemoryLog writer{small_log_path, small_log_options, log.machine()};
    CHECK(value_at(writer, offset) == expected);
    CHECK(files_of(log.machine()).at(index_path) == good);
}

TEST_CASE("a damaged part of a control file is told, and is good again after the next append") {
    SmallLog log;
    log.close();
    struct Part {
        std::string_view name;
        std::vector<std::uint64_t> places;
        Ending ending = Ending::clean;
    };
    auto const& [name, places, ending] = GENERATE(
        Part{format::clean_mark_part, {format::clean_mark_place}, Ending::process_death},
        Part{format::writer_part, {format::writer_place}},
        Part{format::watermark_part, {format::watermark_places[0], format::watermark_places[1]}},
        Part{format::beginning_part, {format::beginning_places[0]}},
        Part{format::beginning_part, {format::beginning_places[1]}},
        Part{format::epochs_part, {format::epochs_place}},
        Part{format::epochs_part, {format::epochs_place + sizeof(format::EpochsHeader)}});
    INFO(name);
    for (std::uint64_t const place : places) {
        patch(log.machine(), control_path, place + 3, "\xA5");
    }
    auto const control = [&] {
        auto const bytes = files_of(log.machine()).at(control_path);
        return format::decode_control(as_bytes(bytes), control_path).value();
    };
    CHECK(control().is_damaged(name));
    {
        MemoryLog writer{small_log_path, small_log_options, log.machine()};
        REQUIRE(writer.recovery().partitions.size() == 1);
        auto const& found = writer.recovery().partitions[0];
        CHECK(found.partition == 0);
        CHECK(found.ending == ending);
        CHECK(found.beginning == Offset{0});
        CHECK(found.end == Offset{log.truth().records[0].size()});
        REQUIRE(found.notes.size() == 1);
        CHECK(contains(found.notes[0], name));
        CHECK(contains(found.notes[0], "fails its check"));
        writer.topic<std::string, std::string>("t").producer().send("k", "v", {.partition = 0});
        CHECK(control().damaged.empty());
    }
    CHECK(control().damaged.empty());
    MemoryLog const again{small_log_path, small_log_options, log.machine()};
    CHECK(again.recovery().partitions.empty());
}

TEST_CASE("where the list of epochs is damaged, the segments say which there were") {
    Site<MemoryPlatform> site;
    for (int number = 0; number < 3; ++number) {
        Life<MemoryPlatform> life{site};
        life.append("a record");
        if (number == 2) life.close();
    }
    auto const epochs = site.epochs();
    REQUIRE(epochs.size() == 3);
    site.damage("control", format::epochs_place + GENERATE(8u, 16u, 24u, 60u));
    REQUIRE(site.control().is_damaged(format::epochs_part));

    auto const attachment = std::make_shared<storage::Attachment<MemoryPlatform> const>(
        std::make_shared<MemoryDirectory const>(site.directory()), AfterDeath::detect);
    storage::PartitionState<MemoryPlatform> const reader{site.files(), attachment};
    CHECK(reader.epochs() == epochs);
    CHECK(reader.epoch_of(1) == epochs[1].number);

    Life<MemoryPlatform> writer{site};
    CHECK(writer.state().epochs() == epochs);
    writer.append("one more");
    writer.close();
    CHECK(site.epochs() == epochs);
}
