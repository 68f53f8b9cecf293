// SPDX-License-Identifier: MIT
// The option structs, all for designated initialisers; what is left out keeps its default.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <annals/config.hpp>
#include <annals/detail/callable.hpp>
#include <annals/detail/chrono.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {

/// What a topic promises against power loss. Against the death of the process all three promise the
/// same: everything whose send() has returned is kept.
enum class Sync : std::uint8_t {
    never = 0,     ///< the kernel writes when it likes; flush() is the barrier
    interval = 1,  ///< power loss takes at most the last `sync_interval`
    always =
        2,  ///< send() returns once the record is on the disk; concurrent senders share one sync
};

/// Where the timestamps come from that the sender did not give.
enum class Clock : std::uint8_t {
    precise = 0,  ///< the system clock, read for each record
    coarse = 1,   ///< the system clock's last tick: some milliseconds behind, and cheaper to read
};

/// Where a consumer starts in a partition that has no committed position.
enum class Start : std::uint8_t { earliest, latest };

/// Which records a replay checks against damage before it hands them out.
enum class Check : std::uint8_t {
    first_read,  ///< those that this process has not verified yet
    always,
    /// None: a damaged record may be handed out as it lies there, with a key, value, header or time
    /// that nobody sent. Which offset it has and how long it is are checked all the same, so no
    /// record is left out or comes twice, and nothing outside of the file is read.
    never,
};

/// Which rule recovery follows for a log whose writer did not close it.
enum class AfterDeath : std::uint8_t {
    detect,         ///< what the boot id and the files' identity say
    process_death,  ///< the page cache is whole: every record whose send() returned is there
    power_loss,     ///< pages reached the disk in any order: the longest good prefix counts
};

/// Something that happened behind the caller's back, in words for the operator.
struct Event {
    enum class Kind : std::uint8_t { sync_error, damage, allocation_error, notice };
    Kind kind = Kind::notice;
    std::string message;
    std::string path;
};

/// Told about events: `void(Event const&)`. Copies share it. Called from the keeper's threads, or
/// the one that opens the log, one call at a time; calls into a log from inside it throw
/// `invalid_argument`, and what it throws is swallowed.
using EventHandler = detail::Callable<void(Event const&)>;

/// Chooses a record's partition: `std::uint32_t(std::optional<Bytes> key, std::uint32_t count)`,
/// below count. Called from any thread that sends.
using Partitioner = detail::Callable<std::uint32_t(std::optional<Bytes>, std::uint32_t)>;

/// How a log is opened.
struct LogOptions {
    /// Attach without the lock and without writing a byte, beside a living writer or without one.
    bool read_only = false;
    /// The size that segments grow to: a power of two from 64 KiB to 1 GiB.
    std::uint64_t segment_bytes = std::uint64_t{128} << 20;
    /// How long to wait for another writer to let go of the log.
    std::chrono::nanoseconds lock_timeout{0};
    /// Two background threads: one follows the senders, makes pages ready ahead of them, indexes
    /// behind them and wakes readers of other processes; one waits for the disk, and makes segments
    /// in advance, syncs at intervals, removes what is old. Without them the calling threads do
    /// that work.
    bool keeper = true;
    AfterDeath after_death = AfterDeath::detect;
    /// Told what the keeper finds; without a handler the next call that an error concerns throws
    /// it.
    EventHandler on_event{};
};

/// As retention_bytes or retention_records: no limit, also where one was stored.
inline constexpr std::uint64_t unlimited = ~std::uint64_t{0};

/// How a topic is created or opened. What is left out is taken as stored with the topic; a new
/// topic gets one partition, `Sync::interval` of one second, and keeps its records for ever. What
/// is given is stored, and holds for all handles.
///
/// Retention counts in each partition by itself and removes whole segments, the oldest first,
/// within seconds of their being due. The newest segment's file stays.
struct TopicOptions {
    std::optional<std::uint32_t> partitions{};  ///< fixed when the topic is created: 1 to 65,536
    std::optional<Sync> sync{};
    std::optional<std::chrono::nanoseconds> sync_interval{};
    std::optional<Clock> clock{};
    /// A segment goes when its youngest record is older than this, by the system clock and the
    /// records' timestamps; where those lie in the future, by the time when the segment was ended.
    /// nanoseconds::max(): no limit.
    std::optional<std::chrono::nanoseconds> retention_age{};
    /// The oldest segments go while a partition's files take more than this. `unlimited`: no limit.
    std::optional<std::uint64_t> retention_bytes{};
    /// The oldest segments go as long as so many records remain. `unlimited`: no limit.
    std::optional<std::uint64_t> retention_records{};
    /// A segment that holds records is ended when it is so old, full or not, so that its records
    /// can go. Default: a quarter of retention_age; so no record gets much older than five quarters
    /// of that. nanoseconds::max(): only when it is full.
    std::optional<std::chrono::nanoseconds> segment_age{};
};

/// What may be said about one record or batch besides key and value. Everything is borrowed for the
/// call only.
struct SendOptions {
    std::optional<Timestamp> timestamp{};  ///< default: now
    std::span<Header const> headers{};
    std::optional<std::uint32_t>
        partition{};  ///< default: by the key, or any where there is no key
};

/// How a producer is made.
struct ProducerOptions {
    /// Default: keys as Kafka's Java client does it; records without a key stay with one partition
    /// for a while, then go to the next.
    Partitioner partitioner{};
};

/// A place in time or in a partition where a replay begins or ends.
class Bound {
public:
    constexpr Bound(Offset offset) noexcept : kind_{Kind::offset}, offset_{offset} {}  // NOLINT

    /// Any system-clock time; times that nanoseconds since 1970 cannot say (before 1677, after
    /// 2262) are cut to those that they can.
    template <class Duration>
    constexpr Bound(std::chrono::sys_time<Duration> time) noexcept  // NOLINT
        : kind_{Kind::timestamp}, timestamp_{clamp(time)} {}

    [[nodiscard]] constexpr bool is_offset() const noexcept { return kind_ == Kind::offset; }
    [[nodiscard]] constexpr Offset offset() const noexcept { return offset_; }
    [[nodiscard]] constexpr Timestamp timestamp() const noexcept { return timestamp_; }

private:
    enum class Kind : std::uint8_t { offset, timestamp };

    template <class Duration>
    static constexpr Timestamp clamp(std::chrono::sys_time<Duration> time) noexcept {
        using std::chrono::nanoseconds;
        using Seconds = std::chrono::duration<long double>;
        Seconds const seconds = time.time_since_epoch();
        if (seconds >= Seconds{nanoseconds::max()}) return Timestamp::max();
        if (seconds <= Seconds{nanoseconds::min()}) return Timestamp::min();
        return std::chrono::ceil<nanoseconds>(time);
    }

    Kind kind_;
    Offset offset_{};
    Timestamp timestamp_{};
};

/// What a replay covers: [from, until). Bounds outside the log are cut to it; an inverted range is
/// empty.
struct ReplayOptions {
    std::optional<Bound> from{};               ///< default: the beginning
    std::optional<Bound> until{};              ///< default: the end when replay() is called
    std::optional<std::uint32_t> partition{};  ///< default: all, merged by timestamp
    Check check = Check::first_read;
};

/// How a consumer is made. Without a group nothing can be committed.
struct ConsumerOptions {
    std::string group{};
    Start start = Start::earliest;
};

}  // namespace annals::inline v1
