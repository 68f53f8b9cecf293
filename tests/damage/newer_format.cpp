// SPDX-License-Identifier: MIT
// Files of a newer format are told from damaged ones, whichever file of a log it is.
#include <string>

#include "catch.hpp"
#include "damage/judge.hpp"

using namespace annals;
using namespace annals::test;

namespace {

/// One file of each kind that has a preamble.
std::string const kinds[] = {"log.meta", "topics/t/topic.meta", "topics/t/0/control",
                             "topics/t/0/00000002.seg", "groups/g/t"};

/// What opens and reads everything throws.
std::optional<Error> error_with(MemoryPlatform const& machine, LogOptions const& options) {
    return error_of([&] {
        MemoryLog log{small_log_path, options, machine};
        auto topic = log.topic<std::string, std::string>("t");
        for (auto const& record : topic.replay()) (void)record;
        auto const consumer = topic.consumer({.group = "g"});
    });
}

/// Changes the preamble, and nothing behind it: where a newer format has its checks, who knows.
MemoryPlatform with_preamble(MemoryPlatform const& machine, std::string const& file,
                             void (*change)(format::Preamble&)) {
    MemoryPlatform const changed = machine.after_process_death();
    auto const bytes = files_of(changed).at(file);
    auto preamble = annals::detail::load<format::Preamble>(as_bytes(bytes).data());
    change(preamble);
    patch(changed, file, 0, as_text(format::bytes_of(preamble)));
    return changed;
}

}  // namespace

TEST_CASE("a newer format is unsupported and not corrupt, and nothing is changed") {
    SmallLog log;
    log.close();
    std::string const file = GENERATE(from_range(std::begin(kinds), std::end(kinds)));
    bool const is_major = GENERATE(true, false);
    auto const machine = with_preamble(
        log.machine(), file,
        is_major ? [](format::Preamble& preamble) { preamble.major = 2; }
                 : [](format::Preamble& p) { p.incompatible_features = 1u << 31; });
    INFO(file);
    auto const before = files_of(machine);
    for (LogOptions const& options : {LogOptions{.read_only = true}, small_log_options}) {
        auto const error = error_with(machine, options);
        REQUIRE(error);
        CHECK(error->code() == Errc::unsupported_format);
        CHECK(error->path() == small_log_path + "/" + file);
        CHECK(contains(error->what(), is_major ? "format 2" : "features"));
    }
    CHECK(files_of(machine) == before);
}

TEST_CASE("a newer minor version with compatible features is read") {
    SmallLog log;
    log.close();
    auto const machine = log.machine().after_process_death();
    auto const newer = [](auto record) {
        record.preamble.minor = 9;
        record.preamble.compatible_features = ~0u;
        return format::checked(record);
    };
    auto const put = [&]<class Record>(std::string const& file, Record const&) {
        auto const bytes = files_of(machine).at(file);
        auto const record = annals::detail::load<Record>(as_bytes(bytes).data());
        patch(machine, file, 0, as_text(format::bytes_of(newer(record))));
    };
    put("log.meta", format::LogMeta{});
    put("topics/t/topic.meta", format::TopicMetaHead{});
    put(control_path, format::ControlHeader{});
    put("topics/t/0/00000001.seg", format::SegmentHeader{});
    put("topics/t/0/00000001.idx", format::IndexHead{});
    put("groups/g/t", format::PositionsHead{});
    Tally tally;
    judge_damaged(machine, log.truth(), {"log.meta", "minor 9", [](auto&) {}}, tally);
    CHECK(tally.whole == 1);
}

TEST_CASE("an index of a newer format is not used and not blamed") {
    SmallLog log;
    log.close();
    std::string const file = "topics/t/0/00000001.idx";
    auto const machine =
        with_preamble(log.machine(), file, [](format::Preamble& preamble) { preamble.major = 2; });
    Tally tally;
    judge_damaged(machine, log.truth(), {file, "major 2", [](auto&) {}}, tally);
    CHECK(tally.whole == 1);
}
