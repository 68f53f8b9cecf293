// SPDX-License-Identifier: MIT
// Consuming a topic: polled records, positions, commits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/cursor.hpp>
#include <annals/detail/chrono.hpp>
#include <annals/error.hpp>
#include <annals/options.hpp>
#include <annals/record.hpp>
#include <annals/storage/topic_state.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {

/// What one poll returned, in order within each partition. The records pin what they show.
template <class K, class V>
class Records {
public:
    using value_type = Record<K, V>;
    using const_iterator = typename std::vector<value_type>::const_iterator;

    [[nodiscard]] bool empty() const noexcept { return records_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return records_.size(); }
    [[nodiscard]] const_iterator begin() const noexcept { return records_.begin(); }
    [[nodiscard]] const_iterator end() const noexcept { return records_.end(); }
    [[nodiscard]] value_type const& operator[](std::size_t i) const noexcept {
        ANNALS_ASSERT(i < size());
        return records_[i];
    }

private:
    template <class, class, class>
    friend class BasicConsumer;

    std::vector<value_type> records_;
};

/// Reads a topic and remembers, with a group, how far it has come. One thread at a time, but for
/// wakeup(). It may outlive the log: what was published stays readable, commit() throws `closed`.
template <class K, class V, class P>
class BasicConsumer {
public:
    /// For Topic::consumer().
    BasicConsumer(std::shared_ptr<storage::TopicState<P>> topic, ConsumerOptions const& options)
        : shared_{std::make_shared<Shared>(std::move(topic), options.group)} {
        if (!options.group.empty()) positions_.emplace(this->topic().positions(options.group));
        for (auto const& state : this->topic().partitions()) {
            parts_.push_back(first_part(state, options.start));
        }
    }
    BasicConsumer(BasicConsumer&&) noexcept = default;
    BasicConsumer& operator=(BasicConsumer&&) noexcept = default;

    /// Looks at least once, returns as soon as there is a record, with what is there up to `max`,
    /// and sleeps otherwise, until the time is over (then empty) or wakeup(); nanoseconds::max()
    /// waits for ever. Throws `closed` where it would wait for a log that was closed;
    /// `log_truncated` or `offset_out_of_range` where a position is not in the log, until a seek;
    /// `corrupt` where a record is damaged.
    [[nodiscard]] Records<K, V> poll(std::chrono::nanoseconds timeout, std::size_t max = 500) {
        ANNALS_ASSERT(topic().process().is_this());  // a log does not go into a forked child
        detail::require_outside_user_code();
        for (auto const& partition : topic().partitions()) partition->sync_where_due();
        P const& platform = topic().platform();
        auto const start = platform.steady_now();
        bool const is_endless = timeout == std::chrono::nanoseconds::max();
        Records<K, V> records;
        looks_in_vain_ = 0;
        for (;;) {
            bool const is_woken = shared().is_woken.exchange(false, std::memory_order_seq_cst);
            collect(records.records_, max);
            if (!records.empty() || max == 0 || is_woken) return records;
            auto const passed = platform.steady_now() - start;
            if (!is_endless && passed >= timeout) return records;
            sleep(is_endless ? timeout : timeout - passed);
        }
    }

    /// Ends the poll() that is under way, or else the next one, with what it has. From any thread.
    void wakeup() noexcept {
        shared().is_woken.store(true, std::memory_order_seq_cst);
        topic().readers().notify();
    }

    /// The offset that is read next.
    [[nodiscard]] Offset position(std::uint32_t partition) const {
        return Offset{part(partition).reader.offset()};
    }

    /// The next offset that the group would read; nullopt: nothing was committed.
    [[nodiscard]] std::optional<Offset> committed(std::uint32_t partition) const {
        (void)topic().partition(partition);
        if (!positions_ || !(*positions_)[partition].is_committed()) return std::nullopt;
        return Offset{(*positions_)[partition].offset};
    }

    /// How many offsets lie between the positions and the ends of all partitions.
    [[nodiscard]] std::uint64_t lag() const {
        std::uint64_t sum = 0;
        for (Part const& part : parts_) {
            std::uint64_t const end = part.reader.state().end();
            sum += end - std::min(end, part.reader.offset());
        }
        return sum;
    }

    /// Commits all that was polled, in every partition. It survives the process at once, and power
    /// loss when it has returned. Throws, with nothing committed: `invalid_argument` without a
    /// group, `read_only`, `closed`, `no_space`; `sync_failed`: where the disk then also refuses to
    /// take it back, whoever opens the log next may find it committed all the same.
    void commit() {
        auto changed = committable();
        for (std::uint32_t id = 0; id < parts_.size(); ++id) {
            if (parts_[id].is_stale) continue;  // it would seem to belong to what came instead
            changed[id] = position_at(id, parts_[id].reader.offset());
        }
        topic().commit(*positions_, std::move(changed));
    }

    /// Commits the record and what is before it in its partition.
    void commit(RecordView const& record) {
        auto changed = committable();
        (void)topic().partition(record.partition());
        changed[record.partition()] = position_at(record.partition(), record.offset().value() + 1);
        topic().commit(*positions_, std::move(changed));
    }

    /// Goes to any offset of one partition. Beyond the end poll() throws `log_truncated`.
    void seek(std::uint32_t partition, Offset offset) { move(part(partition), offset.value()); }

    /// In every partition to the first record whose timestamp is at least `time`, or the end.
    template <class Duration>
    void seek(std::chrono::sys_time<Duration> time) {
        auto const stamp = Bound{time}.timestamp().time_since_epoch().count();
        move_all([&](auto& state) { return state.offset_at(stamp, state.end()); });
    }

    void seek_to_beginning() {
        move_all([](auto& state) { return state.beginning(); });
    }

    void seek_to_end() {
        move_all([](auto& state) { return state.end(); });
    }

private:
    struct Part {
        BasicRecordReader<P> reader;
        /// The position belongs to records that power loss has taken.
        bool is_stale = false;
    };

    /// What wakeup() reaches from other threads, and what the consumer gives back at its end.
    struct Shared {
        Shared(std::shared_ptr<storage::TopicState<P>> of, std::string const& name)
            : topic{std::move(of)}, group{name} {
            if (!group.empty() && topic->is_writing() && !topic->live_groups().enter(group)) {
                detail::raise(Errc::group_in_use, "the group has a live consumer: " + group,
                              {.path = topic->path()});
            }
        }
        Shared(Shared const&) = delete;
        Shared& operator=(Shared const&) = delete;
        ~Shared() {
            if (group.empty() || !topic->is_writing()) return;
            if (!topic->process().is_this())
                return;  // a forked child: who had the lock is not here
            topic->live_groups().leave(group);
        }

        std::shared_ptr<storage::TopicState<P>> topic;
        std::string group;
        typename P::template Atomic<bool> is_woken{false};
    };

    [[nodiscard]] Shared& shared() const noexcept {
        ANNALS_ASSERT(shared_ != nullptr);  // moved from
        return *shared_;
    }
    [[nodiscard]] storage::TopicState<P>& topic() const noexcept { return *shared().topic; }

    [[nodiscard]] Part const& part(std::uint32_t id) const {
        (void)topic().partition(id);
        return parts_[id];
    }
    [[nodiscard]] Part& part(std::uint32_t id) {
        return const_cast<Part&>(std::as_const(*this).part(id));
    }

    static void move(Part& part, std::uint64_t offset) {
        part.reader.seek(offset);
        part.is_stale = false;
    }

    /// Moves every partition, or none where one of the offsets cannot be found.
    template <class Find>
    void move_all(Find const& find) {
        std::vector<std::uint64_t> offsets;
        for (Part& part : parts_) offsets.push_back(find(part.reader.state()));
        for (std::size_t i = 0; i < parts_.size(); ++i) move(parts_[i], offsets[i]);
    }

    [[nodiscard]] Part first_part(std::shared_ptr<storage::PartitionState<P>> const& state,
                                  Start start) const {
        std::uint64_t const end = state->end();
        std::uint64_t from = start == Start::latest ? end : state->beginning();
        bool is_stale = false;
        if (positions_ && (*positions_)[state->partition()].is_committed()) {
            format::Position const& committed = (*positions_)[state->partition()];
            from = committed.offset;
            is_stale = from > end || was_replaced(*state, committed);
        }
        return {BasicRecordReader<P>{state, from, Check::first_read}, is_stale};
    }

    /// Whether an epoch after the committed one began below the committed offset: then the records
    /// before it were lost, and others have their offsets.
    [[nodiscard]] static bool was_replaced(storage::PartitionState<P> const& state,
                                           format::Position const& committed) {
        for (format::Epoch const& epoch : state.epochs()) {
            bool const came_later = epoch.number > committed.epoch;
            if (came_later && epoch.first_offset < committed.offset) return true;
        }
        return false;
    }

    [[nodiscard]] std::vector<format::Position> committable() const {
        if (!positions_) {
            detail::raise(Errc::invalid_argument, "a consumer without a group commits nothing",
                          {.path = topic().path()});
        }
        for (auto const& partition : topic().partitions()) {
            (void)partition->writer();  // throws where it is read only; damage stops no commit
            partition->sync_where_due();
        }
        return positions_->all();
    }

    [[nodiscard]] format::Position position_at(std::uint32_t id, std::uint64_t offset) const {
        auto const& state = *topic().partitions()[id];
        return {.offset = offset, .epoch = state.epoch_of(offset == 0 ? 0 : offset - 1)};
    }

    /// Takes what is published, partition after partition, each poll beginning with the next.
    void collect(std::vector<Record<K, V>>& records, std::size_t max) {
        std::size_t const count = parts_.size();
        for (std::size_t i = 0; i < count && records.size() < max; ++i) {
            Part& part = parts_[(first_ + i) % count];
            auto const error = detail::attempt([&] {
                require_in_log(part);
                Record<K, V> record;
                while (records.size() < max) {
                    make_room(records, max);
                    if (!take(part, record)) break;
                    records.push_back(record);
                }
            });
            if (!error) continue;
            // What was taken is handed out first; the next poll begins with the error.
            first_ = (first_ + i) % count;
            if (records.empty()) detail::raise_again(*error);
            return;
        }
        if (count != 0) first_ = (first_ + 1) % count;
    }

    /// Before a record is taken: where there is no memory for it, it must still be the next.
    static void make_room(std::vector<Record<K, V>>& records, std::size_t max) {
        if (records.size() < records.capacity()) return;
        records.reserve(std::min(max, std::max<std::size_t>(16, 2 * records.size())));
    }

    /// The next record. Another process's log is looked at anew before it counts as read to its
    /// end.
    [[nodiscard]] bool take(Part& part, Record<K, V>& record) {
        if (part.reader.next(record)) return true;
        if (topic().is_writing()) return false;
        part.reader.state().refresh();
        return part.reader.next(record);
    }

    void require_in_log(Part& part) const {
        auto& state = part.reader.state();
        if (!part.is_stale) part.reader.require_in_log();
        if (!part.is_stale && part.reader.offset() <= state.claimed_end()) return;
        std::uint64_t const end = state.end();
        if (!part.is_stale && part.reader.offset() <= end) return;
        detail::raise(Errc::log_truncated,
                      "position " + std::to_string(part.reader.offset()) + " of partition " +
                          std::to_string(state.partition()) +
                          " belongs to records that the log lost or never had",
                      {.path = state.files().path(),
                       .partition = state.partition(),
                       .valid_range = OffsetRange{state.beginning(), end}});
    }

    /// Whether a claim stands that will soon be there to read.
    [[nodiscard]] bool is_something_coming() const {
        for (Part const& part : parts_) {
            if (part.reader.state().claimed_end() > part.reader.offset()) return true;
        }
        return false;
    }

    /// Sleeps until something is published, at most for `timeout`.
    void sleep(std::chrono::nanoseconds timeout) {
        auto const& signal = topic().readers();
        P const& platform = topic().platform();
        if (!topic().is_writing()) return sleep_beside_writer(timeout);
        typename storage::Signal<P>::Sleeper const announced{signal};
        WaitWord const ticket = signal.ticket();
        if (shared().is_woken.load(std::memory_order_seq_cst)) return;
        if (is_something_coming()) return platform.relax(looks_in_vain_++);
        require_open();
        looks_in_vain_ = 0;
        signal.sleep(ticket, timeout);
    }

    /// Nothing will come any more: waiting for it would be for ever.
    void require_open() const {
        for (auto const& partition : topic().partitions()) {
            if (!partition->is_closed()) return;
        }
        detail::raise(Errc::closed, "the log was closed", {.path = topic().path()});
    }

    /// In a process that only reads: the writer's keeper wakes words in the files themselves. Where
    /// none runs, looking every few milliseconds must do.
    void sleep_beside_writer(std::chrono::nanoseconds timeout) {
        constexpr std::chrono::nanoseconds longest{std::chrono::milliseconds{5}};
        std::vector<typename storage::Segment<P>::Pin> pins(parts_.size());
        std::vector<WaitWord> words{topic().readers().ticket()};
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            auto& state = parts_[i].reader.state();
            if (auto const word = state.wait_word(pins[i])) words.push_back(*word);
            state.refresh();
        }
        if (shared().is_woken.load(std::memory_order_seq_cst)) return;
        // What was looked at once more and cannot be read yet is waited for as well.
        if (is_something_coming() && looks_in_vain_++ == 0) return;
        require_open();
        looks_in_vain_ = 0;
        topic().platform().wait(words, P::has_threads ? std::min(timeout, longest) : timeout);
    }

    std::shared_ptr<Shared> shared_;
    std::optional<storage::Positions<P>> positions_;
    std::vector<Part> parts_;
    std::size_t first_ = 0;
    unsigned looks_in_vain_ = 0;  ///< at what is coming, one after the other
};

}  // namespace annals::inline v1
