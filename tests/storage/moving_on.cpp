// SPDX-License-Identifier: MIT
// After a failed sync: what is in doubt is copied to a new file, and the log goes on there.
// Wherever that fails or is cut off, nothing is lost that was promised.
#include <annals/storage/writer.hpp>

#include <cerrno>
#include <chrono>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "catch.hpp"
#include "storage/lives.hpp"
#include "turns.hpp"

using namespace annals;
using namespace annals::test;

namespace {

/// Nothing that lies in the file of a failed sync reaches the disk any more.
void fail_flush(Ground& ground, MemoryLife& life) {
    ground.platform().fail_next(Operation::sync, EIO);
    CHECK(code_of([&] { life.state().flush(); }) == Errc::sync_failed);
}

std::string after_power_loss(Ground& ground) {
    Ground const lost{ground.platform().after_power_loss()};
    return MemoryLife{lost}.text();
}

std::string after_process_death(Ground& ground) {
    Ground const dead{ground.platform().after_process_death()};
    return MemoryLife{dead}.text();
}

/// A record is durable, two are in doubt.
struct Doubtful {
    Ground ground{};
    MemoryLife life{ground};

    Doubtful() {
        life.append("a");
        life.state().flush();
        life.append("b");
        life.append_batch({"c", "d"});
        fail_flush(ground, life);
    }
};

}  // namespace

TEST_CASE("the next record after a failed sync lies in a new file, behind what was in doubt") {
    Doubtful d;
    CHECK(d.life.text() == "0=a 1=b 2=c 3=d");
    CHECK(d.life.append("e") == 4);
    CHECK(d.life.text() == "0=a 1=b 2=c 3=d 4=e");
    CHECK(d.life.state().durable() == 4);
    CHECK(after_power_loss(d.ground) == "0=a 1=b 2=c 3=d");
    CHECK(d.ground.first_page(2).info.is_copy());
    CHECK(d.ground.first_page(2).info.base_offset == 1);
    CHECK(d.ground.first_page(2).info.epoch == 1);
    CHECK(d.ground.control().syncing == 0);
    CHECK(d.ground.control().watermark->ordinal == 2);

    d.life.state().flush();
    CHECK(after_power_loss(d.ground) == "0=a 1=b 2=c 3=d 4=e");
    CHECK(after_process_death(d.ground) == "0=a 1=b 2=c 3=d 4=e");
}

TEST_CASE("whoever comes after a failed write-back and a death believes nothing of that file") {
    for (unsigned const after : {0U, 1U}) {  // the beginning of a piece; the wait for one
        CAPTURE(after);
        Ground ground;
        {
            MemoryLife life{ground, MemoryLife::Keeper::by_hand};
            life.append_large(9);  // more than a segment
            ground.platform().fail_next(Operation::start_writeback, EIO, after);
            life.keep();
            REQUIRE_FALSE(ground.platform().has_failures());
            CHECK(ground.control().syncing == 1);
        }
        MemoryLife life{ground};
        life.append("x");
        life.state().flush();
        CHECK(after_power_loss(ground) == life.text());
    }
}

TEST_CASE("a flush after a failed one makes durable by copying, not by syncing the file again") {
    Doubtful d;
    d.life.state().flush();
    CHECK(d.life.state().durable() == 4);
    CHECK(after_power_loss(d.ground) == "0=a 1=b 2=c 3=d");
}

TEST_CASE("a close after a failed sync copies what is in doubt and is clean") {
    Doubtful d;
    d.life.close();
    CHECK(d.ground.control().clean);
    CHECK(after_power_loss(d.ground) == "0=a 1=b 2=c 3=d");
    MemoryLife again{d.ground};
    CHECK(again.report().ending == Ending::clean);
    CHECK(again.append("e") == 4);
    CHECK(d.ground.names() == "00000001.idx 00000001.seg 00000002.seg control");
}

TEST_CASE("segments that hold nothing durable are replaced whole, and go") {
    Ground ground;
    MemoryLife life{ground};
    life.append_large(20);  // over several segments, all of them completed but the last
    auto const durable = life.state().durable();
    REQUIRE(durable > 10);
    // The next file is synced when it is made; then the sync of what was rolled fails.
    ground.platform().fail_next(Operation::sync, EIO, 1);
    while (!error_of([&] { life.append_large(1); })) {
    }
    auto const end = life.state().claimed_end();
    auto const doubtful = life.state().durable();
    CHECK(doubtful + 7 == end);
    CHECK(ground.files()->ordinals() == std::vector<std::uint64_t>{1, 2, 3, 4});
    CHECK(life.append("e") == end);
    CHECK(life.state().durable() == end);
    CHECK(ground.files()->ordinals() == std::vector<std::uint64_t>{1, 2, 5});
    CHECK(ground.first_page(5).info.base_offset == doubtful);
    Ground const lost{ground.platform().after_power_loss()};
    CHECK(MemoryLife{lost}.report().end.value() == end);
    life.append_large(20);
    CHECK(after_process_death(ground) == life.text());
}

TEST_CASE("wherever moving on fails, the sender has claimed nothing and a later one goes on") {
    auto const operation =
        GENERATE(Operation::open, Operation::create, Operation::allocate, Operation::write,
                 Operation::sync, Operation::rename, Operation::map, Operation::remove,
                 Operation::list, Operation::directory_sync);
    bool has_failed = true;
    for (unsigned after = 0; has_failed; ++after) {
        CAPTURE(static_cast<int>(operation), after);
        Doubtful d;
        d.ground.platform().fail_next(operation, operation == Operation::sync ? EIO : ENOSPC,
                                      after);
        auto const error = error_of([&] { d.life.append("e"); });
        d.ground.platform().clear_failures();
        has_failed = error.has_value();
        std::string const expected = has_failed ? "0=a 1=b 2=c 3=d" : "0=a 1=b 2=c 3=d 4=e";
        CHECK(d.life.text() == expected);
        CHECK(after_process_death(d.ground) == expected);
        CHECK(after_power_loss(d.ground).starts_with("0=a"));
        if (has_failed && error->code() == Errc::no_space) CHECK(d.life.state().durable() == 1);
        CHECK(d.life.append("f") == (has_failed ? 4 : 5));
        d.life.state().flush();
        CHECK(after_power_loss(d.ground) == d.life.text());
        CHECK(after_process_death(d.ground) == d.life.text());
        d.life.close();
        CHECK(MemoryLife{d.ground}.report().ending == Ending::clean);
        REQUIRE(after < 50);
        if (operation == Operation::remove && after > 5) break;  // what it fails is swallowed
    }
}

TEST_CASE("wherever a death cuts moving on off, nothing that was promised is lost") {
    Doubtful d;
    auto const none = std::string{"0=a 1=b 2=c 3=d"};
    unsigned points = 0;
    {
        MemoryPlatform::StoreHook const hook{[&](std::byte const*, std::size_t) {
            ++points;
            CAPTURE(points);
            CHECK(after_process_death(d.ground).starts_with(none));
            for (std::uint64_t seed = 0; seed < 20; ++seed) {
                Ground const lost{d.ground.platform().after_power_loss(seed)};
                MemoryLife found{lost};
                auto const text = found.text();
                CHECK((none + " 4=e").starts_with(text));
                CHECK(text.size() >= 3);
                CHECK(found.append("x") == found.report().end.value());
            }
        }};
        d.life.append("e");
    }
    CHECK(points > 6);
}

TEST_CASE("a record that fails its check ends the copy, and the partition refuses writes") {
    Doubtful d;
    auto const text = content(d.ground.directory().open_file("00000001.seg", Access::read));
    d.ground.damage("00000001.seg", text.find('c', format::first_frame_place + 24));
    for (int i = 0; i < 2; ++i) {
        auto const error = error_of([&] { d.life.append("e"); });
        REQUIRE(error);
        CHECK(error->code() == Errc::corrupt);
        CHECK(error->segment() == 1);
        CHECK(error->place());
    }
    CHECK(code_of([&] { d.life.state().flush(); }) == Errc::corrupt);
    CHECK(code_of([&] { d.life.close(); }) == Errc::corrupt);
    CHECK(d.ground.names() == "00000001.seg control");
}

TEST_CASE("a second failure, of the new file, is mended in the same way") {
    Doubtful d;
    d.life.append("e");
    fail_flush(d.ground, d.life);
    CHECK(d.life.append("f") == 5);
    CHECK(d.ground.first_page(3).info.base_offset == 4);
    d.life.state().flush();
    CHECK(after_power_loss(d.ground) == "0=a 1=b 2=c 3=d 4=e 5=f");
    d.life.close();
    CHECK(MemoryLife{d.ground}.text() == "0=a 1=b 2=c 3=d 4=e 5=f");
}

namespace {

using TurnLog = BasicLog<TurnPlatform>;

/// Two values, the second of which takes its time where it is written into its claim.
struct SlowValues {
    struct Iterator {
        SlowValues const* values;
        int index;

        std::string_view operator*() const {
            if (index == 1 && ++values->reads == 2) {
                values->is_claimed = true;
                for (int i = 0; i < 200; ++i) Turns::let_others();
                values->is_claimed = false;
            }
            return index == 0 ? "first" : "second";
        }
        Iterator& operator++() {
            ++index;
            return *this;
        }
        bool operator==(Iterator const&) const = default;
    };

    [[nodiscard]] Iterator begin() const { return {this, 0}; }
    [[nodiscard]] Iterator end() const { return {this, 2}; }

    mutable int reads = 0;
    mutable bool is_claimed = false;
};

/// Whether a sync failed while a claim in an older segment was open.
bool fails_beside_an_older_claim(TurnPlatform machine) {
    TurnLog log{"log", {.segment_bytes = small_segment}, machine};
    auto topic = log.topic<std::string, std::string>(
        "t", {.sync = Sync::interval, .sync_interval = std::chrono::microseconds{50}});
    SlowValues const slow;
    TurnThread sender{[&] { topic.producer().send_batch("k", slow); }};
    while (!slow.is_claimed && slow.reads < 2) Turns::let_others();
    for (int i = 0; i < 10; ++i) topic.producer().send("k", std::string(8000, 'L'));
    machine.fail_next(Operation::sync, EIO);
    for (int i = 0; i < 40; ++i) Turns::let_others();
    bool const has_failed = !machine.has_failures() && slow.is_claimed;
    machine.clear_failures();
    auto const last = topic.producer().send("k", "last");
    sender.join();
    CHECK(last.offset == Offset{12});
    CHECK(topic.end_offset() == Offset{13});
    std::uint64_t count = 0;
    for (auto const& record : topic.replay()) CHECK(record.offset() == Offset{count++});
    CHECK(count == 13);
    return has_failed;
}

}  // namespace

TEST_CASE("moving on waits for the claims that stand in older segments, too") {
    unsigned failures = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        run_in_turns(seed, [&](Turns&, TurnPlatform machine) {
            if (fails_beside_an_older_claim(machine)) ++failures;
        });
    }
    CHECK(failures > 10);
}

TEST_CASE("readers that stand in the old file go on in the new one") {
    Doubtful d;
    BasicRecordReader<MemoryPlatform> reader{d.life.partition_state(), 0, Check::first_read};
    RecordView first;
    REQUIRE(reader.next(first));
    RecordView second;
    REQUIRE(reader.next(second));  // in doubt, and handed out all the same

    using Attachment = storage::Attachment<MemoryPlatform>;
    auto const attachment = std::make_shared<Attachment const>(
        std::make_shared<MemoryPlatform::Directory const>(d.ground.directory()),
        AfterDeath::detect);
    auto const attached =
        std::make_shared<storage::PartitionState<MemoryPlatform>>(d.ground.files(), attachment);
    d.life.append("e");
    CHECK(as_text(second.value()) == "b");
    std::string rest;
    for (RecordView record; reader.next(record);) rest += as_text(record.value());
    CHECK(rest == "cde");
    attached->refresh();
    CHECK(MemoryLife::text_of(attached).starts_with("0=a 1=b 2=c 3=d"));
}

TEST_CASE("what is stored once a control file was replaced is in the one that has the name") {
    World<MemoryPlatform> world;
    auto& machine = world.machine.platform;
    auto log = world.open({.segment_bytes = small_segment});
    auto const topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::never});
    append_to(topic, 20);
    log.flush();
    machine.fail_next(Operation::sync, EIO);    // of the control file: another takes its name
    machine.fail_next(Operation::map, ENOMEM);  // and cannot be mapped at this moment
    (void)error_of([&] { (void)topic.delete_records_before(0, Offset{1}); });
    REQUIRE(topic.delete_records_before(0, Offset{15}) == Offset{15});
    for (bool const is_power_loss : {false, true}) {
        CAPTURE(is_power_loss);
        MemoryLog again{world.path,
                        {.segment_bytes = small_segment},
                        is_power_loss ? machine.after_power_loss() : machine.after_process_death()};
        auto const found = again.topic<Bytes, Bytes>("t");
        CHECK(found.beginning_offset() == Offset{15});
        CHECK(found.end_offset() == Offset{20});
    }
}

TEST_CASE("a control file whose sync fails is replaced, not synced again") {
    Ground ground;
    MemoryLife life{ground};
    life.append("a");
    life.state().flush();
    auto const before = ground.directory().open_file("control", Access::read).identity();
    ground.platform().fail_next(Operation::sync, EIO, 0);
    life.close();  // all is durable: what is synced is the control file alone
    CHECK(ground.directory().open_file("control", Access::read).identity() != before);
    CHECK(ground.control().clean);
    Ground const lost{ground.platform().after_power_loss()};
    MemoryLife again{lost};
    CHECK(again.report().ending == Ending::clean);
    CHECK(again.text() == "0=a");
}
