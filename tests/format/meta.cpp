// SPDX-License-Identifier: MIT
// log.meta and topic.meta byte by byte.
#include <annals/format/meta.hpp>

#include <string>
#include <vector>

#include "catch.hpp"
#include "format/hex.hpp"
#include "platform/machines.hpp"

using namespace annals;
using namespace annals::format;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

TopicMeta example() {
    TopicMeta meta{.partitions = 12,
                   .sync = Sync::always,
                   .clock = Clock::coarse,
                   .sync_interval = 250ms,
                   .created = Timestamp{1s},
                   .retention = {.age = 7s, .bytes = 0x22, .records = 0x33, .segment_age = 5ns},
                   .key_codec = "text",
                   .value_codec = "shop.Order(24)"};
    meta.topic_id.fill(std::byte{0xAB});
    return meta;
}

Errc refusal(Bytes file) {
    return code_of([&] { (void)decode_topic_meta(file, "topic.meta"); });
}

}  // namespace

TEST_CASE("log.meta is a preamble, an id and a check") {
    LogMeta meta;
    meta.log_id.fill(std::byte{0xEF});
    CHECK(hex(bytes_of(checked(meta))) ==
          "41 4e 4e 41 4c 4c 4f 47 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
          "ef ef ef ef ef ef ef ef ef ef ef ef ef ef ef ef "
          "e7 b0 9a 32 25 34 39 2f");
}

TEST_CASE("topic.meta's fields lie at their places, the codecs' names behind them") {
    auto const file = encode_topic_meta(example());
    CHECK(hex(file) ==
          "41 4e 4e 41 4c 54 4f 50 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "  // preamble
          "ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab ab "                          // id
          "0c 00 00 00 02 01 00 00 "  // partitions, sync, clock
          "80 b2 e6 0e 00 00 00 00 "  // sync_interval
          "00 ca 9a 3b 00 00 00 00 "  // created
          "00 86 3b a1 01 00 00 00 "  // retention_age
          "22 00 00 00 00 00 00 00 "  // retention_bytes
          "33 00 00 00 00 00 00 00 "  // retention_records
          "05 00 00 00 00 00 00 00 "  // segment_age
          "04 00 00 00 0e 00 00 00 "  // lengths of the names
          "df 11 8a 63 b1 8a ef 82 "  // hash of the names
          "8c 1e be 5a 3c cf bc e0 "  // check
          "74 65 78 74 73 68 6f 70 2e 4f 72 64 65 72 28 32 34 29");
}

TEST_CASE("what a topic was created with comes back as it was written") {
    for (TopicMeta const& meta : {example(), TopicMeta{}}) {
        CHECK(decode_topic_meta(encode_topic_meta(meta), "topic.meta") == meta);
    }
    TopicMeta large;
    large.value_codec = std::string(max_codec_name_bytes, 'x');
    CHECK(decode_topic_meta(encode_topic_meta(large), "topic.meta") == large);
}

TEST_CASE("every change of any byte of topic.meta is noticed") {
    for_each_change(encode_topic_meta(example()), [](auto const& damaged, std::size_t at) {
        INFO("byte " << at);
        bool const is_version = (at >= 8 && at < 10) || (at >= 12 && at < 16);
        CHECK(refusal(damaged) == (is_version ? Errc::unsupported_format : Errc::corrupt));
    });
}

TEST_CASE("a topic.meta that is cut short or too long is corrupt") {
    auto file = encode_topic_meta(example());
    for (std::size_t size = 0; size < file.size(); ++size) {
        CHECK(refusal(Bytes{file}.first(size)) == Errc::corrupt);
    }
    file.push_back(std::byte{0});
    CHECK(refusal(file) == Errc::corrupt);
}

TEST_CASE("a topic.meta of a newer minor version or with compatible features is read") {
    auto const changed = [](auto change) {
        auto file = encode_topic_meta(example());
        auto head = annals::detail::load<TopicMetaHead>(file.data());
        change(head.preamble);
        annals::detail::store(file.data(), checked(head));
        return refusal(file);
    };
    CHECK(changed([](Preamble& p) { p.minor = 9; }) == Errc::ok);
    CHECK(changed([](Preamble& p) { p.compatible_features = 0x80000000; }) == Errc::ok);
    CHECK(changed([](Preamble& p) { p.major = 2; }) == Errc::unsupported_format);
    CHECK(changed([](Preamble& p) { p.incompatible_features = 0x80000000; }) ==
          Errc::unsupported_format);
}

TEST_CASE("a damaged topic.meta is told with its path and the place of the damage") {
    auto file = encode_topic_meta(example());
    file.back() ^= std::byte{1};
    try {
        (void)decode_topic_meta(file, "topics/t/topic.meta");
        FAIL("nothing was thrown");
    } catch (Error const& error) {
        CHECK(error.path() == "topics/t/topic.meta");
        CHECK(error.place() == 120);
    }
}
