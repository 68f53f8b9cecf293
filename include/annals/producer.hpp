// SPDX-License-Identifier: MIT
// Sending typed records to a topic.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <annals/codec.hpp>
#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/options.hpp>
#include <annals/partition.hpp>
#include <annals/partitioner.hpp>
#include <annals/storage/appender.hpp>
#include <annals/storage/topic_state.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {
namespace detail {

/// Whether a value is encoded before its place is claimed.
template <class V>
inline constexpr bool is_encoded_beforehand =
    std::same_as<ValueEncoder<V>, Encoder<V, BufferedBytes<codec_value_t<V>>>>;

/// The values of a batch, one behind the other: were they encoded as they are written, a codec that
/// blocks or looks into the log would do so inside the claim. None outlives this object.
template <class V>
class EncodedBatch {
public:
    template <class Values>
    explicit EncodedBatch(Values const& values) {
        std::vector<std::size_t> ends;
        for (auto const& value : values) {
            ValueEncoder<V> const encoded{value};
            buffer_->append(encoded.bytes());
            ends.push_back(buffer_->size());
            parts_.push_back({encoded.present() ? std::optional{Bytes{}} : std::nullopt});
        }
        std::size_t begin = 0;
        for (std::size_t i = 0; i < parts_.size(); begin = ends[i++]) {
            Bytes const bytes = std::as_const(*buffer_).bytes();
            if (parts_[i].bytes) parts_[i].bytes = bytes.subspan(begin, ends[i] - begin);
        }
    }

    [[nodiscard]] std::vector<storage::BytesPart> const& parts() const noexcept { return parts_; }

private:
    BufferLease buffer_;
    std::vector<storage::BytesPart> parts_;
};

}  // namespace detail

/// Sends records. A small handle; copies and the object itself may be shared by any threads. It may
/// outlive the log: then send() throws `closed`.
///
/// send() returns when the record is visible to readers and safe from the death of the process;
/// what it promises against power loss is the topic's `Sync`. It throws with nothing sent:
/// `record_too_large`, `invalid_argument`, `no_space`, `closed`, `read_only`, `io_error`, and what
/// the codec throws. Only `sync_failed` leaves open whether the record will be there.
template <class K, class V, class P>
class BasicProducer {
public:
    using Key = codec_argument_t<K>;
    using Value = codec_argument_t<V>;

    /// For Topic::producer().
    BasicProducer(std::shared_ptr<storage::TopicState<P>> topic, ProducerOptions options)
        : topic_{std::move(topic)},
          partitioner_{std::move(options.partitioner)},
          keyless_{std::make_shared<StickyPartition>(
              count(), static_cast<std::uint32_t>(topic_->platform().random()))} {}

    RecordMetadata send(Key key, Value value, SendOptions options = {}) {
        return send_parts(detail::KeyEncoder<K>{key}, detail::ValueEncoder<V>{value}, options);
    }
    /// Without a key.
    RecordMetadata send(std::nullopt_t, Value value, SendOptions options = {}) {
        return send_parts(detail::KeyEncoder<K>{std::nullopt}, detail::ValueEncoder<V>{value},
                          options);
    }
    /// Without a value: a tombstone.
    RecordMetadata send(Key key, std::nullopt_t, SendOptions options = {}) {
        return send_parts(detail::KeyEncoder<K>{key}, detail::ValueEncoder<V>{std::nullopt},
                          options);
    }
    RecordMetadata send(std::nullopt_t, std::nullopt_t, SendOptions options = {}) {
        return send_parts(detail::KeyEncoder<K>{std::nullopt},
                          detail::ValueEncoder<V>{std::nullopt}, options);
    }

    /// Sends one record for each of `values`, a range of what V's codec takes that can be walked
    /// twice. They go to one partition, with consecutive offsets and one timestamp, and stand or
    /// fall together. An empty range sends nothing.
    template <class Values = std::initializer_list<std::remove_cvref_t<Value>>>
    BatchMetadata send_batch(Key key, Values const& values, SendOptions options = {}) {
        return send_batch_parts(detail::KeyEncoder<K>{key}, values, options);
    }
    template <class Values = std::initializer_list<std::remove_cvref_t<Value>>>
    BatchMetadata send_batch(std::nullopt_t, Values const& values, SendOptions options = {}) {
        return send_batch_parts(detail::KeyEncoder<K>{std::nullopt}, values, options);
    }

    /// Returns when everything sent to the topic before the call, by anyone, is durable. Throws
    /// `sync_failed`.
    void flush() {
        for (auto const& partition : topic().partitions()) partition->flush();
    }

private:
    [[nodiscard]] storage::TopicState<P>& topic() const noexcept {
        ANNALS_ASSERT(topic_ != nullptr);  // moved from
        return *topic_;
    }

    [[nodiscard]] std::uint32_t count() const noexcept {
        return static_cast<std::uint32_t>(topic().partitions().size());
    }

    RecordMetadata send_parts(detail::KeyEncoder<K> const& key,
                              detail::ValueEncoder<V> const& value, SendOptions const& options) {
        std::uint32_t const id = choose(key, options);
        auto& state = *topic().partitions()[id];
        auto const appended =
            detail::append_record(state, key, value, options.headers, options.timestamp);
        return {id, appended.first, appended.timestamp};
    }

    template <class Values>
    BatchMetadata send_batch_parts(detail::KeyEncoder<K> const& key, Values const& values,
                                   SendOptions const& options) {
        std::uint32_t const id = choose(key, options);
        auto& state = *topic().partitions()[id];
        auto const sent = [&](detail::Appended const& appended) -> BatchMetadata {
            return {id, appended.first, appended.count, appended.timestamp};
        };
        if constexpr (detail::is_encoded_beforehand<V>) {
            using Part = storage::BytesPart const&;
            detail::EncodedBatch<V> const encoded{values};
            auto const part_of = [](Part part) { return part; };
            return sent(detail::append_batch<Part>(state, key, encoded.parts(), part_of,
                                                   options.headers, options.timestamp));
        } else {
            auto const part_of = [](Value value) { return detail::ValueEncoder<V>{value}; };
            return sent(detail::append_batch<Value>(state, key, values, part_of, options.headers,
                                                    options.timestamp));
        }
    }

    [[nodiscard]] std::uint32_t choose(detail::KeyEncoder<K> const& key,
                                       SendOptions const& options) const {
        if (options.partition) {
            (void)topic().partition(*options.partition);
            return *options.partition;
        }
        if (partitioner_) {
            std::uint32_t const chosen =
                partitioner_(key.present() ? std::optional{key.bytes()} : std::nullopt, count());
            (void)topic().partition(chosen);
            return chosen;
        }
        if (count() == 1) return 0;
        return key.present() ? partition_for_key(key.bytes(), count()) : keyless_->next();
    }

    std::shared_ptr<storage::TopicState<P>> topic_;
    Partitioner partitioner_;
    std::shared_ptr<StickyPartition> keyless_;
};

}  // namespace annals::inline v1
