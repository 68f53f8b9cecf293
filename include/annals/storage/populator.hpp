// SPDX-License-Identifier: MIT
// Making pages present just ahead of the tail, so that senders do not take the faults.
#pragma once

#include <cstdint>

#include <annals/config.hpp>
#include <annals/storage/segment.hpp>

namespace annals::inline v1::storage {

/// Follows one partition's tail. The window follows the rate: what lies populated and unused is
/// written and protected again by the kernel after half a minute. The keeper's alone.
template <Platform P>
class Populator {
public:
    /// Claims in `active` reach up to `tail`.
    void follow(Segment<P> const& active, std::uint64_t tail) {
        auto const mapping = active.writable();
        if (!mapping) return;
        if (ordinal_ != active.ordinal()) {
            ordinal_ = active.ordinal();
            populated_ = last_tail_ = 0;
        }
        if (tail == last_tail_) return;
        std::uint64_t const since = last_tail_ == 0 ? 0 : tail - last_tail_;
        std::uint64_t const window = std::min(std::max(4 * since, least), most);
        std::uint64_t const end = std::min(tail + window, active.info().capacity);
        std::uint64_t const begin = std::max(populated_, tail) & ~(format::page_bytes - 1);
        if (begin < end) mapping->populate(begin, end - begin);
        populated_ = std::max(populated_, end);
        last_tail_ = tail;
    }

private:
    static constexpr std::uint64_t least = std::uint64_t{256} << 10;
    static constexpr std::uint64_t most = std::uint64_t{4} << 20;

    std::uint64_t ordinal_ = 0;
    std::uint64_t populated_ = 0;
    std::uint64_t last_tail_ = 0;
};

}  // namespace annals::inline v1::storage
