// SPDX-License-Identifier: MIT
// Many lives of one partition, each with random records and open claims over several segments, each
// ended by a close, a death of the process or power loss; what is kept is compared with a list.
#include <annals/storage/opening.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "catch.hpp"
#include "effort.hpp"
#include "senders.hpp"
#include "storage/lives.hpp"

using namespace annals;
using namespace annals::test;

namespace {

using Records = std::map<std::uint64_t, std::string>;  // by offset

Records read(MemoryLife const& life) {
    Records records;
    BasicRecordReader<MemoryPlatform> reader{life.partition_state(), 0, Check::always};
    for (RecordView record; reader.next(record);) {
        records.emplace(record.offset().value(), as_text(record.value()));
    }
    return records;
}

/// What a writer has done in the life under way.
struct Doings {
    Records records;            // published
    std::uint64_t end = 0;      // behind the last of them
    std::uint64_t durable = 0;  // records below it survive power loss
    bool has_open_claims = false;
    std::map<std::uint64_t, std::uint64_t> batches{};  // offset and count
};

struct RandomValues : Random {
    using Random::Random;

    std::string value() {
        std::uint64_t const size = below(4) == 0 ? below(8'000) : below(60);
        return std::string(size, static_cast<char>('a' + below(26)));
    }
};

void append_batch(MemoryLife& life, Doings& doings, RandomValues& random) {
    std::vector<std::string> values;
    for (auto left = 1 + random.below(4); left != 0; --left)
        values.push_back(random.value().substr(0, 900));
    std::uint64_t const first = life.append_batch({values.begin(), values.end()});
    doings.batches[first] = values.size();
    for (std::size_t i = 0; i < values.size(); ++i) doings.records[first + i] = values[i];
    doings.end = first + values.size();
}

void do_something(MemoryLife& life, Doings& doings, RandomValues& random) {
    std::uint64_t const count = 1 + random.below(3);
    std::uint64_t const bytes = count * 24 + 8 * random.below(900);
    switch (random.below(12)) {
        case 0:
            (void)life.leave_claimed(count, bytes);
            doings.has_open_claims = true;
            break;
        case 1:
            (void)life.leave_untouched(count, bytes);
            doings.has_open_claims = true;
            break;
        case 2: append_batch(life, doings, random); break;
        case 3:
            if (doings.has_open_claims) break;  // a flush would wait for them
            life.state().flush();
            doings.durable = doings.end;
            break;
        case 4: life.keep(); break;
        default: {
            std::string const value = random.value();
            std::uint64_t const offset = life.append(value);
            doings.records[offset] = value;
            doings.end = offset + 1;
        }
    }
    // Where a segment was rolled its seal has numbered the claims that stood open in it.
    if (auto const last = life.state().segments().last()) {
        doings.end = std::max(doings.end, last->base());
    }
}

/// After power loss, and where nothing tells how the writer died, a prefix is left, which never
/// ends inside a batch. From then on that is what was done.
void adopt_prefix(MemoryPlatform const& machine, Doings& before) {
    Ground const copy{machine.after_process_death()};
    MemoryLife const life{copy};
    Records const found = read(life);
    std::uint64_t const end = life.report().end.value();
    CHECK(end >= before.durable);
    CHECK(end <= before.end);
    Records expected = before.records;
    expected.erase(expected.lower_bound(end), expected.end());
    CHECK(found == expected);
    for (auto const& [first, count] : before.batches) {
        CHECK((end <= first || end >= first + count));
    }
    before.records = found;
    before.end = end;
}

/// As if a sync had been under way.
void leave_mark(Ground const& ground, RandomValues& random) {
    auto const ordinals = ground.files()->ordinals();
    if (ordinals.empty() || ground.control().clean) return;
    std::uint64_t const ordinal = ordinals[random.below(ordinals.size())];
    ground.patch("control", format::syncing_mark_place, format::bytes_of(ordinal));
}

}  // namespace

TEST_CASE("whatever a partition has lived through, nothing is lost that was promised") {
    unsigned const seeds = 150 * effort();
    for (unsigned seed = 0; seed < seeds; ++seed) {
        INFO("seed " << seed);
        RandomValues random{seed};
        MemoryPlatform machine = Ground{}.platform();
        Doings doings;
        for (int lives = 0; lives < 6; ++lives) {
            INFO("life " << lives);
            Ground ground{machine};
            bool const is_suspect = ground.control().syncing != 0;
            MemoryLife life{ground};
            CHECK(read(life) == doings.records);
            CHECK(life.report().end.value() == doings.end);
            doings.durable = life.state().durable();
            if (!is_suspect) CHECK(doings.durable == doings.end);
            for (auto left = random.below(40); left != 0; --left) {
                do_something(life, doings, random);
            }
            switch (random.below(doings.has_open_claims ? 4 : 5)) {
                case 0: machine = machine.after_process_death(); break;
                case 1:
                    machine = machine.after_process_death();
                    leave_mark(Ground{machine}, random);
                    break;
                case 2:
                    machine = machine.after_process_death();
                    Ground{machine}.remove("control");
                    adopt_prefix(machine, doings);
                    break;
                case 3:
                    machine = machine.after_power_loss(random.below(1'000));
                    adopt_prefix(machine, doings);
                    break;
                case 4: life.close(); break;
            }
            doings.has_open_claims = false;
            doings.batches.clear();
        }
    }
    note_figure("lives of a partition with deaths of process and machine, against a list",
                std::to_string(seeds) + " seeds of 6 lives, nothing lost that was promised");
}
