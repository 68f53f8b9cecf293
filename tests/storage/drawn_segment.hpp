// SPDX-License-Identifier: MIT
// A segment drawn by hand in plain memory, frame by frame, in any state that a death can leave.
#pragma once

#include <annals/platform/memory.hpp>
#include <annals/storage/recovery.hpp>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace annals::test {

class DrawnSegment {
public:
    static constexpr std::uint64_t salt = 0x1122334455667788;
    static constexpr std::uint64_t capacity = format::min_segment_bytes;

    /// A published record; `batch_flags` as in FrameFlags.
    DrawnSegment& record(std::string_view value = "value", unsigned batch_flags = 0) {
        std::uint64_t const length = format::frame_header_bytes + value.size();
        std::byte* const frame =
            header({.number = number(),
                    .flags = static_cast<std::uint16_t>(format::has_value | batch_flags),
                    .detail = 1'000});
        std::memcpy(frame + format::frame_header_bytes, value.data(), value.size());
        return publish(format::FrameState::data, length, 1);
    }

    /// Published records of one batch.
    DrawnSegment& batch(std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) {
            unsigned flags = 0;
            if (i != 0) flags |= format::batch_began_before;
            if (i + 1 != count) flags |= format::batch_goes_on;
            record("of a batch", flags);
        }
        return *this;
    }

    DrawnSegment& voided(std::uint64_t records, std::uint64_t length = format::frame_header_bytes) {
        header({.number = number(), .detail = static_cast<std::int64_t>(records)});
        return publish(format::FrameState::voided, length, records);
    }

    DrawnSegment& seal(std::uint64_t successor = 2) {
        header({.number = number(), .detail = static_cast<std::int64_t>(successor)});
        return publish(format::FrameState::seal, format::frame_header_bytes, 0);
    }

    /// A claim whose owner got no further than its first word, or to some bytes of its body.
    DrawnSegment& claimed(std::uint64_t records, std::uint64_t length, std::string_view body = "") {
        detail::store(bytes_.data() + at_.place,
                      format::FrameWord{format::FrameState::claimed, length,
                                        static_cast<std::uint32_t>(records)}
                          .raw());
        std::memcpy(bytes_.data() + at_.place + 8, body.data(), body.size());
        return skip(records, length);
    }

    /// A claim whose owner died before its first store.
    DrawnSegment& untouched(std::uint64_t records, std::uint64_t length) {
        return skip(records, length);
    }

    /// Any word at all.
    DrawnSegment& word(std::uint64_t raw, std::uint64_t length) {
        detail::store(bytes_.data() + at_.place, raw);
        return skip(0, length);
    }

    /// Damages the last byte of the frame that was drawn last, its padding included.
    DrawnSegment& torn() {
        bytes_[at_.place - 1] ^= std::byte{1};
        return *this;
    }

    DrawnSegment& skip(std::uint64_t records, std::uint64_t length) {
        at_ = {at_.count + records, at_.place + format::frame_extent(length)};
        return *this;
    }

    /// Where the next frame goes.
    [[nodiscard]] format::Extent at() const noexcept { return at_; }

    [[nodiscard]] std::vector<std::byte>& bytes() noexcept { return bytes_; }

    [[nodiscard]] storage::Findings examine(storage::Death death, format::Extent durable = {},
                                            std::uint64_t limit = ~std::uint64_t{0}) const {
        return storage::Examiner{bytes_, {capacity, salt, durable, limit}}.examine(death);
    }

private:
    [[nodiscard]] std::uint32_t number() const { return static_cast<std::uint32_t>(at_.count); }

    std::byte* header(format::FrameHeader const& fields) {
        std::byte* const frame = bytes_.data() + at_.place;
        detail::store(frame, fields);
        return frame;
    }
    DrawnSegment& publish(format::FrameState state, std::uint64_t length, std::uint64_t records) {
        std::byte* const frame = bytes_.data() + at_.place;
        detail::store(frame, format::published_word(frame, state, length, salt, at_.place).raw());
        return skip(records, length);
    }

    std::vector<std::byte> bytes_ = std::vector<std::byte>(capacity);
    format::Extent at_{};
};

/// "2+1 5+3": gaps at the numbers 2 and 5, of one and of three offsets.
inline std::string to_text(std::vector<storage::Gap> const& gaps) {
    std::string text;
    for (storage::Gap const& gap : gaps) {
        if (!text.empty()) text += ' ';
        text += std::to_string(gap.number) + '+' + std::to_string(gap.records);
    }
    return text;
}

}  // namespace annals::test
