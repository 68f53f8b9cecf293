// SPDX-License-Identifier: MIT
// A segment file byte by byte: its first page, how frames follow one another, its name.
#include <annals/format/segment.hpp>

#include <string>
#include <vector>

#include "catch.hpp"
#include "format/hex.hpp"

using namespace annals;
using namespace annals::format;
using namespace annals::test;

namespace {

constexpr std::uint64_t salt = 0x0102030405060708;

Id counting_id() {
    Id id;
    for (unsigned i = 0; i < id.size(); ++i) id[i] = static_cast<std::byte>(i + 1);
    return id;
}

/// A segment's first bytes, with one frame in front of what frames there are.
struct Memory {
    std::vector<std::byte> bytes = std::vector<std::byte>(first_frame_place + 256);

    void put(FrameState state, std::uint64_t place, std::uint64_t length, FrameHeader header) {
        annals::detail::store(bytes.data() + place, header);
        annals::detail::store(
            bytes.data() + place,
            published_word(bytes.data() + place, state, length, salt, place).raw());
    }
    [[nodiscard]] FrameAt at(std::uint64_t place) const {
        return frame_at(bytes, place,
                        FrameWord{annals::detail::load<std::uint64_t>(bytes.data() + place)});
    }
};

}  // namespace

TEST_CASE("the header of a segment lies in its first 88 bytes") {
    SegmentHeader const header = checked(SegmentHeader{.topic_id = counting_id(),
                                                       .partition = 0x11,
                                                       .ordinal = 0x22,
                                                       .capacity = 0x10000,
                                                       .salt = salt,
                                                       .created = 0x33});
    CHECK(hex(bytes_of(header)) ==
          "41 4e 4e 41 4c 53 45 47 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "  // preamble
          "01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 "                          // topic
          "11 00 00 00 00 00 00 00 "                                                  // partition
          "22 00 00 00 00 00 00 00 "                                                  // ordinal
          "00 00 01 00 00 00 00 00 "                                                  // capacity
          "08 07 06 05 04 03 02 01 "                                                  // salt
          "33 00 00 00 00 00 00 00 "                                                  // created
          "50 bd c5 ba 88 46 85 64");
}

TEST_CASE("activation and completion lie in sectors of their own, bound to their segment") {
    CHECK(activation_place == 512);
    CHECK(completion_place == 1024);
    CHECK(wait_word_place == 1536);
    CHECK(first_frame_place == 4096);
    Activation const activation = checked(
        Activation{.base_offset = 0x11, .epoch = 0x22, .predecessor = 0x33, .flags = 1}, salt);
    CHECK(hex(bytes_of(activation)) ==
          "11 00 00 00 00 00 00 00 22 00 00 00 00 00 00 00 33 00 00 00 00 00 00 00 "
          "01 00 00 00 00 00 00 00 c6 95 e3 b4 0f c1 b5 12");
    CHECK(Activation::copy == 1);
    Completion const completion = checked(
        Completion{.count = 0x11, .end = 0x22, .max_timestamp = -2, .completed = 0x33}, salt);
    CHECK(hex(bytes_of(completion)) ==
          "11 00 00 00 00 00 00 00 22 00 00 00 00 00 00 00 fe ff ff ff ff ff ff ff "
          "33 00 00 00 00 00 00 00 77 7c 37 4c 7d ae 53 78");

    Activation other;
    CHECK(read_record(bytes_of(activation), other, salt) == RecordState::good);
    CHECK(read_record(bytes_of(activation), other, salt + 1) == RecordState::bad);
    Completion read;
    CHECK(read_record(bytes_of(completion), read, salt) == RecordState::good);
    CHECK(read_record(bytes_of(completion), read, 0) == RecordState::bad);
}

TEST_CASE("every change of any byte of the first page's records is noticed") {
    auto const each = [](auto const& record, std::uint64_t with) {
        Bytes const bytes = bytes_of(record);
        for_each_change({bytes.begin(), bytes.end()}, [&](auto const& damaged, std::size_t at) {
            INFO("byte " << at);
            auto read = record;
            CHECK(read_record(damaged, read, with) == RecordState::bad);
        });
    };
    each(checked(SegmentHeader{.topic_id = counting_id(), .capacity = 65'536, .salt = salt}), 0);
    each(checked(Activation{.base_offset = 1'000, .epoch = 3, .predecessor = 7}, salt), salt);
    each(checked(Completion{.count = 3, .end = 5'000, .max_timestamp = 1}, salt), salt);
}

TEST_CASE("sizes and limits are those of the format") {
    CHECK(min_segment_bytes == 65'536);
    CHECK(max_segment_bytes == 1'073'741'824);
    CHECK(first_segment_bytes == 1'048'576);
    CHECK(max_claim_bytes == 16'777'216);
    CHECK(claimable_end(65'536) == 65'512);
}

TEST_CASE("how far something reaches is one word, and sums of words are sums of their parts") {
    Extent const extent{3, 4'096 + 64};
    CHECK(extent.packed() == (std::uint64_t{3} << 32 | 520));
    CHECK(Extent::unpacked(extent.packed()) == extent);
    CHECK(Extent::unpacked(extent.packed() + Extent{2, 40}.packed()) == Extent{5, 4'096 + 104});
    CHECK(Extent{} == Extent{0, 4'096});
    Extent const last{0xFFFF'FFFF, max_segment_bytes};
    CHECK(Extent::unpacked(last.packed()) == last);
}

TEST_CASE("a record takes one offset, a void what it says, a seal none") {
    Memory memory;
    memory.put(FrameState::data, 4'096, 30, {.number = 5, .detail = -7});
    memory.put(FrameState::voided, 4'128, 48, {.number = 6, .detail = 3});
    memory.put(FrameState::seal, 4'176, 24, {.number = 9, .detail = 2});

    auto const data = memory.at(4'096);
    REQUIRE(data);
    CHECK(data.end == 4'128);
    CHECK(data.records == 1);
    CHECK(data.detail == -7);
    CHECK_FALSE(data.is_assumed);
    CHECK(is_good(memory.bytes, data, 5, salt));
    CHECK_FALSE(is_good(memory.bytes, data, 6, salt));
    CHECK_FALSE(is_good(memory.bytes, data, 5, salt + 1));

    auto const voided = memory.at(4'128);
    REQUIRE(voided);
    CHECK(voided.end == 4'176);
    CHECK(voided.records == 3);
    CHECK(is_good(memory.bytes, voided, 6, salt));

    auto const seal = memory.at(4'176);
    REQUIRE(seal);
    CHECK(seal.end == 4'200);
    CHECK(seal.records == 0);
    CHECK(seal.detail == 2);
    CHECK(is_good(memory.bytes, seal, 9, salt));
}

TEST_CASE("what is not published, too short, or longer than the segment is no frame") {
    Memory const memory;
    auto const look = [&](FrameState state, std::uint64_t length, std::uint64_t place = 4'096) {
        return frame_at(memory.bytes, place, FrameWord{state, length, 0}).operator bool();
    };
    std::uint64_t const size = memory.bytes.size();
    CHECK(look(FrameState::data, 24));
    CHECK(look(FrameState::data, size - 4'096));
    CHECK_FALSE(look(FrameState::data, size - 4'096 + 1));
    CHECK_FALSE(look(FrameState::data, FrameWord::max_length));
    CHECK_FALSE(look(FrameState::data, 24, size - 16));
    CHECK(look(FrameState::data, 24, size - 24));
    CHECK_FALSE(look(FrameState::data, 23));
    CHECK_FALSE(look(FrameState::data, 0));
    CHECK_FALSE(look(FrameState::empty, 24));
    CHECK_FALSE(look(FrameState::claimed, 24));
    CHECK_FALSE(look(static_cast<FrameState>(5), 24));
}

TEST_CASE("every change of any byte of a frame is noticed, wherever its length then leads") {
    Memory memory;
    auto const expect_noticed = [&](std::uint64_t bytes) {
        for (std::uint64_t at = 4'096; at < 4'096 + bytes; ++at) {
            for (unsigned bit = 0; bit < 8; ++bit) {
                memory.bytes[at] ^= static_cast<std::byte>(1u << bit);
                auto const frame = memory.at(4'096);
                INFO("byte " << at << ", bit " << bit);
                CHECK_FALSE((frame && is_good(memory.bytes, frame, 5, salt)));
                memory.bytes[at] ^= static_cast<std::byte>(1u << bit);
            }
        }
    };
    memory.put(FrameState::data, 4'096, 45, {.number = 5, .key_length = 3, .flags = 3});
    expect_noticed(48);
    memory.put(FrameState::voided, 4'096, 48, {.number = 5, .detail = 1});
    expect_noticed(24);
    memory.put(FrameState::seal, 4'096, 24, {.number = 5, .detail = 1});
    expect_noticed(24);
}

TEST_CASE("a segment's name is its ordinal in at least eight digits") {
    CHECK(ordinal_name(1, segment_suffix) == "00000001.seg");
    CHECK(ordinal_name(99'999'999, index_suffix) == "99999999.idx");
    CHECK(ordinal_name(123'456'789, segment_suffix) == "123456789.seg");
    for (std::uint64_t const ordinal :
         {std::uint64_t{1}, std::uint64_t{10'000'000}, std::uint64_t{123'456'789},
          std::uint64_t{999'999'999'999'999'999}}) {
        CHECK(parse_ordinal(ordinal_name(ordinal, segment_suffix), segment_suffix) == ordinal);
    }
}

TEST_CASE("names that are no segment's are passed by") {
    for (std::string_view const name :
         {"", ".seg", "00000000.seg", "1.seg", "0000001.seg", "000000001.seg", "00000001.idx",
          "00000001.seg.", "00000001.sEg", "0000000a.seg", "-0000001.seg", "+0000001.seg",
          " 0000001.seg", ".tmp-00000001.seg", "1000000000000000000.seg", "00000001"}) {
        INFO(name);
        CHECK_FALSE(parse_ordinal(name, segment_suffix));
    }
}
