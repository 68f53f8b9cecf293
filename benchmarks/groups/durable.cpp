// SPDX-License-Identifier: MIT
// Appends that return once the record survives power loss: how many a second, and how many bytes
// the device writes for each.
#include "groups/groups.hpp"
#include "harness/appending.hpp"
#include "harness/machine.hpp"
#include "harness/scratch.hpp"
#include "subjects/store.hpp"

namespace bench {
namespace {

struct Appending {
    std::string benchmark;
    std::size_t value_bytes;
    unsigned producers;
    std::uint32_t batch;
    std::uint64_t records;   ///< at full size
    std::size_t look_after;  ///< these are slow: the clock is looked at more often
};

[[nodiscard]] std::vector<double> append_once(Bench& bench, Subject const& subject,
                                              Appending const& what) {
    Pace pace{.records = bench.scaled(what.records, what.producers * what.look_after),
              .producers = what.producers,
              .batch = what.batch,
              .patience = bench.options().patience,
              .look_after = what.look_after};
    if (subject.name == "ceiling" && pace.producers > 1) {
        // The most that producers can share: all of their records in one write and one sync.
        pace.batch *= pace.producers;
        pace.producers = 1;
    }
    Folder const folder{bench.unused_path()};
    auto const store = subject.open({.directory = folder.path() / "store",
                                     .pool = &bench.pool(what.value_bytes),
                                     .records = pace.records,
                                     .durability = Durability::power,
                                     .producers = pace.producers});
    // What opening has left dirty is not the appends' own.
    if (!bench.is_trial()) sync_file_system(bench.directory());
    std::uint64_t const before = device_bytes_written(bench.directory());
    Appended const appended = append(*store, pace);
    std::uint64_t const written = device_bytes_written(bench.directory()) - before;
    return {appended.rate(), static_cast<double>(written) / static_cast<double>(appended.records)};
}

void compare_durable(Bench& bench, Appending const& what) {
    Case compared{{{what.benchmark, "records/s"},
                   {what.benchmark + "_written", "bytes/record", Better::less}},
                  {what.value_bytes, what.producers, what.batch},
                  {}};
    for (Subject const& subject :
         subjects({"ceiling", "annals", "rocksdb", "leveldb", "lmdb", "sqlite"})) {
        compared.contestants.push_back({std::string{subject.name}, [&bench, &what, subject] {
                                            return append_once(bench, subject, what);
                                        }});
    }
    bench.compare(compared);
}

}  // namespace

void durable_singly(Bench& bench) {
    for (std::size_t const value_bytes : {std::size_t{24}, std::size_t{100}, std::size_t{1024}}) {
        compare_durable(bench, {"durable", value_bytes, 1, 1, 40'000, 16});
    }
}

void durable_batches(Bench& bench) {
    compare_durable(bench, {"durable_batch", 100, 1, 100, 800'000, 800});
}

void durable_together(Bench& bench) {
    compare_durable(bench, {"durable_together", 100, 8, 1, 160'000, 16});
}

}  // namespace bench
