// SPDX-License-Identifier: MIT
// Appending without syncs: how many records a second.
#include <algorithm>

#include "groups/groups.hpp"
#include "harness/appending.hpp"
#include "harness/machine.hpp"
#include "harness/scratch.hpp"
#include "subjects/store.hpp"

namespace bench {
namespace {

using Names = std::vector<std::string_view>;

/// What differs from one case to the next.
struct Appending {
    std::string benchmark;
    std::size_t value_bytes = 100;
    unsigned producers = 1;
    std::uint32_t partitions = 1;
    std::uint32_t batch = 1;
    Stamps stamps = Stamps::precise_clock;
    Pages ceiling_pages = Pages::populated;
    std::uint64_t bytes = gibibyte;  ///< of frames, at full size
    Names peers{};
};

[[nodiscard]] bool is_peer(Subject const& subject) {
    return subject.name != "annals" && subject.name != "ceiling" && subject.name != "supplied";
}

[[nodiscard]] double append_once(Bench& bench, Subject const& subject, Appending const& what) {
    Pool const& pool = bench.pool(what.value_bytes);
    Folder const folder{bench.unused_path()};
    Pace pace{.records = bench.scaled_bytes(what.bytes, pool),
              .producers = what.producers,
              .batch = what.batch};
    if (is_peer(subject)) pace.patience = bench.options().patience;
    bench.settle_for(pace.records, pool);
    auto const store = subject.open({.directory = folder.path() / "store",
                                     .pool = &pool,
                                     .records = pace.records,
                                     .producers = what.producers,
                                     .partitions = what.partitions,
                                     .stamps = what.stamps,
                                     .pages = what.ceiling_pages});
    return append(*store, pace).rate();
}

void compare_appends(Bench& bench, Appending const& what) {
    Names names{"ceiling", "annals"};
    names.insert(names.end(), what.peers.begin(), what.peers.end());
    Case compared{
        {{what.benchmark, "records/s"}}, {what.value_bytes, what.producers, what.batch}, {}};
    for (Subject const& subject : subjects(names)) {
        compared.contestants.push_back({std::string{subject.name}, [&bench, &what, subject] {
                                            return std::vector{append_once(bench, subject, what)};
                                        }});
    }
    bench.compare(compared);
}

Names const all_peers{"supplied", "stdio", "write", "lmdb", "leveldb", "rocksdb", "sqlite"};
constexpr std::size_t value_lengths[] = {24, 100, 1024};

}  // namespace

void append_singly(Bench& bench) {
    for (std::size_t const bytes : value_lengths) {
        compare_appends(bench, {.benchmark = "append", .value_bytes = bytes, .peers = all_peers});
    }
}

void append_batches(Bench& bench) {
    for (std::size_t const bytes : value_lengths) {
        compare_appends(
            bench,
            {.benchmark = "append_batch", .value_bytes = bytes, .batch = 100, .peers = all_peers});
    }
}

void append_given_time(Bench& bench) {
    for (std::size_t const bytes : value_lengths) {
        compare_appends(bench, {.benchmark = "append_given_time",
                                .value_bytes = bytes,
                                .stamps = Stamps::given,
                                .peers = {"supplied"}});
    }
}

void append_coarse_clock(Bench& bench) {
    for (std::size_t const bytes : value_lengths) {
        compare_appends(bench, {.benchmark = "append_coarse_clock",
                                .value_bytes = bytes,
                                .stamps = Stamps::coarse_clock});
    }
}

void append_sustained(Bench& bench) {
    // More than may be dirty: the keeper's early write-back is at work, and so is the kernel's.
    std::uint64_t const wanted = dirty_limit_bytes() + dirty_limit_bytes() / 4;
    std::uint64_t const bytes = std::min(wanted, free_bytes(bench.directory()) / 2);
    if (bytes < wanted) bench.remark("append_sustained: too little room to pass the dirty limit");
    compare_appends(bench, {.benchmark = "append_sustained",
                            .value_bytes = 100,
                            .ceiling_pages = Pages::fresh,
                            .bytes = std::max(bytes, gibibyte)});
}

void append_one_partition(Bench& bench) {
    for (unsigned const producers : {1U, 2U, 4U}) {
        compare_appends(bench, {.benchmark = "append_one_partition",
                                .producers = producers,
                                .peers = {"rocksdb", "sqlite"}});
    }
}

void append_own_partitions(Bench& bench) {
    for (unsigned const producers : {1U, 2U, 4U}) {
        compare_appends(bench, {.benchmark = "append_own_partitions",
                                .producers = producers,
                                .partitions = producers,
                                .peers = {"rocksdb", "sqlite"}});
    }
}

}  // namespace bench
