// SPDX-License-Identifier: MIT
// The layer below the types: a partition takes bytes and gives bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include <annals/config.hpp>
#include <annals/cursor.hpp>
#include <annals/error.hpp>
#include <annals/options.hpp>
#include <annals/storage/appender.hpp>
#include <annals/storage/partition_state.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {
namespace detail {

/// What was appended, in offsets of one partition.
struct Appended {
    Offset first;
    std::uint64_t count = 0;
    Timestamp timestamp;
};

[[noreturn, gnu::cold, gnu::noinline]] inline void raise_too_large(std::string_view what,
                                                                   std::uint64_t bytes,
                                                                   std::uint64_t limit) {
    raise(Errc::record_too_large, std::string{what} + " of " + std::to_string(bytes) +
                                      " bytes; the limit is " + std::to_string(limit));
}

/// Refuses what a frame cannot say, before anything is claimed. Returns the frame's length.
template <class Key, class Value>
[[nodiscard, gnu::always_inline]] inline std::uint64_t checked_length(
    storage::FrameContent<Key, Value> const& content, std::uint64_t limit) {
    if (content.key.size() > format::max_key_bytes) {
        raise_too_large("a key", content.key.size(), format::max_key_bytes);
    }
    for (Header const& header : content.headers) {
        if (header.name.size() > 0xFFFF)
            raise_too_large("a header's name", header.name.size(), 0xFFFF);
    }
    std::uint64_t const length = content.length();
    if (length > limit) raise_too_large("a record", length, limit);
    return length;
}

/// The whole way of one record into a segment: claim, copy, publish.
template <class P, class Key, class Value>
Appended append_record(storage::PartitionState<P>& state, Key const& key, Value const& value,
                       std::span<Header const> headers, std::optional<Timestamp> const& given) {
    storage::Writer<P>& writer = state.writer();
    Timestamp const timestamp = writer.stamp(given);
    storage::FrameContent<Key, Value> const content{key, value, headers, timestamp};
    std::uint64_t const length = checked_length(content, writer.context().max_claim_bytes());
    std::uint64_t const bytes = format::frame_extent(length);
    auto const [segment, at, offset] = writer.claim(1, bytes);
    {
        storage::Claim<P> claim{segment, at, bytes, 1};
        claim.write(content, length);
        claim.publish();
    }
    state.published(offset.value() + 1);
    return {offset, 1, timestamp};
}

[[noreturn, gnu::cold, gnu::noinline]] inline void raise_changed_batch() {
    raise(Errc::invalid_argument, "the batch gave other values when it was walked again");
}

/// The whole way of a batch: one claim, so that all of it is visible or none. `values` is any range
/// whose elements become an `Element`, which lives until it is encoded, and of that `part_of` makes
/// a frame part; it is walked twice.
template <class Element, class P, class Key, class Values, class PartOf>
Appended append_batch(storage::PartitionState<P>& state, Key const& key, Values const& values,
                      PartOf const& part_of, std::span<Header const> headers,
                      std::optional<Timestamp> const& given) {
    storage::Writer<P>& writer = state.writer();
    Timestamp const timestamp = writer.stamp(given);
    std::uint64_t const limit = writer.context().max_claim_bytes();
    std::uint64_t bytes = 0;
    std::uint64_t records = 0;
    using Part = std::invoke_result_t<PartOf const&, Element>;
    using Content = storage::FrameContent<Key, Part>;
    for (auto const& each : values) {
        Element value = each;
        Part const part = part_of(value);
        bytes +=
            format::frame_extent(checked_length(Content{key, part, headers, timestamp}, limit));
        ++records;
        if (bytes > limit) raise_too_large("a batch", bytes, limit);
    }
    if (records == 0) return {Offset{state.end()}, 0, timestamp};
    auto const [segment, at, first] = writer.claim(records, bytes);
    {
        storage::Claim<P> claim{segment, at, bytes, static_cast<std::uint32_t>(records)};
        UserCodeScope const scope;  // the range may make its values as it goes
        std::uint64_t written = 0;
        std::uint64_t room = bytes;
        for (auto const& each : values) {
            Element value = each;
            Part const part = part_of(value);
            Content content{key, part, headers, timestamp};
            std::uint64_t const length = content.length();
            if (written == records || room < format::frame_extent(length)) raise_changed_batch();
            room -= format::frame_extent(length);
            if (written != 0) content.batch_flags |= format::batch_began_before;
            if (++written != records) content.batch_flags |= format::batch_goes_on;
            claim.write(content, length);
        }
        if (written != records || room != 0) raise_changed_batch();
        claim.publish();
    }
    state.published(first.value() + records);
    return {first, records, timestamp};
}

}  // namespace detail

/// One totally ordered sequence of records, as bytes. A small handle; copies are the same
/// partition. Any threads may share it. It may outlive the log: reading goes on, appending throws
/// `closed`.
template <class P>
class BasicPartition {
public:
    /// For Topic::partition().
    BasicPartition(std::shared_ptr<storage::PartitionState<P>> state, Access access) noexcept
        : state_{std::move(state)}, access_{access} {}

    /// Appends one record and returns its offset; `nullopt` is an absent key, or a tombstone.
    /// Copies the bytes. What is promised when it returns is the topic's `Sync`. Throws, with
    /// nothing appended: `record_too_large`, `no_space`, `closed`, `read_only`, `io_error`;
    /// `sync_failed` leaves open whether the record will be there.
    Offset append(std::optional<Bytes> key, std::optional<Bytes> value, SendOptions options = {}) {
        if (options.partition && *options.partition != id()) {
            detail::raise(Errc::invalid_argument, "this is partition " + std::to_string(id()) +
                                                      ", not " +
                                                      std::to_string(*options.partition));
        }
        if (access_ == Access::read) {
            detail::raise(Errc::codec_mismatch, "opened as bytes for reading",
                          {.path = state().files().path()});
        }
        return detail::append_record(state(), storage::BytesPart{key}, storage::BytesPart{value},
                                     options.headers, options.timestamp)
            .first;
    }

    /// A cursor that reads from `from` on.
    [[nodiscard]] BasicCursor<P> cursor(Offset from = Offset{}) const { return {state_, from}; }

    [[nodiscard]] std::uint32_t id() const noexcept { return state().partition(); }
    [[nodiscard]] Offset beginning_offset() const { return Offset{state().beginning()}; }
    /// Behind the last record: in the writing process every one whose append had returned.
    [[nodiscard]] Offset end_offset() const { return Offset{state().end()}; }
    /// Records below it survive power loss.
    [[nodiscard]] Offset durable_offset() const { return Offset{state().durable()}; }

    /// Returns when everything appended before the call is durable. Throws `sync_failed`.
    void flush() { state().flush(); }

private:
    [[nodiscard]] storage::PartitionState<P>& state() const noexcept {
        ANNALS_ASSERT(state_ != nullptr);  // moved from
        return *state_;
    }

    std::shared_ptr<storage::PartitionState<P>> state_;
    Access access_;
};

}  // namespace annals::inline v1
