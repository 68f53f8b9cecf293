// SPDX-License-Identifier: MIT
// Replaying all records, every byte summed up: warm, cold, keys only, and merged from partitions.
#include <chrono>
#include <stdexcept>

#include "groups/filled.hpp"
#include "groups/groups.hpp"
#include "harness/machine.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;
using Names = std::vector<std::string_view>;

[[nodiscard]] double seconds(Clock::duration time) {
    return std::chrono::duration<double>(time).count();
}

/// A replay that left anything out, or handed out anything else, is no replay.
void require_all(Filled const& filled, Sink const& sink) {
    bool const is_good = sink.records() == filled.records() &&
                         sink.sum() == filled.pool().checksum(filled.records(), sink.touch());
    if (!is_good) throw std::runtime_error{filled.name() + " did not replay what it was given"};
}

/// Attached afresh, outside the clock: what attaching takes is a figure of its own.
[[nodiscard]] double replay_once(Filled const& filled, Setup const& how, Touch touch) {
    auto const store = filled.attach(how);
    Sink sink{touch};
    auto const start = Clock::now();
    store->scan(sink);
    double const took = seconds(Clock::now() - start);
    require_all(filled, sink);
    return static_cast<double>(sink.records()) / took;
}

[[nodiscard]] Setup of(Bench& bench, std::size_t value_bytes) {
    Pool const& pool = bench.pool(value_bytes);
    return {.pool = &pool, .records = bench.scaled_bytes(gibibyte, pool)};
}

void compare_replays(Bench& bench, std::string const& benchmark, std::size_t value_bytes,
                     Setup const& how, Touch touch, Names const& names) {
    auto const stores = fill(bench, names, of(bench, value_bytes));
    Case compared{{{benchmark, "records/s"}}, {.value_bytes = value_bytes}, {}};
    for (auto const& store : stores) {
        compared.contestants.push_back({store->name(), [&how, touch, &filled = *store] {
                                            return std::vector{replay_once(filled, how, touch)};
                                        }});
    }
    bench.compare(compared);
}

Names const all{"ceiling", "annals", "lmdb", "leveldb", "rocksdb", "sqlite"};
constexpr std::size_t value_lengths[] = {24, 100, 1024};

/// From before the store is opened, with nothing of it in memory.
[[nodiscard]] std::vector<double> replay_cold_once(Bench const& bench, Filled const& filled) {
    drop_cached(filled.directory(), bench.is_trial() ? Forget::files : Forget::everything);
    Sink sink;
    auto const start = Clock::now();
    auto const store = filled.attach({.reading = Reading::in_calls});
    store->scan(sink);
    auto const end = Clock::now();
    require_all(filled, sink);
    return {static_cast<double>(sink.records()) / seconds(end - start),
            seconds(sink.first() - start) * 1e6};
}

}  // namespace

void replay_warm(Bench& bench) {
    for (std::size_t const bytes : value_lengths) {
        compare_replays(bench, "replay", bytes, {}, Touch::all,
                        {"ceiling", "singly", "annals", "lmdb", "leveldb", "rocksdb", "sqlite"});
    }
}

void replay_unchecked(Bench& bench) {
    for (std::size_t const bytes : value_lengths) {
        compare_replays(bench, "replay_unchecked", bytes, {.checks = Checks::off}, Touch::all,
                        {"ceiling", "singly", "annals", "leveldb", "rocksdb"});
    }
}

void replay_keys(Bench& bench) {
    for (std::size_t const bytes : value_lengths) {
        compare_replays(bench, "replay_keys", bytes, {.checks = Checks::off}, Touch::keys, all);
    }
}

void replay_cold(Bench& bench) {
    auto const stores = fill(bench, all, of(bench, 100));
    Case compared{{{"replay_cold", "records/s"}, {"replay_cold_first", "us", Better::less}},
                  {.value_bytes = 100},
                  {}};
    for (auto const& store : stores) {
        compared.contestants.push_back({store->name(), [&bench, &filled = *store] {
                                            return replay_cold_once(bench, filled);
                                        }});
    }
    bench.compare(compared);
}

void replay_merged(Bench& bench) {
    Setup setup = of(bench, 100);
    Filled const one{bench, subject("annals"), setup};
    for (std::uint32_t const partitions : {1U, 4U, 16U, 64U}) {
        setup.partitions = partitions;
        Filled const many{bench, subject("annals"), setup};
        auto const replay = [](Filled const& filled) {
            return std::vector{replay_once(filled, {}, Touch::all)};
        };
        bench.compare(
            {{{"replay_merged_" + std::to_string(partitions), "records/s"}},
             {.value_bytes = 100},
             {{"ceiling", [&] { return replay(one); }}, {"annals", [&] { return replay(many); }}}});
    }
}

}  // namespace bench
