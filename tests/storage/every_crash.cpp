// SPDX-License-Identifier: MIT
// A small life of a log, ended at each of its stores: by the death of the process, by power loss,
// and by a second death in the midst of the recovery from the first.
#include <annals/annals.hpp>
#include <annals/platform/memory.hpp>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "numbered.hpp"
#include "storage/lives.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;

namespace {

using BytesTopic = BasicTopic<Bytes, Bytes, MemoryPlatform>;

/// What is known about the log at some moment.
struct Journal {
    std::vector<std::string> returned{};   // by offset: what was sent, and send has returned
    std::vector<std::string> under_way{};  // what is being sent: all of it or nothing
    std::size_t durable = 0;               // so many of those that returned survive power loss
};

/// A record in words, so that two can be compared.
std::string describe(std::string_view key, std::string_view value) {
    return std::string{key} + "=" + std::string{value};
}

/// Lives on a machine, and says at each moment what it has done.
class LoggedLife {
public:
    LoggedLife(MemoryPlatform const& machine, Sync sync) : machine_{machine}, sync_{sync} {}

    [[nodiscard]] Journal const& journal() const noexcept { return journal_; }

    /// Throws nothing but what opening the log and its topic throw: a send that fails has sent
    /// nothing, but for `sync_failed`, after which it stays under way for good.
    void live() {
        MemoryLog log{"/log", small, machine_};
        auto topic = log.topic<Bytes, Bytes>("t", {.sync = sync_});
        auto producer = topic.producer();
        send(producer, "first", "x");
        for (char c = 'a'; c < 'i'; ++c) send(producer, "large", std::string(8'000, c));
        send_batch(producer, {"one", "two", "three"});
        if (sync_ == Sync::never && !annals::detail::attempt([&] { producer.flush(); })) {
            journal_.durable = journal_.returned.size();
        }
        for (char c = 'p'; c < 'w'; ++c) send(producer, "large", std::string(7'900, c));
        send_batch(producer, {"", std::string(5'000, 'm'), "last"});
        send(producer, "end", "y");
        if (annals::detail::attempt([&] { log.close(); })) return;
        journal_.durable = journal_.returned.size();
    }

private:
    template <class Producer>
    void send(Producer& producer, std::string const& key, std::string const& value) {
        try_to({describe(key, value)}, [&] { producer.send(as_bytes(key), as_bytes(value)); });
    }

    template <class Producer>
    void send_batch(Producer& producer, std::vector<std::string> const& values) {
        std::vector<Bytes> bytes;
        std::vector<std::string> records;
        for (std::string const& value : values) {
            records.push_back(describe("batch", value));
            bytes.push_back(as_bytes(value));
        }
        try_to(std::move(records), [&] { producer.send_batch(as_bytes("batch"), bytes); });
    }

    template <class Send>
    void try_to(std::vector<std::string> records, Send const& send) {
        if (is_outcome_open_) return;
        journal_.under_way = std::move(records);
        auto const error = annals::detail::attempt(send);
        is_outcome_open_ = error && error->code() == Errc::sync_failed;
        if (is_outcome_open_) return;
        auto& all = journal_.returned;
        if (!error) all.insert(all.end(), journal_.under_way.begin(), journal_.under_way.end());
        journal_.under_way.clear();
        if (sync_ == Sync::always) journal_.durable = all.size();
    }

    MemoryPlatform machine_;
    Sync sync_;
    Journal journal_;
    bool is_outcome_open_ = false;
};

std::vector<std::string> records_of(BytesTopic const& topic) {
    std::vector<std::string> records;
    for (auto const& record : topic.replay({.check = Check::always})) {
        // Of a single writer no claim is ever open before a record, so no offset is void.
        CHECK(record.offset() == Offset{records.size()});
        records.push_back(describe(as_text(record.key()), as_text(record.value())));
    }
    CHECK(topic.end_offset() == Offset{records.size()});
    return records;
}

/// What the log on that machine holds.
std::vector<std::string> records_on(MemoryPlatform const& machine) {
    MemoryLog log{"/log", small, machine};
    return log.topics().empty() ? std::vector<std::string>{}
                                : records_of(log.topic<Bytes, Bytes>("t"));
}

/// Opens the log, sends one more, and opens it again, after a death and after a clean close.
/// Returns what was found at first.
std::vector<std::string> go_on(MemoryPlatform const& machine) {
    std::vector<std::string> found;
    std::vector<std::string> longer;
    MemoryPlatform died;
    {
        MemoryLog log{"/log", small, machine};
        auto const topic = log.topic<Bytes, Bytes>("t");
        found = longer = records_of(topic);
        topic.producer().send(as_bytes("again"), as_bytes("z"));
        longer.push_back(describe("again", "z"));
        CHECK(records_of(topic) == longer);
        died = machine.after_process_death();
    }
    CHECK(records_on(died) == longer);
    MemoryLog log{"/log", small, machine};
    CHECK(log.recovery().was_clean());
    CHECK(records_of(log.topic<Bytes, Bytes>("t")) == longer);
    return found;
}

/// Calls `visit(machine, journal)` after each store of a whole life, which goes on undisturbed.
void at_each_store(Sync sync,
                   std::function<void(MemoryPlatform const&, Journal const&)> const& visit) {
    MemoryPlatform const machine;
    LoggedLife life{machine, sync};
    unsigned store = 0;
    MemoryPlatform::StoreHook const hook{[&](std::byte const*, std::size_t) {
        INFO("store " << store++);
        // What follows happens on other machines, which know of no encoding under way on this one.
        unsigned const depth = std::exchange(annals::detail::user_code_depth, 0U);
        auto const error = annals::detail::attempt([&] { visit(machine, life.journal()); });
        annals::detail::user_code_depth = depth;
        CHECK_FALSE(error);
        if (error) WARN(error->what());
    }};
    life.live();
    CHECK(store > 80);
}

void expect_nothing_lost(std::vector<std::string> const& found, Journal const& journal) {
    auto all = journal.returned;
    all.insert(all.end(), journal.under_way.begin(), journal.under_way.end());
    bool const is_whole = found == journal.returned || found == all;
    CHECK(is_whole);
}

void expect_prefix(std::vector<std::string> const& found, Journal const& journal) {
    auto all = journal.returned;
    all.insert(all.end(), journal.under_way.begin(), journal.under_way.end());
    CHECK(found.size() >= journal.durable);
    CHECK(found.size() <= all.size());
    CHECK(std::equal(found.begin(), found.end(), all.begin()));
    auto const is_in_batch = [](std::string const& record) { return record.starts_with("batch="); };
    bool const has_begun = !found.empty() && is_in_batch(found.back());
    bool const goes_on = found.size() < all.size() && is_in_batch(all[found.size()]);
    CHECK_FALSE((has_begun && goes_on));
}

}  // namespace

TEST_CASE("a process that dies after any of its stores loses nothing that send has returned") {
    Sync const sync = GENERATE(Sync::never, Sync::always);
    at_each_store(sync, [](MemoryPlatform const& machine, Journal const& journal) {
        expect_nothing_lost(go_on(machine.after_process_death()), journal);
    });
}

TEST_CASE("power loss after any store leaves a prefix with everything durable in it") {
    Sync const sync = GENERATE(Sync::never, Sync::always);
    std::uint64_t seed = 0;
    at_each_store(sync, [&](MemoryPlatform const& machine, Journal const& journal) {
        expect_prefix(go_on(machine.after_power_loss()), journal);
        for (int i = 0; i < 8; ++i) {
            expect_prefix(go_on(machine.after_power_loss(++seed)), journal);
        }
    });
}

TEST_CASE("a second death after any store of the recovery from the first loses nothing either") {
    at_each_store(Sync::never, [](MemoryPlatform const& machine, Journal const& journal) {
        MemoryPlatform const first = machine.after_process_death();
        std::vector<MemoryPlatform> second;
        {
            MemoryPlatform::StoreHook const hook{[&](std::byte const*, std::size_t) {
                second.push_back(first.after_process_death());
            }};
            MemoryLog const log{"/log", small, first};
        }
        for (MemoryPlatform const& died : second) {
            expect_nothing_lost(records_on(died), journal);
        }
    });
}

TEST_CASE("a death in the midst of the recovery from power loss leaves what that loss had left") {
    std::uint64_t seed = 0;
    at_each_store(Sync::always, [&](MemoryPlatform const& machine, Journal const& journal) {
        MemoryPlatform const first = machine.after_power_loss(++seed);
        std::vector<MemoryPlatform> second;
        {
            MemoryPlatform::StoreHook const hook{[&](std::byte const*, std::size_t) {
                second.push_back(first.after_power_loss(++seed));
                second.push_back(first.after_process_death());
            }};
            MemoryLog const log{"/log", small, first};
        }
        auto const found = records_on(first);
        expect_prefix(found, journal);
        for (MemoryPlatform const& died : second) CHECK(records_on(died) == found);
    });
}

TEST_CASE("a life in which any call to the system fails keeps what it promised") {
    Sync const sync = GENERATE(Sync::never, Sync::always);
    for (Operation const operation : all_operations) {
        for (unsigned n = 0; n < 50; ++n) {
            INFO("operation " << static_cast<int>(operation) << ", call " << n);
            MemoryPlatform machine;
            machine.fail_next(operation, n % 2 == 0 ? EIO : ENOSPC, n);
            LoggedLife life{machine, sync};
            bool const has_begun = !annals::detail::attempt([&] { life.live(); });
            machine.clear_failures();
            if (!has_begun) continue;
            expect_prefix(go_on(machine.after_power_loss()), life.journal());
            expect_prefix(go_on(machine.after_power_loss(n)), life.journal());
            expect_nothing_lost(go_on(machine.after_process_death()), life.journal());
            expect_nothing_lost(go_on(machine), life.journal());
        }
    }
}

TEST_CASE("what was promised when a call to the system had failed and was tried again holds") {
    // Each attempt is a life of its own, in one process or in two.
    auto const live = [](MemoryPlatform const& machine) {
        MemoryLog log{"/log", small, machine};
        auto topic = log.topic<Bytes, Bytes>("t", {.sync = Sync::always});
        topic.producer().send(as_bytes("k"), as_bytes("v"));
        auto consumer = topic.consumer({.group = "g"});
        (void)consumer.poll(std::chrono::nanoseconds{0});
        consumer.commit();
    };
    for (Operation const operation : all_operations) {
        for (unsigned n = 0; n < 60; ++n) {
            INFO("operation " << static_cast<int>(operation) << ", call " << n);
            bool const is_other_process = n % 2 == 1;
            MemoryPlatform machine;
            machine.fail_next(operation, EIO, n / 2);
            auto const failed = detail::attempt([&] { live(machine); });
            if (is_other_process) machine = machine.after_process_death();
            machine.clear_failures();
            live(machine);
            for (MemoryPlatform const& lost : {machine.after_power_loss(), machine}) {
                MemoryLog log{"/log", small, lost};
                REQUIRE(log.topics() == std::vector<std::string>{"t"});
                auto topic = log.topic<Bytes, Bytes>("t");
                auto const found = records_of(topic);
                CHECK(found.size() >= (failed ? 1 : 2));
                CHECK(std::all_of(found.begin(), found.end(),
                                  [](std::string const& record) { return record == "k=v"; }));
                CHECK(topic.consumer({.group = "g"}).committed(0) == Offset{found.size()});
            }
        }
    }
}
