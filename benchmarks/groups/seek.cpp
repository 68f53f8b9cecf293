// SPDX-License-Identifier: MIT
// Finding one record among a million and a hundred million: by its offset, by a timestamp.
#include <random>
#include <stdexcept>

#include "groups/filled.hpp"
#include "groups/groups.hpp"
#include "harness/ticks.hpp"

namespace bench {
namespace {

constexpr std::size_t value_bytes = 24;

struct Size {
    char const* name;
    std::uint64_t records;
};
constexpr Size sizes[] = {{"1M", 1'000'000}, {"100M", 100'000'000}};

using Seek = void (Store::*)(std::uint64_t, Sink&);

/// The median and the 99th percentile, in nanoseconds, of finding a record and reading all of it.
[[nodiscard]] std::vector<double> time_seeks(Filled const& filled, Seek seek, std::uint64_t count) {
    auto const store = filled.attach();
    Pool const& pool = filled.pool();
    std::mt19937_64 random{1};
    std::vector<std::uint64_t> samples;
    samples.reserve(count);
    Sink sink;
    std::uint64_t expected = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        std::uint64_t const number = random() % filled.records();
        std::uint64_t const start = ticks();
        ((*store).*seek)(number, sink);
        samples.push_back(ticks() - start);
        expected += sum_of_words(pool.payload(number % Pool::size));
    }
    if (sink.records() != count || sink.sum() != expected) {
        throw std::runtime_error{filled.name() + " found other records than were asked for"};
    }
    throw_if_interrupted();
    return {static_cast<double>(percentile(samples, 0.5)) / ticks_per_nanosecond(),
            static_cast<double>(percentile(samples, 0.99)) / ticks_per_nanosecond()};
}

void compare_seeks(Bench& bench, std::string const& benchmark, Seek seek,
                   std::vector<std::string_view> const& names) {
    for (Size const& size : sizes) {
        auto const stores = fill(bench, names,
                                 {.pool = &bench.pool(value_bytes),
                                  .records = bench.scaled(size.records),
                                  .stamps = Stamps::given});
        std::string const name = benchmark + '_' + size.name;
        Case compared{{{name + "_p50", "ns", Better::less}, {name + "_p99", "ns", Better::less}},
                      {.value_bytes = value_bytes},
                      {}};
        for (auto const& store : stores) {
            compared.contestants.push_back({store->name(), [&bench, seek, &filled = *store] {
                                                return time_seeks(filled, seek,
                                                                  bench.scaled(20'000));
                                            }});
        }
        bench.compare(compared);
    }
}

}  // namespace

void seek_offset(Bench& bench) {
    compare_seeks(bench, "seek_offset", &Store::seek, {"annals", "lmdb", "rocksdb"});
}

void seek_time(Bench& bench) { compare_seeks(bench, "seek_time", &Store::seek_stamp, {"annals"}); }

}  // namespace bench
