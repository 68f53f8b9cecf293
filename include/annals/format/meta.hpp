// SPDX-License-Identifier: MIT
// log.meta and topic.meta: what a directory is, and what its topic was created with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <annals/config.hpp>
#include <annals/format/record.hpp>
#include <annals/options.hpp>

namespace annals::inline v1::format {

inline constexpr Magic log_magic{'A', 'N', 'N', 'A', 'L', 'L', 'O', 'G'};
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
///  88              key codec's name, value codec's name
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
    std::uint32_t key_codec_bytes = 0;
    std::uint32_t value_codec_bytes = 0;
    std::uint64_t names_hash = 0;
    std::uint64_t check = 0;
};
static_assert(sizeof(TopicMetaHead) == 88 && offsetof(TopicMetaHead, sync_interval) == 48);

/// What topic.meta says.
struct TopicMeta {
    Id topic_id{};
    std::uint32_t partitions = 1;
    Sync sync = Sync::interval;
    Clock clock = Clock::precise;
    std::chrono::nanoseconds sync_interval{std::chrono::seconds{1}};
    Timestamp created{};
    std::string key_codec{};
    std::string value_codec{};
    [[nodiscard]] friend bool operator==(TopicMeta const&, TopicMeta const&) = default;
};

[[nodiscard]] inline std::vector<std::byte> encode_topic_meta(TopicMeta const& meta) {
    std::string const names = meta.key_codec + meta.value_codec;
    TopicMetaHead const head = checked(
        TopicMetaHead{.topic_id = meta.topic_id,
                      .partitions = meta.partitions,
                      .sync = static_cast<std::uint8_t>(meta.sync),
                      .clock = static_cast<std::uint8_t>(meta.clock),
                      .sync_interval = meta.sync_interval.count(),
                      .created = meta.created.time_since_epoch().count(),
                      .key_codec_bytes = static_cast<std::uint32_t>(meta.key_codec.size()),
                      .value_codec_bytes = static_cast<std::uint32_t>(meta.value_codec.size()),
                      .names_hash = detail::hash(as_bytes(names))});
    std::vector<std::byte> file;
    for (Bytes const part : {bytes_of(head), as_bytes(names)}) {
        file.insert(file.end(), part.begin(), part.end());
    }
    return file;
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
    return {.topic_id = head.topic_id,
            .partitions = head.partitions,
            .sync = static_cast<Sync>(head.sync),
            .clock = static_cast<Clock>(head.clock),
            .sync_interval = std::chrono::nanoseconds{head.sync_interval},
            .created = Timestamp{std::chrono::nanoseconds{head.created}},
            .key_codec = std::string{as_text(names.first(head.key_codec_bytes))},
            .value_codec = std::string{as_text(names.subspan(head.key_codec_bytes))}};
}

}  // namespace annals::inline v1::format
