// SPDX-License-Identifier: MIT
// annals_bench: what Annals costs, beside the machine's limit and what a user would pick instead,
// in one run. --help says how to run it; README.md beside this file how each figure is made.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>

#include "groups/groups.hpp"
#include "harness/bench.hpp"
#include "harness/child.hpp"
#include "harness/journal.hpp"
#include "harness/machine.hpp"
#include "harness/scratch.hpp"
#include "subjects/store.hpp"

namespace bench {
namespace {

enum class Places { given, given_and_journal };

struct Benchmark {
    char const* name;
    void (*run)(Bench&);
    Places places;
    char const* what;
};

constexpr Benchmark benchmarks[] = {
    {"append", &append_singly, Places::given, "one producer, one record a call"},
    {"append_batch", &append_batches, Places::given, "one producer, batches of 100"},
    {"append_given_time", &append_given_time, Places::given, "no clock is read"},
    {"append_coarse_clock", &append_coarse_clock, Places::given, "a cheap clock is read"},
    {"append_sustained", &append_sustained, Places::given, "more than may be dirty"},
    {"append_one_partition", &append_one_partition, Places::given, "1, 2, 4 producers share it"},
    {"append_own_partitions", &append_own_partitions, Places::given, "1, 2, 4 have one each"},
    {"latency_flat_out", &latency_flat_out, Places::given, "one append behind the other"},
    {"latency_fixed_rate", &latency_fixed_rate, Places::given, "100,000 a second, from when due"},
    {"durable", &durable_singly, Places::given_and_journal, "each record synced"},
    {"durable_batch", &durable_batches, Places::given_and_journal, "each batch of 100 synced"},
    {"durable_together", &durable_together, Places::given_and_journal, "8 producers share syncs"},
    {"replay", &replay_warm, Places::given, "all records, checked"},
    {"replay_unchecked", &replay_unchecked, Places::given, "all records, unchecked"},
    {"replay_keys", &replay_keys, Places::given, "the keys alone, unchecked"},
    {"replay_cold", &replay_cold, Places::given, "nothing cached: the first record, and all"},
    {"replay_merged", &replay_merged, Places::given, "1, 4, 16, 64 partitions merged by time"},
    {"hand_over_sleeping", &hand_over_sleeping, Places::given, "send to a sleeping consumer"},
    {"hand_over_spinning", &hand_over_spinning, Places::given, "send to a spinning consumer"},
    {"seek_offset", &seek_offset, Places::given, "one of 1 M and of 100 M records"},
    {"seek_time", &seek_time, Places::given, "the same by timestamp"},
    {"open", &open_stores, Places::given, "clean, killed, power lost; 1 GiB and 10 GiB"},
    {"space", &space_on_disk, Places::given, "bytes on disk for each record"},
    {"memory", &memory_idle, Places::given, "an idle log, and one with 1,000 partitions"},
};

[[nodiscard]] bool is_chosen(Options const& options, Benchmark const& benchmark) {
    auto const& only = options.only;
    return only.empty() || std::find(only.begin(), only.end(), benchmark.name) != only.end();
}

void require_known(std::vector<std::string> const& names) {
    for (std::string const& name : names) {
        bool const is_known = std::any_of(std::begin(benchmarks), std::end(benchmarks),
                                          [&](Benchmark const& each) { return each.name == name; });
        if (!is_known) throw std::invalid_argument{"no benchmark is named " + name};
    }
}

void list() {
    for (Benchmark const& each : benchmarks) fmt::print("{:<22} {}\n", each.name, each.what);
}

[[nodiscard]] std::string describe_run(Options const& options, Folder const& folder) {
    return fmt::format(
        "{}subjects: {}\n{} runs of each, interleaved; scale {:.3g}; in {}\n"
        "of ceiling: how good beside the ceiling. annals is: so many times as good as this one\n",
        describe_machine(folder.path()), subject_names(), options.runs, options.scale,
        std::filesystem::absolute(folder.path()).lexically_normal().string());
}

void run_in(Bench bench, Options const& options, Places places) {
    for (Benchmark const& benchmark : benchmarks) {
        bool const is_here = places == Places::given || benchmark.places == places;
        if (is_here && is_chosen(options, benchmark)) benchmark.run(bench);
    }
}

void run_on_journal(Options const& options, Folder const& folder, std::vector<Table>& tables) {
    bool const is_wanted =
        std::any_of(std::begin(benchmarks), std::end(benchmarks), [&](Benchmark const& each) {
            return each.places == Places::given_and_journal && is_chosen(options, each);
        });
    if (!is_wanted || options.journal == Options::Journal::never) return;
    std::string why_not;
    auto const mount = JournalMount::make(folder.path(), gibibyte * 3 / 4, why_not);
    if (mount == nullptr) return fmt::print("\nno loop-mounted ext4 with a journal: {}\n", why_not);
    fmt::print("\non a loop-mounted file system: {}", describe_machine(mount->path()));
    run_in({options, mount->path(), "_on_journal", tables}, options, Places::given_and_journal);
}

void write_file(std::filesystem::path const& path, std::string const& text) {
    if (path.empty()) return;
    std::ofstream out{path, std::ios::binary};
    out << text;
    if (!out.flush()) throw std::runtime_error{"cannot write " + path.string()};
}

void run(Options const& options) {
    catch_interruptions();
    Folder const folder{Folder::unused_name(options.directory)};
    std::string const description = describe_run(options, folder);
    fmt::print("{}", description);
    std::fflush(stdout);

    std::vector<Table> tables;
    run_in({options, folder.path(), "", tables}, options, Places::given);
    run_on_journal(options, folder, tables);

    std::string markdown = "```text\n" + description + "```\n";
    for (Table const& table : tables) markdown += as_markdown(table);
    write_file(options.markdown, markdown);
    write_file(options.json, as_json(tables));
    fmt::print("\nran in {}, which is removed\n", folder.path().string());
}

[[nodiscard]] int run_main(std::span<char const* const> arguments) {
    if (!arguments.empty() && std::string_view{arguments[0]} == "--child") {
        return be_child(arguments.subspan(1));
    }
    Options const options = parse_options(arguments);
    require_known(options.only);
    switch (options.action) {
        case Options::Action::help: fmt::print("{}", usage()); break;
        case Options::Action::list: list(); break;
        case Options::Action::run: run(options); break;
    }
    return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    try {
        return bench::run_main({argv + 1, static_cast<std::size_t>(argc - 1)});
    } catch (bench::Interrupted const&) {
        fmt::print(stderr, "\nannals_bench: interrupted; everything is removed\n");
        return 130;
    } catch (std::invalid_argument const& error) {
        fmt::print(stderr, "annals_bench: {}\n{}", error.what(), bench::usage());
        return 2;
    } catch (std::exception const& error) {
        fmt::print(stderr, "\nannals_bench: {}\n", error.what());
        return 1;
    }
}
