// SPDX-License-Identifier: MIT
// Opens damaged logs, reads them in every way, writes to them, and judges what comes of it.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "damage/allocation_cap.hpp"
#include "damage/small_log.hpp"

namespace annals::test {

/// What must never be: wrong data, records that are silently missing, an error that helps nobody.
struct Wrong : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// How often what came of it.
struct Tally {
    std::uint64_t variants = 0;
    std::uint64_t refused = 0;  ///< an error when the log or the topic was opened
    std::uint64_t told = 0;     ///< an error when the damage was reached
    std::uint64_t whole = 0;    ///< everything was there

    [[nodiscard]] std::string text() const {
        return std::to_string(variants) + " variants: " + std::to_string(refused) +
               " refused at opening, " + std::to_string(told) + " told when reached, " +
               std::to_string(whole) + " without loss";
    }
};

/// Judges one damaged log. Errors must name a file in the folder of `blamed`, or `blamed` itself.
class Judge {
public:
    using Topic = BasicTopic<std::string, std::string, MemoryPlatform>;

    Judge(Truth truth, std::string const& blamed)
        : truth_{std::move(truth)}, folder_{small_log_path + "/" + FilePath{blamed}.directory} {}

    /// Who was reading or writing when `Wrong` was thrown.
    [[nodiscard]] std::string stage() const { return std::string{stage_}; }

    /// Reads as a process beside no writer does, then as the next writer, who also sends a record
    /// to each partition and closes, then what that has left. Throws `Wrong`.
    void judge(MemoryPlatform const& machine, Tally& tally) {
        read(machine);
        write(machine);
        ++tally.variants;
        ++(was_refused_ ? tally.refused : was_told_ ? tally.told : tally.whole);
    }

    void read(MemoryPlatform const& machine) {
        opening([&] {
            MemoryLog log{small_log_path, {.read_only = true}, machine};
            if (stage_.empty()) stage_ = "beside no writer";
            read_all(log);
            read_in_other_ways(log);
        });
    }

    void write(MemoryPlatform const& machine) {
        bool is_open = false;
        opening([&] {
            MemoryLog log{small_log_path, small_log_options, machine};
            stage_ = "in the writer";
            read_all(log);
            {
                stage_ = "beside the writer";
                MemoryLog attached{small_log_path, {.read_only = true}, machine};
                read_all(attached);
            }
            stage_ = "in the writer after a send";
            send_to_each(log);
            read_all(log);
            reaching([&] { log.close(); });
            is_open = true;
        });
        if (!is_open) return;
        stage_ = "after the writer";
        read(machine);
    }

private:
    static constexpr std::uint64_t most_bytes_at_once = 512 << 10;

    template <class Work>
    void opening(Work const& work) {
        AllocationCap const cap{most_bytes_at_once};
        auto const error = error_of(work);
        if (!error) return;
        require_helpful(*error);
        was_refused_ = true;
    }

    /// False: it told of damage.
    template <class Work>
    bool reaching(Work const& work) {
        auto const error = error_of(work);
        if (!error) return true;
        require_helpful(*error);
        was_told_ = true;
        return false;
    }

    void require_helpful(Error const& error) const {
        std::string const text = error.what();
        if (error.code() != Errc::corrupt && error.code() != Errc::unsupported_format) {
            throw Wrong{"neither corrupt nor unsupported_format: " + text};
        }
        if (!error.path().starts_with(folder_)) throw Wrong{"blames another file: " + text};
        bool const is_segment = error.path().ends_with(".seg");
        if (is_segment && !error.place()) throw Wrong{"does not say where: " + text};
        if (text.find(error.path()) == std::string::npos) throw Wrong{"hides the path: " + text};
    }

    void read_all(MemoryLog& log) {
        Topic const topic = log.topic<std::string, std::string>("t");
        if (topic.partition_count() != small_log_partitions) throw Wrong{"other partitions"};
        for (std::uint32_t id = 0; id < small_log_partitions; ++id) replay_all(topic, id);
        read_positions(topic);
    }

    void read_in_other_ways(MemoryLog& log) {
        Topic const topic = log.topic<std::string, std::string>("t");
        for (std::uint32_t id = 0; id < small_log_partitions; ++id) {
            replay_unchecked(topic, id);
            seek_offsets(topic, id);
            seek_times(topic, id);
        }
        read_merged(topic);
        poll_all(topic);
    }

    [[nodiscard]] std::vector<Sent> const& sent(std::uint32_t id) const {
        return truth_.records[id];
    }

    void replay_all(Topic const& topic, std::uint32_t id) {
        std::uint64_t const begin = topic.beginning_offset(id).value();
        std::uint64_t const end = topic.end_offset(id).value();
        if (end > sent(id).size()) throw Wrong{"the log is longer than it was"};
        std::uint64_t count = begin;
        bool const is_whole = reaching([&] {
            for (auto const& record : topic.replay({.partition = id, .check = Check::always})) {
                require_same(record, id, count++);
            }
        });
        if (is_whole && count != end) {
            throw Wrong{"a replay ends at " + std::to_string(count) + " and the log at " +
                        std::to_string(end)};
        }
        bool const is_short = begin != 0 || end < truth_.durable[id];
        if (is_whole && is_short && truth_.is_certain[id]) {
            throw Wrong{"durable records are missing without a word"};
        }
    }

    /// Whatever the records say, they are those that are due.
    void replay_unchecked(Topic const& topic, std::uint32_t id) {
        std::uint64_t offset = topic.beginning_offset(id).value();
        std::uint64_t const end = topic.end_offset(id).value();
        reaching([&] {
            for (auto const& record : topic.replay({.partition = id, .check = Check::never})) {
                if (record.offset() != Offset{offset++}) throw Wrong{"a gap, or one comes twice"};
            }
            if (offset != end) throw Wrong{"without checks a replay ends elsewhere"};
        });
    }

    void seek_offsets(Topic const& topic, std::uint32_t id) {
        std::uint64_t const begin = topic.beginning_offset(id).value();
        auto cursor = topic.partition(id).cursor();
        for (std::uint64_t offset = topic.end_offset(id).value(); offset-- > begin;) {
            reaching([&] {
                cursor.seek(Offset{offset});
                auto const found = cursor.next();
                if (!found) throw Wrong{"damage looks like the end"};
                require_same(Record<std::string, std::string>{*found}, id, offset);
            });
        }
    }

    /// Bounds of time must lead where they would without damage, or tell of it.
    void seek_times(Topic const& topic, std::uint32_t id) {
        std::uint64_t const begin = topic.beginning_offset(id).value();
        std::uint64_t const end = topic.end_offset(id).value();
        for (std::uint64_t i = begin; i < end; i += 3) {
            std::int64_t const time = sent(id)[i].timestamp + static_cast<std::int64_t>(i % 2);
            std::uint64_t expected = begin;
            while (expected < end && sent(id)[expected].timestamp < time) ++expected;
            Bound const bound{Timestamp{std::chrono::nanoseconds{time}}};
            reaching([&] {
                auto const range = topic.replay({.from = bound, .partition = id});
                auto const first = range.begin();
                std::uint64_t const found = first == range.end() ? end : first->offset().value();
                if (found != expected) throw Wrong{"a time leads to another offset"};
            });
            if (expected == begin) continue;
            reaching([&] {
                std::uint64_t count = 0;
                for (auto const& record : topic.replay(
                         {.from = Offset{expected - 1}, .until = bound, .partition = id})) {
                    require_same(record, id, expected - 1 + count++);
                }
                if (count != 1) throw Wrong{"a time ends a replay elsewhere"};
            });
        }
    }

    using Offsets = std::array<std::uint64_t, small_log_partitions>;
    [[nodiscard]] static Offsets beginnings(Topic const& topic) {
        Offsets offsets{};
        for (std::uint32_t id = 0; id < small_log_partitions; ++id) {
            offsets[id] = topic.beginning_offset(id).value();
        }
        return offsets;
    }

    void read_merged(Topic const& topic) {
        auto next = beginnings(topic);
        reaching([&] {
            for (auto const& record : topic.replay()) {
                require_same(record, record.partition(), next[record.partition()]++);
            }
        });
    }

    void poll_all(Topic const& topic) {
        auto next = beginnings(topic);
        auto consumer = topic.consumer();
        bool goes_on = true;
        while (goes_on) {
            goes_on = reaching([&] {
                          auto const records = consumer.poll(std::chrono::nanoseconds{0});
                          for (auto const& record : records) {
                              require_same(record, record.partition(), next[record.partition()]++);
                          }
                          goes_on = !records.empty();
                      }) &&
                      goes_on;
        }
    }

    void read_positions(Topic const& topic) {
        reaching([&] {
            auto const consumer = topic.consumer({.group = "g"});
            for (std::uint32_t id = 0; id < small_log_partitions; ++id) {
                auto const found = consumer.committed(id);
                bool const is_same = found ? found->value() == truth_.committed[id]
                                           : !truth_.committed[id] || !truth_.is_group_certain;
                if (!is_same) throw Wrong{"other positions than were committed"};
            }
        });
    }

    void send_to_each(MemoryLog& log) {
        Topic const topic = log.topic<std::string, std::string>("t");
        auto producer = topic.producer();
        for (std::uint32_t id = 0; id < small_log_partitions; ++id) {
            reaching([&] {
                std::uint64_t const end = topic.end_offset(id).value();
                auto const sent = producer.send("new", "new", {.partition = id});
                if (sent.offset.value() != end) throw Wrong{"a new record goes elsewhere"};
                truth_.records[id].resize(end);
                truth_.records[id].push_back(
                    {"new", "new", "", sent.timestamp.time_since_epoch().count()});
                truth_.durable[id] = end + 1;  // once the log is closed
            });
        }
    }

    template <class R>
    void require_same(R const& record, std::uint32_t id, std::uint64_t offset) const {
        auto const wrong = [&](std::string const& what) {
            throw Wrong{what + " at offset " + std::to_string(offset) + " of partition " +
                        std::to_string(id)};
        };
        if (offset >= sent(id).size()) wrong("a record too many");
        Sent const& expected = sent(id)[offset];
        if (record.offset() != Offset{offset} || record.partition() != id) wrong("another record");
        if (record.has_key() != expected.key.has_value()) wrong("a key where there was none");
        if (record.has_value() != expected.value.has_value()) wrong("a value where there was none");
        if (expected.key && record.key() != *expected.key) wrong("another key");
        if (expected.value && record.value() != *expected.value) wrong("another value");
        if (record.timestamp().time_since_epoch().count() != expected.timestamp) {
            wrong("another timestamp");
        }
        std::string headers;
        record.for_each_header([&](Header const& header) {
            headers.append(header.name).append("=").append(as_text(header.value)).append(";");
        });
        if (headers != expected.headers) wrong("other headers");
    }

    Truth truth_;
    std::string folder_;
    std::string_view stage_ = "";
    bool was_refused_ = false;
    bool was_told_ = false;
};

/// Damages a copy of the machine and judges what comes of it; tells what went wrong with what.
inline void judge_damaged(MemoryPlatform const& machine, Truth const& truth,
                          Damaging const& damaging, Tally& tally) {
    MemoryPlatform const copy = machine.after_process_death();
    damaging.apply(copy);
    Judge judge{truth, damaging.file};
    try {
        judge.judge(copy, tally);
    } catch (std::exception const& wrong) {
        FAIL_CHECK(damaging.file << ", " << damaging.what << ": " << wrong.what() << ", "
                                 << judge.stage());
    }
}

}  // namespace annals::test
