// SPDX-License-Identifier: MIT
// Opening a store and knowing how many records it has: after a clean end, after kill -9 in the
// middle of appending, and after power loss (nothing cached; Annals is told to recover by the rule
// for power loss).
#include <chrono>
#include <stdexcept>

#include "groups/filled.hpp"
#include "groups/groups.hpp"
#include "harness/machine.hpp"
#include "harness/process.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t value_bytes = 1024;

[[nodiscard]] double milliseconds(Clock::duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

/// Stores of one size, and what is appended to them before each death.
struct Opening {
    Bench& bench;
    std::string size;
    std::uint64_t fresh;  ///< records appended by each process that dies
    std::uint64_t room;   ///< records, at most, after all runs
    std::vector<std::unique_ptr<Filled>> stores{};

    /// The same case for all stores.
    template <class Run>
    void compare(std::vector<Metric> metrics, Run const& run) const {
        for (Metric& metric : metrics) metric.benchmark += '_' + size;
        Case compared{std::move(metrics), {.value_bytes = value_bytes}, {}};
        for (auto const& store : stores) {
            compared.contestants.push_back(
                {store->name(), [&run, &filled = *store] { return run(filled); }});
        }
        bench.compare(compared);
    }

    /// A process that opens the store, appends and is killed. Returns how many records there are.
    std::uint64_t append_and_die(Filled const& filled) const {
        auto const ended =
            run_child({"append-and-die", filled.name(), filled.directory().string(),
                       std::to_string(value_bytes), std::to_string(fresh), std::to_string(room)});
        throw_if_interrupted();
        if (ended.exit_code != 128 + 9) throw std::runtime_error{"a child died of something else"};
        return std::stoull(ended.output);
    }

    /// Milliseconds until the store is open for appending and its end is known.
    [[nodiscard]] double time_open(Filled const& filled, std::uint64_t expected,
                                   AfterDeath after_death) const {
        auto const start = Clock::now();
        auto const store = filled.open(
            {.records = room, .durability = Durability::interval, .after_death = after_death});
        std::uint64_t const end = store->end();
        double const took = milliseconds(Clock::now() - start);
        if (end != expected) throw std::runtime_error{filled.name() + " has lost records"};
        return took;
    }
};

void time_clean(Opening const& opening) {
    opening.compare({{"open_clean", "ms", Better::less}}, [&](Filled const& filled) {
        return std::vector{opening.time_open(filled, filled.records(), AfterDeath::detect)};
    });
}

/// What the dead process left dirty is synced first, and that is reported apart.
void time_killed(Opening const& opening) {
    opening.compare(
        {{"open_killed", "ms", Better::less}, {"open_killed_sync", "ms", Better::less}},
        [&](Filled const& filled) {
            std::uint64_t const end = opening.append_and_die(filled);
            auto const start = Clock::now();
            sync_file_system(filled.directory());
            double const sync = milliseconds(Clock::now() - start);
            return std::vector{opening.time_open(filled, end, AfterDeath::detect), sync};
        });
}

void time_power_loss(Opening const& opening) {
    opening.compare(
        {{"open_power_loss", "ms", Better::less}, {"open_power_loss_read", "bytes", Better::less}},
        [&](Filled const& filled) {
            std::uint64_t const end = opening.append_and_die(filled);
            drop_cached(filled.directory(),
                        opening.bench.is_trial() ? Forget::files : Forget::everything);
            std::uint64_t const before = process_bytes_read();
            double const took = opening.time_open(filled, end, AfterDeath::power_loss);
            return std::vector{took, static_cast<double>(process_bytes_read() - before)};
        });
}

void compare_opens(Bench& bench, std::string const& size, std::uint64_t bytes,
                   std::vector<std::string_view> const& names) {
    Pool const& pool = bench.pool(value_bytes);
    std::uint64_t const records = bench.scaled_bytes(bytes, pool);
    std::uint64_t const fresh = bench.scaled_bytes(gibibyte / 4, pool);
    std::uint64_t const room = records + 2 * bench.options().runs * fresh;
    if (room * pool.frame_bytes() * 3 / 2 * names.size() > free_bytes(bench.directory())) {
        return bench.remark("open at " + size + ": left out, the file system is too small");
    }
    Opening opening{bench, size, fresh, room};
    opening.stores = fill(bench, names, {.pool = &pool, .records = records});
    time_clean(opening);
    time_killed(opening);
    time_power_loss(opening);
}

}  // namespace

void open_stores(Bench& bench) {
    compare_opens(bench, "1GiB", gibibyte, {"annals", "lmdb", "leveldb", "rocksdb", "sqlite"});
    compare_opens(bench, "10GiB", 10 * gibibyte, {"annals", "leveldb", "rocksdb"});
}

}  // namespace bench
