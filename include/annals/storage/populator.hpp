// SPDX-License-Identifier: MIT
// Making pages present just ahead of the tail, so that senders do not take the faults.
#pragma once

#include <cstdint>

#include <annals/config.hpp>
#include <annals/storage/segment.hpp>

namespace annals::inline v1::storage {

/// Follows one partition's tail. The window follows the rate: what lies populated and unused is
/// written and protected again by the kernel after half a minute, and a partition that gets a
/// record now and then needs no more than that record's page. The keeper's alone.
template <Platform P>
class Populator {
public:
    /// Claims in `active` reach up to `tail`. `prepare_next(n)` is to make the first n bytes of the
    /// segment behind it cheap to store to: as many as the window has beyond the end of this one,
    /// and all in good time where this one fills within a fraction of a second.
    template <class PrepareNext>
    void follow(Segment<P> const& active, std::uint64_t tail, PrepareNext const& prepare_next) {
        auto const mapping = active.writable();
        if (!mapping) return;
        if (ordinal_ != active.ordinal()) {
            last_tail_ = ordinal_ == 0 ? tail : format::first_frame_place;
            ordinal_ = active.ordinal();
            populated_ = 0;
            prepared_ = 0;
        }
        if (tail == last_tail_) return;
        std::uint64_t const capacity = active.info().capacity;
        std::uint64_t const moved = tail - last_tail_;
        std::uint64_t const window = std::min(rounds_ahead * moved, most);
        std::uint64_t const end = std::min(tail + window, capacity);
        std::uint64_t const beyond = tail + window - end;
        std::uint64_t const begin = std::max(populated_, tail) & ~(format::page_bytes - 1);
        if (begin < end) mapping->populate(begin, end - begin);
        if (moved >= capacity / rounds_to_prepare) {
            prepared_ += std::min(rounds_ahead * moved, 2 * most);
        }
        if (std::max(prepared_, beyond) > 0) prepare_next(std::max(prepared_, beyond));
        populated_ = std::max(populated_, end);
        last_tail_ = tail;
    }

private:
    static constexpr std::uint64_t rounds_ahead = 64;  // at the rate since the last one
    static constexpr std::uint64_t rounds_to_prepare = 256;
    static constexpr std::uint64_t most = std::uint64_t{16} << 20;

    std::uint64_t ordinal_ = 0;
    std::uint64_t populated_ = 0;
    std::uint64_t prepared_ = 0;
    std::uint64_t last_tail_ = 0;
};

}  // namespace annals::inline v1::storage
