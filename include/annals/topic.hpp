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

    [[nodiscard]] std::string const& name() const noexcept { return state_->name(); }

    /// Throws `codec_mismatch` where the topic holds other types and was opened as bytes.
    [[nodiscard]] BasicProducer<K, V, P> producer(ProducerOptions options = {}) const {
        if (access_ == Access::read) {
            detail::raise(Errc::codec_mismatch,
                          "opened as bytes for reading; the topic holds <" +
                              state_->meta().key_codec + ", " + state_->meta().value_codec + ">",
                          {.path = state_->path()});
        }
        return {state_, std::move(options)};
    }

    /// Throws `group_in_use` where the group has a live consumer, `invalid_name`, and `corrupt`.
    [[nodiscard]] BasicConsumer<K, V, P> consumer(ConsumerOptions const& options = {}) const {
        if (!options.group.empty()) storage::require_name(options.group, "a group");
        return {state_, options};
    }

    /// The records of [from, until), with bounds fixed now. Throws `invalid_argument` for an offset
    /// bound without a partition, or a partition that is not there.
    [[nodiscard]] BasicReplay<K, V, P> replay(ReplayOptions const& options = {}) const {
        return {*state_, options};
    }

    [[nodiscard]] std::uint32_t partition_count() const noexcept {
        return static_cast<std::uint32_t>(state_->partitions().size());
    }

    /// The bytes below the types. Throws `invalid_argument` where there is no such partition.
    [[nodiscard]] BasicPartition<P> partition(std::uint32_t id) const {
        return BasicPartition<P>{state_->partition(id), access_};
    }

    [[nodiscard]] Offset beginning_offset(std::uint32_t partition = 0) const {
        return Offset{state_->partition(partition)->beginning()};
    }
    /// Behind the last record: in the writing process every one whose send had returned.
    [[nodiscard]] Offset end_offset(std::uint32_t partition = 0) const {
        return Offset{state_->partition(partition)->end()};
    }
    /// Records below it survive power loss.
    [[nodiscard]] Offset durable_offset(std::uint32_t partition = 0) const {
        return Offset{state_->partition(partition)->durable()};
    }

    /// Returns when everything sent before the call is durable. Throws `sync_failed`, `read_only`.
    void flush() const {
        for (auto const& partition : state_->partitions()) partition->flush();
    }

private:
    std::shared_ptr<storage::TopicState<P>> state_;
    Access access_;
};

}  // namespace annals::inline v1
