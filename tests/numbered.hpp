// SPDX-License-Identifier: MIT
// Records that say their own offsets, in small segments: so that it is seen which of them a log
// has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <annals/annals.hpp>

#include "world.hpp"

namespace annals::test {

inline LogOptions const small{.segment_bytes = std::uint64_t{64} << 10};

/// A topic whose values are numbers: each its own offset, where nobody removes any.
template <class P>
[[nodiscard]] auto numbers_topic(BasicLog<P>& log, TopicOptions const& options = {}) {
    return log.template topic<std::string, std::int64_t>("numbers", options);
}

/// Sends the numbers from `from` up to `until` there.
template <class P>
void send_numbers(BasicLog<P>& log, std::int64_t from, std::int64_t until) {
    auto producer = numbers_topic(log).producer();
    for (std::int64_t i = from; i < until; ++i) producer.send("k", i);
}

/// Sends `number`, and between its claim and its publication, which never comes, those behind it up
/// to `until`: the machine as the process's death leaves it then.
[[nodiscard]] inline std::optional<MemoryPlatform> die_in_claim(World<MemoryPlatform> const& world,
                                                                MemoryLog& log, std::int64_t number,
                                                                std::int64_t until) {
    auto topic = numbers_topic(log);
    std::optional<MemoryPlatform> dead;
    int stores = 0;
    MemoryPlatform::StoreHook const hook{[&](std::byte const*, std::size_t) {
        if (++stores != 2) return;
        send_numbers(log, number + 1, until);
        dead = world.machine.platform.after_process_death();
    }};
    topic.producer().send("k", number);
    return dead;
}

[[nodiscard]] inline std::vector<std::int64_t> range(std::int64_t from, std::int64_t until) {
    std::vector<std::int64_t> values;
    for (std::int64_t i = from; i < until; ++i) values.push_back(i);
    return values;
}

/// Sends records of 8 KB whose values begin with their offsets: seven fill a segment.
template <class Topic>
void send(Topic const& topic, unsigned count, SendOptions const& options = {}) {
    auto producer = topic.producer();
    for (; count > 0; --count) {
        std::string const value = std::to_string(topic.end_offset().value()) + '.';
        producer.send("k", value + std::string(7'900, 'x'), options);
    }
}

template <class Record>
std::uint64_t number_of(Record const& record) {
    return std::stoull(std::string{record.value()});
}

template <class Range>
std::vector<std::uint64_t> numbers_of(Range const& range) {
    std::vector<std::uint64_t> numbers;
    for (auto const& record : range) numbers.push_back(number_of(record));
    return numbers;
}

inline std::vector<std::uint64_t> numbers(std::uint64_t from, std::uint64_t until) {
    std::vector<std::uint64_t> all;
    while (from < until) all.push_back(from++);
    return all;
}

/// How many segments there are, the spare among them.
template <class P>
std::size_t segments_in(World<P>& world) {
    std::size_t count = 0;
    for (auto const& name : names_in(world.directory("topics", "t", "0"))) {
        if (name.ends_with(".seg")) ++count;
    }
    return count;
}

}  // namespace annals::test
