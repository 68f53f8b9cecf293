// SPDX-License-Identifier: MIT
// A named set of partitions with one key type and one value type.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <annals/codec.hpp>
#include <annals/config.hpp>
#include <annals/consumer.hpp>
#include <annals/error.hpp>
#include <annals/options.hpp>
#include <annals/partition.hpp>
#include <annals/producer.hpp>
#include <annals/replay.hpp>
#include <annals/storage/topic_state.hpp>

namespace annals::inline v1 {

/// Where producers, consumers and replays of a topic come from. A small handle; copies are the same
/// topic, any threads may share it, and it may outlive the log.
template <class K, class V, class P>
class BasicTopic {
public:
    /// For Log::topic(). `access` is read where the topic holds other types than bytes and was
    /// opened as bytes.
    BasicTopic(std::shared_ptr<storage::TopicState<P>> state, Access access) noexcept
        : state_{std::move(state)}, access_{access} {}

    [[nodiscard]] std::string const& name() const noexcept { return state().name(); }

    /// Throws `codec_mismatch` where the topic holds other types and was opened as bytes.
    [[nodiscard]] BasicProducer<K, V, P> producer(ProducerOptions options = {}) const {
        if (access_ == Access::read) {
            detail::raise(Errc::codec_mismatch,
                          "opened as bytes for reading; the topic holds <" +
                              state().meta().key_codec + ", " + state().meta().value_codec + ">",
                          {.path = state().path()});
        }
        return {shared(), std::move(options)};
    }

    /// Throws `group_in_use` where the group has a live consumer, `invalid_name`, and `corrupt`.
    [[nodiscard]] BasicConsumer<K, V, P> consumer(ConsumerOptions const& options = {}) const {
        if (!options.group.empty()) storage::require_name(options.group, "a group");
        return {shared(), options};
    }

    /// The records of [from, until), with bounds fixed now. Throws `invalid_argument` for an offset
    /// bound without a partition, or a partition that is not there.
    [[nodiscard]] BasicReplay<K, V, P> replay(ReplayOptions const& options = {}) const {
        return {state(), options};
    }

    [[nodiscard]] std::uint32_t partition_count() const noexcept {
        return static_cast<std::uint32_t>(state().partitions().size());
    }

    /// The bytes below the types. Throws `invalid_argument` where there is no such partition.
    [[nodiscard]] BasicPartition<P> partition(std::uint32_t id) const {
        return BasicPartition<P>{state().partition(id), access_};
    }

    [[nodiscard]] Offset beginning_offset(std::uint32_t partition = 0) const {
        return Offset{state().partition(partition)->beginning()};
    }
    /// Behind the last record: in the writing process every one whose send had returned.
    [[nodiscard]] Offset end_offset(std::uint32_t partition = 0) const {
        return Offset{state().partition(partition)->end()};
    }
    /// Records below it survive power loss.
    [[nodiscard]] Offset durable_offset(std::uint32_t partition = 0) const {
        return Offset{state().partition(partition)->durable()};
    }

    /// Removes the records before a bound: those below an offset, or those before the first whose
    /// timestamp is at least a time. A bound outside the log is cut to it, as for a replay. Returns
    /// the partition's new beginning: durable, and there for all readers, when the call returns,
    /// also where records before it are in the same file. Files wholly before it go now, or once
    /// nobody reads them. Throws `read_only`, `closed`, `sync_failed`, `no_space`, `io_error`.
    Offset delete_records_before(std::uint32_t partition, Bound bound) const {
        auto const& state = state_->partition(partition);
        std::uint64_t offset = bound.offset().value();
        if (!bound.is_offset()) {
            std::int64_t const stamp = bound.timestamp().time_since_epoch().count();
            offset = state->offset_at(stamp, state->end());
        }
        return Offset{state->delete_before(offset)};
    }

    /// Returns when everything sent before the call is durable. Throws `sync_failed`, `read_only`.
    void flush() const {
        for (auto const& partition : state().partitions()) partition->flush();
    }

private:
    [[nodiscard]] std::shared_ptr<storage::TopicState<P>> const& shared() const noexcept {
        ANNALS_ASSERT(state_ != nullptr);  // moved from
        return state_;
    }
    [[nodiscard]] storage::TopicState<P>& state() const noexcept { return *shared(); }

    std::shared_ptr<storage::TopicState<P>> state_;
    Access access_;
};

}  // namespace annals::inline v1
