// SPDX-License-Identifier: MIT
#include "harness/bench.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "harness/machine.hpp"
#include "harness/scratch.hpp"

namespace bench {
namespace {

/// The line of progress goes before anything else is printed.
void clear_progress() {
    if (::isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r\033[K");
}

}  // namespace

void Bench::compare(Case const& compared) {
    std::vector<Table> tables(compared.metrics.size());
    for (std::size_t metric = 0; metric < tables.size(); ++metric) {
        for (Contestant const& contestant : compared.contestants) {
            Metric named = compared.metrics[metric];
            named.benchmark += suffix_;
            tables[metric].push_back({named, compared.work, contestant.subject, {}});
        }
    }
    for (unsigned run = 0; run < options_.runs; ++run) {
        for (std::size_t i = 0; i < compared.contestants.size(); ++i) {
            Contestant const& contestant = compared.contestants[i];
            throw_if_interrupted();
            progress(fmt::format(
                "{}{}, {} bytes: run {} of {}: {}", compared.metrics.front().benchmark, suffix_,
                compared.work.value_bytes, run + 1, options_.runs, contestant.subject));
            auto const values = contestant.run();
            throw_if_interrupted();
            for (std::size_t metric = 0; metric < tables.size(); ++metric) {
                tables[metric][i].values.push_back(values.at(metric));
            }
        }
    }
    clear_progress();
    for (Table& table : tables) {
        for (Figure& figure : table) std::sort(figure.values.begin(), figure.values.end());
        fmt::print("{}", as_text(table));
        tables_.push_back(std::move(table));
    }
    std::fflush(stdout);
}

void Bench::progress(std::string const& what) const {
    if (::isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r\033[K{}", what);
}

void Bench::remark(std::string const& what) const {
    clear_progress();
    fmt::print("\n{}\n", what);
}

Pool const& Bench::pool(std::size_t value_bytes) {
    return pools_.try_emplace(value_bytes, value_bytes).first->second;
}

std::uint64_t Bench::scaled(std::uint64_t records, std::uint64_t whole) const {
    auto const wanted = static_cast<std::uint64_t>(static_cast<double>(records) * options_.scale);
    return std::max<std::uint64_t>(1, (wanted + whole - 1) / whole) * whole;
}

std::uint64_t Bench::scaled_bytes(std::uint64_t bytes, Pool const& pool) const {
    return scaled(bytes / pool.frame_bytes());
}

void Bench::settle_for(std::uint64_t records, Pool const& pool) const {
    if (!is_trial()) settle(directory_, records * pool.frame_bytes() * 5 / 4);
}

std::filesystem::path Bench::unused_path() {
    return directory_ / ("store-" + std::to_string(++folders_));
}

}  // namespace bench
