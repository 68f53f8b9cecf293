// SPDX-License-Identifier: MIT
// What a segment holds after its writer died: found by looking only, then made true in the file.
// Both rules are functions of the segment's bytes; they read no file and no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <annals/config.hpp>
#include <annals/format/segment.hpp>
#include <annals/platform/platform.hpp>

namespace annals::inline v1::storage {

/// How the last writer of a partition ended.
enum class Death : std::uint8_t {
    none,        ///< it closed the partition
    of_process,  ///< the page cache is whole
    of_power,    ///< pages reached the disk in any order
};

/// A stretch whose owner died: it becomes one void.
struct Gap {
    std::uint64_t place = 0;
    std::uint64_t bytes = 0;
    std::uint64_t number = 0;
    std::uint64_t records = 0;
};

/// A frame that should be good and is not.
struct Damage {
    std::uint64_t place = 0;
    std::string_view what{};
};

/// What examining a segment found.
struct Findings {
    format::Extent end{};     ///< the prefix that counts; its seal, if any, stands there
    std::vector<Gap> gaps{};  ///< within the prefix, ascending
    bool is_sealed = false;
    bool is_prefix = false;       ///< found by the stricter rule: what lies behind is torn
    std::uint64_t successor = 0;  ///< of the seal
    std::uint64_t bytes_cut = 0;  ///< what lies behind the prefix and is not zero
    std::optional<Damage> damage{};

    [[nodiscard]] std::uint64_t records_voided() const noexcept {
        std::uint64_t sum = 0;
        for (Gap const& gap : gaps) sum += gap.records;
        return sum;
    }
};

/// What examining a segment needs to know about it. Frames up to `durable` were once durable.
struct Evidence {
    std::uint64_t capacity = 0;
    std::uint64_t salt = 0;
    format::Extent durable{};
    std::uint64_t limit = ~std::uint64_t{0};  ///< records from here on are another segment's
};

/// Walks a dead segment. Bytes come from a disk: every length is checked before it is used.
class Examiner {
public:
    Examiner(Bytes segment, Evidence const& evidence) : segment_{segment}, evidence_{evidence} {}

    /// By the rule that the death calls for. Where a frame above the watermark fails its check
    /// although the process alone died, the page cache was not whole, and the stricter rule holds.
    [[nodiscard]] Findings examine(Death death) {
        if (death == Death::of_power || !walk_over_gaps()) walk_prefix();
        findings_.bytes_cut = findings_.is_sealed ? 0 : bytes_behind();
        if (findings_.end.place < evidence_.durable.place && !ends_at_limit()) {
            findings_.damage = Damage{findings_.end.place, "a durable record fails its check"};
        }
        return findings_;
    }

private:
    using Extent = format::Extent;
    using State = format::FrameState;

    [[nodiscard]] std::uint64_t claimable_end() const noexcept {
        return format::claimable_end(evidence_.capacity);
    }
    [[nodiscard]] format::FrameWord word_at(std::uint64_t place) const noexcept {
        return format::FrameWord{detail::load<std::uint64_t>(segment_.data() + place)};
    }
    [[nodiscard]] bool ends_at_limit() const noexcept {
        return findings_.end.count >= evidence_.limit;
    }
    [[nodiscard]] std::uint16_t flags_at(std::uint64_t place) const noexcept {
        return detail::load<std::uint16_t>(segment_.data() + place +
                                           offsetof(format::FrameHeader, flags));
    }

    /// The published frame at `at` if it is good and carries the number that is its due.
    [[nodiscard]] format::FrameAt good_frame(Extent at) const noexcept {
        if (at.place > claimable_end()) return {};
        auto const frame = format::frame_at(segment_, at.place, word_at(at.place));
        if (!frame || !format::is_good(segment_, frame, at.count, evidence_.salt)) return {};
        bool const is_seal = frame.word.state() == State::seal;
        if (!is_seal && frame.end > claimable_end()) return {};
        return frame;
    }

    /// Pages reached the disk in any order: the longest prefix of good frames counts, less a batch
    /// that is not whole. No holes are skipped.
    void walk_prefix() {
        findings_ = {};
        findings_.is_prefix = true;
        Extent at;
        while (!ends_at_limit()) {
            auto const frame = good_frame(at);
            if (!frame) break;
            if (frame.word.state() == State::seal) {
                seal_at(at, frame);
                break;
            }
            at = {at.count + frame.records, frame.end};
            bool const in_batch = frame.word.state() == State::data &&
                                  (flags_at(frame.place) & format::batch_goes_on) != 0;
            if (!in_batch) findings_.end = at;
        }
    }

    /// The process alone died: every published frame is good, and what lies unpublished before one
    /// of them was a claim whose owner died. False where that does not hold.
    [[nodiscard]] bool walk_over_gaps() {
        findings_ = {};
        Extent at;
        while (!ends_at_limit() && at.place <= claimable_end()) {
            format::FrameWord const word = word_at(at.place);
            if (!word.is_published()) {
                auto const next = cross_gap(at);
                if (!next) break;  // nothing published behind it: cut
                if (*next == at) return false;
                at = *next;
                continue;
            }
            auto const frame = good_frame(at);
            if (!frame) return false;
            if (word.state() == State::seal) {
                seal_at(at, frame);
                return true;
            }
            at = {at.count + frame.records, frame.end};
            findings_.end = at;
        }
        return true;
    }

    /// From the first unpublished place to the next published frame: notes the gaps between, gives
    /// each its share of the offsets, and returns that frame's extent. nullopt where there is no
    /// such frame; `from` itself where what lies there contradicts itself.
    [[nodiscard]] std::optional<Extent> cross_gap(Extent from) {
        std::vector<Gap> gaps;
        std::uint64_t place = from.place;
        std::uint64_t known = 0;  // records whose claims say so
        std::optional<std::size_t> untouched;
        while (place <= claimable_end()) {
            format::FrameWord const word = word_at(place);
            if (word.is_published()) {
                auto const number = detail::load<std::uint32_t>(
                    segment_.data() + place + offsetof(format::FrameHeader, number));
                return share_out(from, {number, place}, gaps, known, untouched);
            }
            Gap gap{.place = place};
            if (word.state() == State::claimed && word.length() >= format::frame_header_bytes) {
                gap.bytes = format::frame_extent(word.length());
                gap.records = word.claimed_records();
                known += gap.records;
            } else if (word.raw() == 0) {
                gap.bytes = zeros_from(place);
                if (!untouched) untouched = gaps.size();
            } else {
                return from;
            }
            place += gap.bytes;
            if (place > claimable_end()) break;
            if (gap.bytes < format::frame_header_bytes) return from;
            gaps.push_back(gap);
        }
        return std::nullopt;
    }

    /// Claims that were never touched take what offsets remain between their neighbours: which of
    /// them takes how many is all the same, for none of them was ever told. There may be none left:
    /// then a recovery that was cut off has given them all to the first.
    [[nodiscard]] Extent share_out(Extent from, Extent to, std::vector<Gap>& gaps,
                                   std::uint64_t known, std::optional<std::size_t> untouched) {
        std::uint64_t const least = from.count + known;
        bool const adds_up = untouched ? to.count >= least : to.count == least;
        if (!adds_up || !good_frame(to)) return from;
        if (untouched) gaps[*untouched].records = to.count - from.count - known;
        std::uint64_t number = from.count;
        for (Gap& gap : gaps) {
            gap.number = number;
            number += gap.records;
            findings_.gaps.push_back(gap);
        }
        return to;
    }

    [[nodiscard]] std::uint64_t zeros_from(std::uint64_t place) noexcept {
        constexpr std::uint64_t step = 8 * format::frame_alignment;  // 3 times as fast as by words
        std::uint64_t const capacity = evidence_.capacity;
        std::uint64_t end = place;
        while (end + step <= capacity && is_zero(end, step)) end += step;
        while (end < capacity && word_at(end).raw() == 0) end += format::frame_alignment;
        if (end == capacity) zeros_begin_ = place;
        return std::min(end, claimable_end() + format::frame_alignment) - place;
    }
    [[nodiscard]] bool is_zero(std::uint64_t place, std::uint64_t bytes) const noexcept {
        std::uint64_t all = 0;
        for (std::uint64_t i = 0; i < bytes; i += 8) all |= word_at(place + i).raw();
        return all == 0;
    }

    [[nodiscard]] std::uint64_t bytes_behind() const noexcept {
        std::uint64_t end = zeros_begin_;
        while (end > findings_.end.place && word_at(end - format::frame_alignment).raw() == 0) {
            end -= format::frame_alignment;
        }
        return end - findings_.end.place;
    }

    void seal_at(Extent at, format::FrameAt const& seal) {
        findings_.end = at;
        findings_.is_sealed = true;
        findings_.successor = static_cast<std::uint64_t>(seal.detail);
    }

    Bytes segment_;
    Evidence evidence_;
    Findings findings_;
    std::uint64_t zeros_begin_ = evidence_.capacity;  // those known to reach to the segment's end
};

/// Stores a frame without a body the way every frame is stored: the word as claimed, the rest of
/// the header, the word as what it is. Recovery can be cut off between any two of these.
template <Platform P>
void store_bare_frame(std::byte* segment, std::uint64_t salt, format::FrameWord claimed,
                      format::FrameState state, format::Extent at, std::uint64_t length,
                      std::uint64_t detail) noexcept {
    std::byte* const frame = segment + at.place;
    typename P::template AtomicRef<std::uint64_t> word{*reinterpret_cast<std::uint64_t*>(frame)};
    word.store(claimed.raw(), std::memory_order_relaxed);
    P::store_point(frame, sizeof(std::uint64_t));
    std::atomic_signal_fence(std::memory_order_seq_cst);
    format::FrameHeader header{.number = static_cast<std::uint32_t>(at.count),
                               .detail = static_cast<std::int64_t>(detail)};
    auto const* const fields = reinterpret_cast<std::byte const*>(&header);
    std::memcpy(frame + 8, fields + 8, sizeof header - 8);
    P::store_point(frame + 8, sizeof header - 8);
    word.store(format::published_word(frame, state, length, salt, at.place).raw(),
               std::memory_order_release);
    P::store_point(frame, sizeof(std::uint64_t));
}

/// The longest stretch that one frame can take.
inline constexpr std::uint64_t max_extent =
    format::FrameWord::max_length & ~(format::frame_alignment - 1);

/// Ends a segment at `end`: whoever reads on must look for `successor` or a higher ordinal. Until
/// it is published it is a claim over `covered` bytes: behind a writer that died, over all that it
/// left there, for none of that may ever be taken for part of the log.
template <Platform P>
void store_seal(std::byte* segment, std::uint64_t salt, format::Extent end, std::uint64_t successor,
                std::uint64_t covered = format::frame_header_bytes) noexcept {
    format::FrameWord const claimed{format::FrameState::claimed, std::min(covered, max_extent), 0};
    store_bare_frame<P>(segment, salt, claimed, format::FrameState::seal, end,
                        format::frame_header_bytes, successor);
}

/// Turns the gap into a void, or several where its length passes what one frame can say.
template <Platform P>
void store_void(std::byte* segment, std::uint64_t salt, Gap gap) noexcept {
    while (gap.bytes != 0) {
        std::uint64_t bytes = std::min(gap.bytes, max_extent);
        if (gap.bytes - bytes != 0 && gap.bytes - bytes < format::frame_header_bytes) {
            bytes -= format::frame_header_bytes;
        }
        format::FrameWord const claimed{format::FrameState::claimed, bytes,
                                        static_cast<std::uint32_t>(gap.records)};
        store_bare_frame<P>(segment, salt, claimed, format::FrameState::voided,
                            {gap.number, gap.place}, bytes, gap.records);
        gap = {gap.place + bytes, gap.bytes - bytes, gap.number + gap.records, 0};
    }
}

/// Clears the page in which the log ends here, and gives back the blocks behind it.
template <Platform P, class File, class Mapping>
void punch_behind(File& file, Mapping& mapping, std::uint64_t place) {
    std::uint64_t const page_end = detail::align_up(place, format::page_bytes);
    std::memset(mapping.data() + place, 0, page_end - place);
    P::store_point(mapping.data() + place, page_end - place);
    if (page_end < mapping.size()) file.punch(page_end, mapping.size() - page_end);
}

}  // namespace annals::inline v1::storage
