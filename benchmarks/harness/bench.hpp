// SPDX-License-Identifier: MIT
// What a group of benchmarks is given: where and how much to measure, and the comparison itself.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "harness/figures.hpp"
#include "harness/options.hpp"
#include "harness/pool.hpp"

namespace bench {

/// A subject doing the work of a case once: a value for each of the case's metrics.
struct Contestant {
    std::string subject;
    std::function<std::vector<double>()> run;
};

/// The same work, done by several subjects.
struct Case {
    std::vector<Metric> metrics;
    Work work;
    std::vector<Contestant> contestants;
};

/// One place's benchmarks. Figures that were taken elsewhere than in the given directory say so in
/// their names.
class Bench {
public:
    Bench(Options const& options, std::filesystem::path directory, std::string suffix,
          std::vector<Table>& tables)
        : options_{options},
          directory_{std::move(directory)},
          suffix_{std::move(suffix)},
          tables_{tables} {}

    /// Runs all contestants in turn, again and again, so that a slow stretch of the machine meets
    /// them all, and prints what came out. Throws Interrupted.
    void compare(Case const& compared);

    /// Shows on the terminal what is going on, until the next line of output.
    void progress(std::string const& what) const;
    /// Says a thing that belongs to the figures: what was left out, and why.
    void remark(std::string const& what) const;

    [[nodiscard]] Options const& options() const noexcept { return options_; }
    /// Values of one length; made once.
    [[nodiscard]] Pool const& pool(std::size_t value_bytes);
    /// So many records at full size, scaled, and a multiple of `whole`: by default whole batches of
    /// 100 for up to eight producers.
    [[nodiscard]] std::uint64_t scaled(std::uint64_t records, std::uint64_t whole = 800) const;
    /// As many records as make so many bytes of frames at full size, scaled.
    [[nodiscard]] std::uint64_t scaled_bytes(std::uint64_t bytes, Pool const& pool) const;

    /// Makes the machine ready for an append of so many records; see settle() of machine.hpp.
    void settle_for(std::uint64_t records, Pool const& pool) const;

    /// A name for a store's folder, below the directory of this run.
    [[nodiscard]] std::filesystem::path unused_path();
    [[nodiscard]] std::filesystem::path const& directory() const noexcept { return directory_; }

    /// Whether the sizes are those of a trial, not of a measurement.
    [[nodiscard]] bool is_trial() const noexcept { return options_.scale < 0.05; }

private:
    Options const& options_;
    std::filesystem::path directory_;
    std::string suffix_;
    std::vector<Table>& tables_;
    std::map<std::size_t, Pool> pools_{};
    unsigned folders_ = 0;
};

inline constexpr std::uint64_t gibibyte = std::uint64_t{1} << 30;

}  // namespace bench
