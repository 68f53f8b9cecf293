// SPDX-License-Identifier: MIT
// How large a partition's segments are: they grow with what is appended to it.
#pragma once

#include <cstdint>

#include <annals/config.hpp>
#include <annals/detail/arithmetic.hpp>
#include <annals/format/segment.hpp>

namespace annals::inline v1::storage {

/// Of the first one, in a log whose segments grow to `segment_bytes`.
[[nodiscard]] constexpr std::uint64_t first_capacity(std::uint64_t segment_bytes) noexcept {
    return std::min(format::first_segment_bytes, segment_bytes);
}

/// Of the one behind a segment of `full` bytes: twice that, up to `most`, or what a claim of
/// `needed` bytes takes.
[[nodiscard]] constexpr std::uint64_t next_capacity(std::uint64_t full, std::uint64_t most,
                                                    std::uint64_t needed) noexcept {
    std::uint64_t const fitting =
        detail::power_of_two_for(needed + format::first_frame_place + format::frame_header_bytes);
    return std::max(std::max(std::min(2 * full, most), fitting), format::min_segment_bytes);
}

}  // namespace annals::inline v1::storage
