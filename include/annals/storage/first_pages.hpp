// SPDX-License-Identifier: MIT
// What the first pages of a partition's segment files say about one another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <annals/config.hpp>
#include <annals/storage/segment_files.hpp>

namespace annals::inline v1::storage {

/// Reads those of all segment files there are, ascending by ordinal; the last ones first, so that
/// where one is seen to be in use, beside a writer who goes on, so are all before it.
template <Platform P>
[[nodiscard]] std::vector<FirstPage> read_first_pages(SegmentFiles<P> const& files) {
    auto const directory = files.directory();
    std::vector<std::uint64_t> const ordinals = files.ordinals();
    std::vector<FirstPage> pages(ordinals.size());
    for (std::size_t i = ordinals.size(); i-- > 0;) {
        std::uint64_t const ordinal = ordinals[i];
        auto const file = directory.find_file(format::ordinal_name(ordinal, format::segment_suffix),
                                              Access::read);
        if (!file) return read_first_pages(files);  // it vanished: list again
        pages[i] = files.read_first_page(*file, ordinal);
    }
    return pages;
}

[[nodiscard]] inline bool is_activated(FirstPage const& page) noexcept {
    return page.activation == format::RecordState::good;
}

/// The highest ordinal of those that were more than made in advance; 0: there is none.
[[nodiscard]] inline std::uint64_t highest_used(std::span<FirstPage const> pages) noexcept {
    std::uint64_t highest = 0;
    for (FirstPage const& page : pages) {
        if (page.activation != format::RecordState::absent) highest = page.info.ordinal;
    }
    return highest;
}

/// For each: from which offset on a later copy has the records; the highest there is: none has.
[[nodiscard]] inline std::vector<std::uint64_t> superseded_from(std::span<FirstPage const> pages) {
    std::vector<std::uint64_t> from(pages.size());
    std::uint64_t lowest = ~std::uint64_t{0};
    for (std::size_t i = pages.size(); i-- > 0;) {
        from[i] = lowest;
        bool const is_copy = pages[i].info.is_copy() && is_activated(pages[i]);
        if (is_copy) lowest = std::min(lowest, pages[i].info.base_offset);
    }
    return from;
}

/// The first that holds anything from `beginning` on, or where the log goes on there. What comes
/// before it lies wholly before the log's beginning, and may have been removed in part.
[[nodiscard]] inline std::size_t first_to_keep(std::span<FirstPage const> pages,
                                               std::uint64_t beginning) noexcept {
    std::size_t first = 0;
    for (std::size_t i = 0; i < pages.size(); ++i) {
        if (is_activated(pages[i]) && pages[i].info.base_offset <= beginning) first = i;
    }
    return first;
}

/// Removes the indexes of what lay before the first of the log's segments: power loss may have
/// brought them back and not their segments.
template <Platform P, class Segments>
void sweep_indexes(typename P::Directory& directory, Segments const& segments) {
    for (DirectoryEntry const& entry : directory.list()) {
        auto const ordinal = format::parse_ordinal(entry.name, format::index_suffix);
        bool const is_old = ordinal && !segments.empty() && *ordinal < segments.front()->ordinal();
        if (is_old) directory.remove_file(entry.name);
    }
}

/// Whether no frame was ever begun at this place.
template <Platform P>
[[nodiscard]] bool is_untouched(SegmentFiles<P> const& files, std::uint64_t ordinal,
                                std::uint64_t place) {
    auto const file = files.open_segment(ordinal, Access::read);
    std::uint64_t word = 0;
    (void)file.read_at(place, MutableBytes{reinterpret_cast<std::byte*>(&word), sizeof word});
    return word == 0;
}

/// Whether it was sealed there: by its age, where it has no successor yet.
template <Platform P>
[[nodiscard]] bool is_sealed_at(SegmentFiles<P> const& files, SegmentInfo const& info,
                                format::Extent end) {
    auto const file = files.open_segment(info.ordinal, Access::read);
    return SegmentFiles<P>::successor_of(file, info, end) != 0;
}

}  // namespace annals::inline v1::storage
