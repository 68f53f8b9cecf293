// SPDX-License-Identifier: MIT
// What records take on disk, and what an idle store takes in memory.
#include <stdexcept>

#include "groups/filled.hpp"
#include "groups/groups.hpp"
#include "harness/machine.hpp"
#include "harness/process.hpp"

namespace bench {
namespace {

/// Blocks of a closed store for each record, in the first run and all others: nothing of it is left
/// to chance.
void compare_space(Bench& bench, std::size_t value_bytes) {
    Pool const& pool = bench.pool(value_bytes);
    auto const stores = fill(bench, {"annals", "lmdb", "leveldb", "rocksdb", "sqlite"},
                             {.pool = &pool, .records = bench.scaled_bytes(gibibyte, pool)});
    Case compared{{{"space", "bytes/record", Better::less}}, {.value_bytes = value_bytes}, {}};
    compared.contestants.push_back(
        {"ceiling", [&] { return std::vector{static_cast<double>(pool.payload_bytes())}; }});
    for (auto const& store : stores) {
        compared.contestants.push_back(
            {store->name(), [&filled = *store] {
                 return std::vector{static_cast<double>(bytes_on_disk(filled.directory())) /
                                    static_cast<double>(filled.records())};
             }});
    }
    bench.compare(compared);
}

/// In a process of its own, which has one record in each partition and then does nothing.
[[nodiscard]] std::vector<double> idle_memory(Bench& bench, Subject const& subject,
                                              std::uint32_t partitions) {
    Folder const folder{bench.unused_path()};
    auto const ended =
        run_child({"idle-memory", std::string{subject.name}, (folder.path() / "store").string(),
                   std::to_string(partitions), bench.is_trial() ? "20" : "2000"});
    throw_if_interrupted();
    if (ended.exit_code != 0) throw std::runtime_error{"a child failed to measure its memory"};
    std::size_t next = 0;
    auto const resident = std::stoull(ended.output, &next);
    auto const anonymous = std::stoull(ended.output.substr(next));
    return {static_cast<double>(resident), static_cast<double>(anonymous)};
}

void compare_memory(Bench& bench, std::string const& benchmark, std::uint32_t partitions,
                    std::vector<std::string_view> const& names) {
    Case compared{
        {{benchmark, "bytes", Better::less}, {benchmark + "_anonymous", "bytes", Better::less}},
        {.value_bytes = 100},
        {}};
    for (Subject const& subject : subjects(names)) {
        compared.contestants.push_back({std::string{subject.name}, [&bench, subject, partitions] {
                                            return idle_memory(bench, subject, partitions);
                                        }});
    }
    bench.compare(compared);
}

}  // namespace

void space_on_disk(Bench& bench) {
    for (std::size_t const bytes : {std::size_t{24}, std::size_t{100}, std::size_t{1024}}) {
        compare_space(bench, bytes);
    }
}

void memory_idle(Bench& bench) {
    compare_memory(bench, "memory_idle", 1, {"annals", "lmdb", "leveldb", "rocksdb", "sqlite"});
    compare_memory(bench, "memory_idle_1000_partitions", bench.is_trial() ? 20 : 1000, {"annals"});
}

}  // namespace bench
