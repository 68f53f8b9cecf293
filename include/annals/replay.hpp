// SPDX-License-Identifier: MIT
// Ordered replay from any point up to any point, over one partition or all of them merged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/cursor.hpp>
#include <annals/error.hpp>
#include <annals/options.hpp>
#include <annals/record.hpp>
#include <annals/storage/topic_state.hpp>

namespace annals::inline v1 {

/// A range of records whose bounds were fixed when it was made: whatever producers do meanwhile,
/// and also after the log was closed, it gives the same records, each time it is walked. What
/// retention removes meanwhile stays, with its disk space, until the replay is gone; in a process
/// that only reads, walking throws `offset_out_of_range` there, and `closed` where the log was
/// closed and another writer has removed the records since. Copies are cheap. Each begin() is a
/// walk of its own; one thread at a time walks.
template <class K, class V, class P>
class BasicReplay {
    using State = storage::PartitionState<P>;
    using Held = typename BasicRecordReader<P>::Held;

    struct Part {
        std::shared_ptr<State> state;
        std::uint64_t from = 0;
        std::uint64_t until = 0;
        /// In the writing process what it reads stays, whatever retention removes meanwhile.
        std::shared_ptr<Held const> held{};
    };

public:
    /// For Topic::replay().
    BasicReplay(storage::TopicState<P> const& topic, ReplayOptions const& options)
        : check_{options.check} {
        bool const has_offset_bound = (options.from && options.from->is_offset()) ||
                                      (options.until && options.until->is_offset());
        if (has_offset_bound && !options.partition && topic.partitions().size() > 1) {
            detail::raise(Errc::invalid_argument,
                          "an offset counts in one partition: say which (.partition)",
                          {.path = topic.path()});
        }
        if (options.partition) {
            add_part(topic.partition(*options.partition), options);
        } else {
            for (auto const& partition : topic.partitions()) add_part(partition, options);
        }
    }

    /// Walks the records once. Yields `Record const&`, overwritten when it moves on; a copy of the
    /// record stays. Several partitions merge: each in its own order, and of the heads the smallest
    /// (timestamp, partition) goes next. Increment throws `corrupt` where a record is damaged.
    class Iterator {
    public:
        using value_type = Record<K, V>;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;

        Iterator() = default;

        [[nodiscard]] value_type const& operator*() const noexcept {
            ANNALS_ASSERT(!order_.empty());
            return heads_[order_.front()].record;
        }
        [[nodiscard]] value_type const* operator->() const noexcept { return &**this; }

        Iterator& operator++() {
            ANNALS_ASSERT(!order_.empty());
            Head& head = heads_[order_.front()];
            if (!head.advance()) {
                order_.front() = order_.back();
                order_.pop_back();
            }
            if (order_.size() > 1) sift_down(0);
            return *this;
        }
        void operator++(int) { ++*this; }

        [[nodiscard]] friend bool operator==(Iterator const& it, std::default_sentinel_t) noexcept {
            return it.order_.empty();
        }

    private:
        friend class BasicReplay;

        struct Head {
            BasicRecordReader<P> reader;
            std::uint64_t until = 0;
            value_type record{};

            [[nodiscard]] bool advance() { return reader.next(record, until); }
        };

        Iterator(std::vector<Part> const& parts, Check check) {
            heads_.reserve(parts.size());
            for (Part const& part : parts) {
                BasicRecordReader<P> reader{part.state, part.from, check, part.held};
                Head head{std::move(reader), part.until};
                if (!head.advance()) continue;
                order_.push_back(heads_.size());
                heads_.push_back(std::move(head));
            }
            for (std::size_t i = order_.size() / 2; i-- > 0;) sift_down(i);
        }

        [[nodiscard]] bool goes_before(std::size_t a, std::size_t b) const noexcept {
            Timestamp const first = heads_[a].record.timestamp();
            Timestamp const second = heads_[b].record.timestamp();
            return first != second ? first < second : a < b;
        }

        /// Restores the heap whose top is the head that goes next (J. W. J. Williams, 1964).
        void sift_down(std::size_t hole) noexcept {
            std::size_t const moved = order_[hole];
            for (;;) {
                std::size_t child = 2 * hole + 1;
                if (child >= order_.size()) break;
                if (child + 1 < order_.size() && goes_before(order_[child + 1], order_[child])) {
                    ++child;
                }
                if (!goes_before(order_[child], moved)) break;
                order_[hole] = order_[child];
                hole = child;
            }
            order_[hole] = moved;
        }

        std::vector<Head> heads_;         // by partition
        std::vector<std::size_t> order_;  // a heap of those that have a record
    };

    [[nodiscard]] Iterator begin() const { return {parts_, check_}; }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

private:
    /// Cuts the bounds to what the partition has now.
    void add_part(std::shared_ptr<State> const& state, ReplayOptions const& options) {
        std::uint64_t const end = state->end();
        std::uint64_t const beginning = state->segments().beginning();
        auto const offset_of = [&](std::optional<Bound> const& bound, std::uint64_t otherwise) {
            if (!bound) return otherwise;
            if (bound->is_offset()) return bound->offset().value();
            return state->offset_at(bound->timestamp().time_since_epoch().count(), end);
        };
        std::uint64_t const from = std::max(offset_of(options.from, beginning), beginning);
        std::uint64_t const until = std::min(offset_of(options.until, end), end);
        if (from >= until) return;
        Part part{state, from, until};
        if (state->is_writing()) {
            part.held = std::make_shared<Held>(state->segments().hold({from, until}));
            // What went between the two looks; what goes from now on is held.
            part.from = std::max(from, state->segments().beginning());
        }
        parts_.push_back(std::move(part));
    }

    std::vector<Part> parts_;
    Check check_;
};

}  // namespace annals::inline v1
