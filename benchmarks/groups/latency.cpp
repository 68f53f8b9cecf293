// SPDX-License-Identifier: MIT
// How long one append takes, in percentiles: flat out, and at a fixed rate from the moment when
// the append was due, so that what waits behind a slow one counts as slow too.
#include "groups/groups.hpp"
#include "harness/scratch.hpp"
#include "harness/ticks.hpp"
#include "subjects/store.hpp"

namespace bench {
namespace {

constexpr std::size_t value_bytes = 100;
constexpr double appends_a_second = 100'000;
constexpr std::uint64_t look_after = 800;

struct Quantile {
    char const* name;
    double share;
};
constexpr Quantile quantiles[] = {
    {"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}, {"max", 1}};

enum class Schedule { flat_out, fixed_rate };

/// In ticks. Each call's end is the next one's beginning, so the clock is read once for each.
[[nodiscard]] std::vector<std::uint64_t> time_appends(Appender& appender, Schedule schedule,
                                                      std::uint64_t records,
                                                      std::chrono::duration<double> patience) {
    std::vector<std::uint64_t> samples(records);  // written here, so that its pages are there
    double const second = ticks_per_nanosecond() * 1e9;
    auto const period = static_cast<std::uint64_t>(second / appends_a_second);
    std::uint64_t const start = ticks();
    auto const give_up = start + static_cast<std::uint64_t>(second * patience.count());
    std::uint64_t now = start;
    for (std::uint64_t i = 0; i < records; ++i) {
        std::uint64_t begin = now;
        if (schedule == Schedule::fixed_rate) {
            begin = start + i * period;
            while (now < begin) now = ticks();
        }
        appender.append({i % Pool::size, 1}, 1);
        now = ticks();
        samples[i] = now - begin;
        if (i % look_after == 0 && (now > give_up || is_interrupted())) {
            samples.resize(i + 1);
            break;
        }
    }
    appender.finish();
    throw_if_interrupted();
    return samples;
}

[[nodiscard]] std::vector<double> latencies(Bench& bench, Subject const& subject, Schedule schedule,
                                            std::uint64_t records) {
    Folder const folder{bench.unused_path()};
    Pool const& pool = bench.pool(value_bytes);
    bench.settle_for(records, pool);
    auto const store = subject.open({.directory = folder.path() / "store",
                                     .pool = &pool,
                                     .records = records,
                                     .durability = Durability::process});
    auto const appender = store->appender(0);
    auto const patience = subject.name == "annals" || subject.name == "ceiling"
                              ? std::chrono::duration<double>{3600}
                              : 2 * bench.options().patience;
    auto samples = time_appends(*appender, schedule, records, patience);
    std::vector<double> values;
    for (Quantile const& each : quantiles) {
        values.push_back(static_cast<double>(percentile(samples, each.share)) /
                         ticks_per_nanosecond());
    }
    return values;
}

void compare_latencies(Bench& bench, std::string const& benchmark, Schedule schedule,
                       std::uint64_t records) {
    Case compared{{}, {.value_bytes = value_bytes}, {}};
    for (Quantile const& each : quantiles) {
        compared.metrics.push_back({benchmark + '_' + each.name, "ns", Better::less});
    }
    for (Subject const& subject : subjects({"ceiling", "annals", "rocksdb"})) {
        compared.contestants.push_back(
            {std::string{subject.name}, [&bench, schedule, records, subject] {
                 return latencies(bench, subject, schedule, records);
             }});
    }
    bench.compare(compared);
}

}  // namespace

void latency_flat_out(Bench& bench) {
    compare_latencies(bench, "latency_flat_out", Schedule::flat_out,
                      bench.scaled_bytes(gibibyte, bench.pool(value_bytes)));
}

void latency_fixed_rate(Bench& bench) {
    compare_latencies(bench, "latency_fixed_rate", Schedule::fixed_rate,
                      bench.scaled(static_cast<std::uint64_t>(10 * appends_a_second)));
}

}  // namespace bench
