// SPDX-License-Identifier: MIT
// Recovery and the first append after it, cut off at each of their stores and failing at each of
// their calls to the system: whoever comes next finds the same log.
#include <annals/storage/opening.hpp>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "catch.hpp"
#include "storage/lives.hpp"

using namespace annals;
using namespace annals::test;

namespace {

using Tokens = std::vector<std::string>;  // "3=value", by offset

Tokens split(std::string const& text) {
    std::istringstream in{text};
    return {std::istream_iterator<std::string>{in}, {}};
}

/// A partition as some death left it.
struct Case {
    std::string name;
    MemoryPlatform machine;
};

/// What must be found in it.
struct Expectation {
    Tokens records;
    std::uint64_t end;
    std::uint64_t durable;  ///< records below it survive power loss
};

void live_a_little(MemoryLife& life) {
    life.append("a");
    life.append("b");
    life.state().flush();
    life.append_batch({"c", "d", "e"});
    life.leave_claimed(2, 120);
    life.append("f");
    life.leave_untouched(1, 64);
    life.leave_claimed(1, 48);
    life.leave_untouched(2, 48);
    life.append("g");
}

MemoryPlatform never_written() { return Ground{}.platform(); }

MemoryPlatform closed() {
    Ground ground;
    MemoryLife life{ground};
    life.append("a");
    life.close();
    return ground.platform();
}

MemoryPlatform died() {
    Ground ground;
    MemoryLife life{ground};
    live_a_little(life);
    life.leave_claimed(3, 200);
    return ground.platform().after_process_death();
}

MemoryPlatform died_after_rolls() {
    Ground ground;
    MemoryLife life{ground};
    live_a_little(life);
    life.append_large(8);
    life.leave_untouched(1, 64);
    life.append_large(7);
    life.leave_claimed(1, 64);
    life.append("h");
    life.append_large(5);
    life.keep();  // the next segment, in advance
    return ground.platform().after_process_death();
}

MemoryPlatform died_in_a_sync() {
    Ground ground{died_after_rolls()};
    std::uint64_t const ordinal = 1;
    ground.patch("control", format::syncing_mark_place, format::bytes_of(ordinal));
    return ground.platform();
}

MemoryPlatform died_twice() {
    Ground ground{died()};
    MemoryLife life{ground};
    life.append("h");
    life.leave_claimed(2, 64);
    life.append("i");
    return ground.platform().after_process_death();
}

MemoryPlatform without_control() {
    Ground ground{died_after_rolls()};
    ground.remove("control");
    return ground.platform();
}

MemoryPlatform with_garbage_for_control() {
    Ground ground{died()};
    ground.patch("control", 0, as_bytes("garbage"));
    return ground.platform();
}

std::vector<Case> cases() {
    std::vector<Case> all{{"never written", never_written()},
                          {"closed", closed()},
                          {"died", died()},
                          {"died after rolls", died_after_rolls()},
                          {"died in a sync", died_in_a_sync()},
                          {"died twice", died_twice()},
                          {"without control", without_control()},
                          {"garbage for control", with_garbage_for_control()}};
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
        all.push_back({"power loss, seed " + std::to_string(seed),
                       died_after_rolls().after_power_loss(seed)});
    }
    return all;
}

/// What an undisturbed recovery finds, which is also what somebody finds who only reads.
Expectation expectation_of(MemoryPlatform const& machine) {
    std::string const text = read_only_text(Ground{machine.after_process_death()});
    Ground const ground{machine.after_process_death()};
    auto const mark = ground.control().watermark;
    MemoryLife const life{ground};
    REQUIRE(life.text() == text);
    bool const is_first = mark && mark->ordinal == 1;
    std::uint64_t const durable = is_first ? mark->count : 0;
    return {split(text), life.report().end.value(), durable};
}

/// The machine's log opens, holds the records, and at most the one more whose append was under way;
/// appending goes on, and that is there after one death more.
void expect_whole(MemoryPlatform const& machine, Expectation const& expected, bool has_returned) {
    Tokens longer = expected.records;
    longer.push_back(std::to_string(expected.end) + "=+");
    Ground ground{machine};
    Tokens found;
    {
        MemoryLife life{ground};
        found = split(life.text());
        bool const is_whole = found == longer || (!has_returned && found == expected.records);
        CHECK(is_whole);
        if (!is_whole) return;
        found.push_back(std::to_string(life.append("again")) + "=again");
    }
    CHECK(split(MemoryLife{ground}.text()) == found);
}

/// The same after power loss: a prefix of the records, which has at least the durable ones.
void expect_prefix(MemoryPlatform const& machine, Expectation const& expected) {
    Tokens longer = expected.records;
    longer.push_back(std::to_string(expected.end) + "=+");
    Ground ground{machine};
    Tokens found;
    {
        MemoryLife life{ground};
        found = split(life.text());
        bool const is_prefix =
            found.size() <= longer.size() && std::equal(found.begin(), found.end(), longer.begin());
        CHECK(is_prefix);
        CHECK(life.report().end.value() >= expected.durable);
        found.push_back(std::to_string(life.append("again")) + "=again");
    }
    CHECK(split(MemoryLife{ground}.text()) == found);
}

void expect_whole_or_prefix(MemoryPlatform const& machine, Expectation const& expected,
                            bool has_returned) {
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
        expect_prefix(machine.after_power_loss(seed), expected);
    }
    expect_prefix(machine.after_power_loss(), expected);
    expect_whole(machine.after_process_death(), expected, has_returned);
}

// ---- how often something is asked of the system

/// Does that operation once, with some file far from the log.
void do_once(MemoryPlatform const& machine, Operation operation) {
    auto root = machine.open_directory("/elsewhere", Access::write);
    auto file = [&] {
        auto found = root.find_file("f", Access::write);
        return found ? *std::move(found) : root.create_file("f");
    };
    std::byte byte{1};
    switch (operation) {
        case Operation::open: return;  // done already
        case Operation::create:
            root.create_file("new");
            root.remove_file("new");
            return;
        case Operation::make_directory:
            (void)root.make_directory("d");
            root.remove_directory("d");
            return;
        case Operation::allocate: return file().allocate(1, Blocks::reserved);
        case Operation::read: return (void)file().read_at(0, {&byte, 1});
        case Operation::write: return file().write_at(0, {&byte, 1});
        case Operation::punch: return file().punch(0, 1);
        case Operation::start_writeback: return file().start_writeback(0, 1);
        case Operation::sync: return file().sync();
        case Operation::map: return (void)file().map(Access::read);
        case Operation::rename: (void)file(); return root.rename("f", "f");
        case Operation::remove:
            root.create_file("new");
            root.remove_file("new");
            return;
        case Operation::list: return (void)root.list();
        case Operation::directory_sync: return root.sync();
    }
}

/// How often the work asks for that operation, found by how many more it takes until one fails.
template <class Work>
unsigned count_of(Operation operation, MemoryPlatform machine, Work const& work) {
    unsigned const many = 1'000;
    do_once(machine, Operation::read);  // makes the file
    machine.fail_next(operation, EIO, many);
    work(machine);
    unsigned left = 0;
    while (code_of([&] { do_once(machine, operation); }) == Errc::ok) ++left;
    return left < many ? many - left : 0;
}

}  // namespace

TEST_CASE("recovery that is cut off after any of its stores finds the same when it is done again") {
    for (Case const& each : cases()) {
        Expectation const expected = expectation_of(each.machine);
        MemoryPlatform const machine = each.machine.after_process_death();
        std::vector<MemoryPlatform> states;
        std::vector<MemoryPlatform> lost;
        {
            Ground ground{machine};
            MemoryPlatform::StoreHook const hook{[&](std::byte const*, std::size_t) {
                states.push_back(machine.after_process_death());
                lost.push_back(machine.after_power_loss());
                lost.push_back(machine.after_power_loss(states.size()));
            }};
            MemoryLife life{ground};
            life.append("+");
        }
        CHECK(states.size() >= 3);
        for (std::size_t i = 0; i < states.size(); ++i) {
            INFO(each.name << ", store " << i);
            expect_whole(states[i], expected, false);
        }
        for (std::size_t i = 0; i < lost.size(); ++i) {
            INFO(each.name << ", store " << i / 2 << ", then power loss " << i % 2);
            expect_prefix(lost[i], expected);
        }
    }
}

TEST_CASE("recovery in which any call to the system fails loses nothing, whoever tries again") {
    unsigned calls = 0;
    for (Case const& each : cases()) {
        Expectation const expected = expectation_of(each.machine);
        for (Operation const operation : all_operations) {
            unsigned const count =
                count_of(operation, each.machine.after_process_death(), [](auto const& machine) {
                    Ground const ground{machine};
                    MemoryLife{ground}.append("+");
                });
            for (unsigned n = 0; n < count; ++n) {
                INFO(each.name << ", operation " << static_cast<int>(operation) << ", call " << n);
                MemoryPlatform machine = each.machine.after_process_death();
                Ground const ground{machine};
                machine.fail_next(operation, EIO, n);
                bool has_returned = false;
                (void)code_of([&] {
                    MemoryLife life{ground};
                    bool const has_failed = code_of([&] { life.append("+"); }) != Errc::ok;
                    if (has_failed) life.append("+");
                    has_returned = true;
                });
                machine.clear_failures();
                expect_whole_or_prefix(machine, expected, has_returned);
                ++calls;
            }
        }
    }
    CHECK(calls > 500);
}
