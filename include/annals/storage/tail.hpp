// SPDX-License-Identifier: MIT
// Where claims are made: the word that all appending threads of a partition step on.
#pragma once

#include <atomic>
#include <cstdint>

#include <annals/config.hpp>
#include <annals/format/segment.hpp>
#include <annals/platform/platform.hpp>
#include <annals/storage/segment.hpp>
#include <annals/types.hpp>

namespace annals::inline v1::storage {

/// The tail of one segment. It is never reset and outlives its segment: a thread that comes late
/// finds it beyond the end and goes on to the next. Any thread may call any member.
template <Platform P>
class Tail {
public:
    using Extent = format::Extent;

    Tail(Segment<P>& segment, Extent resume) noexcept
        : tail_{resume.packed()},
          segment_{&segment},
          claimable_end_{segment.claimable_end()},
          base_{segment.base()} {}

    /// Alive for whoever holds a claim in it that is not published, or has it as the writer's
    /// active one under the mutex of the roll; for others it may be gone.
    [[nodiscard]] Segment<P>& segment() const noexcept { return *segment_; }
    /// The segment's base offset.
    [[nodiscard]] std::uint64_t base() const noexcept { return base_; }

    /// What a claim got. False: nothing, the segment is full. (An optional would be handed on
    /// through memory: a seventh of the time of a send.)
    struct Taken {
        Extent at{};
        bool is_taken = false;

        [[nodiscard]] explicit operator bool() const noexcept { return is_taken; }
    };

    /// Claims a stretch of `bytes` (a multiple of 8) for `records`, in one atomic step that gives
    /// number and place at once. The one claim that crosses the segment's end parks the end. A
    /// thread that waits for `parked` before it tries again overshoots once, so the tail cannot
    /// wrap.
    [[nodiscard, gnu::always_inline]] Taken claim(std::uint64_t records,
                                                  std::uint64_t bytes) noexcept {
        if (is_crossed()) return {};
        // seq_cst: whoever announces that it will sleep and then looks at the tail either sees this
        // claim, or is seen by the claimant afterwards.
        Extent const at = Extent::unpacked(
            tail_.fetch_add(Extent{records, bytes}.packed(), std::memory_order_seq_cst));
        if (at.place + bytes <= claimable_end_) return {at, true};
        if (at.place <= claimable_end_) park(at, bytes);
        return {};
    }

    /// Ends the segment where its claims end, so that no further claim succeeds.
    void cross() noexcept {
        if (is_crossed()) return;
        Extent const at = Extent::unpacked(
            tail_.fetch_add(Extent{0, claimable_end_ + format::frame_alignment}.packed(),
                            std::memory_order_seq_cst));
        if (at.place <= claimable_end_) park(at, 0);
    }

    /// Whether the end is parked. Does not look at the word that claims are made on: a look at it
    /// takes its cache line from whoever claims next.
    [[nodiscard]] bool is_crossed() const noexcept {
        return parked_.load(std::memory_order_acquire) != 0;
    }

    /// How far claims reach: the tail, or where the crossing claim parked the end.
    [[nodiscard]] Extent claimed(P const& platform) const {
        Extent const tail = Extent::unpacked(tail_.load(std::memory_order_seq_cst));
        return tail.place > claimable_end_ ? parked(platform) : tail;
    }

    /// Where the crossed segment ends. Waits for the few instructions between crossing and parking.
    [[nodiscard]] Extent parked(P const& platform) const {
        for (unsigned attempt = 0;; ++attempt) {
            if (auto const word = parked_.load(std::memory_order_acquire)) {
                return Extent::unpacked(word);
            }
            platform.relax(attempt);
        }
    }

    /// How many bytes the claim wanted that crossed the end; the next segment should hold them.
    [[nodiscard]] std::uint64_t bytes_needed() const noexcept {
        return needed_.load(std::memory_order_relaxed);
    }
    /// Whoever needed them was told that they cannot be had; who comes next may need less.
    void forget_bytes_needed() noexcept { needed_.store(0, std::memory_order_relaxed); }

private:
    void park(Extent end, std::uint64_t needed) noexcept {
        needed_.store(needed, std::memory_order_relaxed);
        parked_.store(end.packed(), std::memory_order_release);
    }

    template <class T>
    using Atomic = typename P::template Atomic<T>;

    // The word has a cache line of its own.
    alignas(64) Atomic<std::uint64_t> tail_;
    alignas(64) Segment<P>* segment_;
    std::uint64_t claimable_end_;
    std::uint64_t base_;
    Atomic<std::uint64_t> parked_{0};
    Atomic<std::uint64_t> needed_{0};
};

/// A place in a partition.
template <Platform P>
struct Claimed {
    Segment<P>& segment;  ///< alive until the claim is published
    format::Extent at;
    Offset first;
};

}  // namespace annals::inline v1::storage
