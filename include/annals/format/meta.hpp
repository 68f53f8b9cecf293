// SPDX-License-Identifier: MIT
// log.meta and topic.meta: what a directory is, and what its topic was created with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <annals/config.hpp>
#include <annals/format/record.hpp>
#include <annals/options.hpp>

namespace annals::inline v1::format {

inline constexpr Magic log_magic{'A', 'N', 'N', 'A', 'L', 'L', 'O', 'G'};
inline constexpr std::string_view log_meta_name = "log.meta";
inline constexpr std::string_view topic_meta_name = "topic.meta";
inline constexpr Magic topic_magic{'A', 'N', 'N', 'A', 'L', 'T', 'O', 'P'};
inline constexpr std::uint64_t max_codec_name_bytes = 0xFFFF;

/// The whole of log.meta.
struct LogMeta {
    static constexpr std::uint64_t check_seed = 32;

    Preamble preamble{.magic = log_magic};
    Id log_id{};
    std::uint64_t check = 0;
};
static_assert(sizeof(LogMeta) == 48);

/// ```
///  0               TopicMetaHead
///  120             key codec's name, value codec's name
/// ```
struct TopicMetaHead {
    static constexpr std::uint64_t check_seed = 33;

    Preamble preamble{.magic = topic_magic};
    Id topic_id{};
    std::uint32_t partitions = 1;
    std::uint8_t sync = 0;
    std::uint8_t clock = 0;
    std::uint16_t reserved = 0;
    std::int64_t sync_interval = 0;
    std::int64_t created = 0;
    std::int64_t retention_age = 0;
    std::uint64_t retention_bytes = 0;
    std::uint64_t retention_records = 0;
    std::int64_t segment_age = 0;  ///< 0: follows from retention_age
    std::uint32_t key_codec_bytes = 0;
    std::uint32_t value_codec_bytes = 0;
    std::uint64_t names_hash = 0;
    std::uint64_t check = 0;
};
static_assert(sizeof(TopicMetaHead) == 120 && offsetof(TopicMetaHead, sync_interval) == 48 &&
              offsetof(TopicMetaHead, retention_age) == 64);

/// How long a topic's records are kept, in each partition.
struct Retention {
    static constexpr std::chrono::nanoseconds no_age = std::chrono::nanoseconds::max();

    std::chrono::nanoseconds age = no_age;
    std::uint64_t bytes = unlimited;
    std::uint64_t records = unlimited;
    std::optional<std::chrono::nanoseconds> segment_age{};

    /// Whether anything is ever removed, or any segment ended, for these reasons.
    [[nodiscard]] bool is_limited() const noexcept {
        return age != no_age || bytes != unlimited || records != unlimited || segment_age;
    }
    /// When a segment is ended that is not full.
    [[nodiscard]] std::chrono::nanoseconds effective_segment_age() const noexcept {
        return segment_age.value_or(age == no_age ? no_age : age / 4);
    }
    [[nodiscard]] friend bool operator==(Retention const&, Retention const&) = default;
};

/// What topic.meta says.
struct TopicMeta {
    Id topic_id{};
    std::uint32_t partitions = 1;
    Sync sync = Sync::interval;
    Clock clock = Clock::precise;
    std::chrono::nanoseconds sync_interval{std::chrono::seconds{1}};
    Timestamp created{};
    Retention retention{};
    std::string key_codec{};
    std::string value_codec{};
    [[nodiscard]] friend bool operator==(TopicMeta const&, TopicMeta const&) = default;
};

[[nodiscard]] inline std::vector<std::byte> encode_topic_meta(TopicMeta const& meta) {
    constexpr std::chrono::nanoseconds no_time{0};
    std::string const names = meta.key_codec + meta.value_codec;
    TopicMetaHead const head = checked(
        TopicMetaHead{.topic_id = meta.topic_id,
                      .partitions = meta.partitions,
                      .sync = static_cast<std::uint8_t>(meta.sync),
                      .clock = static_cast<std::uint8_t>(meta.clock),
                      .sync_interval = meta.sync_interval.count(),
                      .created = meta.created.time_since_epoch().count(),
                      .retention_age = meta.retention.age.count(),
                      .retention_bytes = meta.retention.bytes,
                      .retention_records = meta.retention.records,
                      .segment_age = meta.retention.segment_age.value_or(no_time).count(),
                      .key_codec_bytes = static_cast<std::uint32_t>(meta.key_codec.size()),
                      .value_codec_bytes = static_cast<std::uint32_t>(meta.value_codec.size()),
                      .names_hash = detail::hash(as_bytes(names))});
    std::vector<std::byte> file;
    for (Bytes const part : {bytes_of(head), as_bytes(names)}) {
        file.insert(file.end(), part.begin(), part.end());
    }
    return file;
}

[[nodiscard]] inline Retention retention_of(TopicMetaHead const& head) {
    using std::chrono::nanoseconds;
    Retention retention{.age = nanoseconds{head.retention_age},
                        .bytes = head.retention_bytes,
                        .records = head.retention_records};
    if (head.segment_age != 0) retention.segment_age = nanoseconds{head.segment_age};
    return retention;
}

/// Throws `corrupt` or `unsupported_format`, both with the path.
[[nodiscard]] inline TopicMeta decode_topic_meta(Bytes file, std::string const& path) {
    require_readable(file, topic_magic, path);
    auto const head = require_record<TopicMetaHead>(file, 0, path, "the topic's description");
    Bytes const names = file.subspan(sizeof head);
    if (names.size() != std::uint64_t{head.key_codec_bytes} + head.value_codec_bytes ||
        detail::hash(names) != head.names_hash) {
        detail::raise(Errc::corrupt, "the codecs' names fail their check",
                      {.path = path, .place = sizeof head});
    }
    if (head.retention_age <= 0 || head.segment_age < 0) {
        detail::raise(Errc::corrupt, "an age below 0",
                      {.path = path, .place = offsetof(TopicMetaHead, retention_age)});
    }
    return {.topic_id = head.topic_id,
            .partitions = head.partitions,
            .sync = static_cast<Sync>(head.sync),
            .clock = static_cast<Clock>(head.clock),
            .sync_interval = std::chrono::nanoseconds{head.sync_interval},
            .created = Timestamp{std::chrono::nanoseconds{head.created}},
            .retention = retention_of(head),
            .key_codec = std::string{as_text(names.first(head.key_codec_bytes))},
            .value_codec = std::string{as_text(names.subspan(head.key_codec_bytes))}};
}

}  // namespace annals::inline v1::format
