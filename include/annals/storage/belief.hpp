// SPDX-License-Identifier: MIT
// Which of a partition's segment files are the log: what each claims to be is believed only as far
// as those before it, and the last writer's evidence, bear it out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/storage/first_pages.hpp>
#include <annals/storage/last_writer.hpp>
#include <annals/storage/segment_files.hpp>

namespace annals::inline v1::storage {

/// Who opens, and beside whom.
enum class Role : std::uint8_t {
    writer,       ///< holds the lock; repairs
    reader,       ///< nobody writes; finds what the writer would, in memory
    live_reader,  ///< beside a living writer, which has recovered already
};

/// What a segment file is.
enum class Standing : std::uint8_t {
    in_log,
    spare,     ///< made in advance; nothing was ever stored in it
    leftover,  ///< no part of the log (any more)
};

/// How far the segments lead that were believed so far.
struct Reach {
    bool has_begun = false;              ///< there is one
    bool is_open = false;                ///< the last one has no seal
    bool is_cut = false;                 ///< the log ends in the last one, whatever follows
    bool is_damaged = false;             ///< and that was told
    std::uint64_t end = 0;               ///< the offset behind the last one
    std::uint64_t lowest_successor = 0;  ///< the ordinal that the next one must at least have
};

/// Borrows its parts. Ask about one file after another, in the order of their ordinals.
template <Platform P>
class Belief {
public:
    Belief(SegmentFiles<P> const& files, Role role, LastWriter const& last,
           std::vector<FirstPage> const& pages)
        : files_{files}, role_{role}, last_{last}, pages_{pages} {}

    /// What this file is, behind what `reach` tells; from offset `superseded` on, a later copy
    /// holds its records. Throws `corrupt`.
    [[nodiscard]] Standing standing_of(FirstPage const& page, std::uint64_t superseded,
                                       Reach& reach) const {
        std::uint64_t const ordinal = page.info.ordinal;
        bool const is_replaced = reach.has_begun && superseded <= reach.end;
        if (page.activation == format::RecordState::absent) {
            bool const is_passed = ordinal < reach.lowest_successor || is_replaced;
            if (is_passed || !is_needed(ordinal, reach)) return Standing::spare;
            damaged("its activation is missing", ordinal, format::activation_place);
        }
        if (page.activation == format::RecordState::bad && is_replaced) return Standing::leftover;
        if (page.activation == format::RecordState::bad || reach.is_cut) {
            bool const is_torn = reach.is_damaged || !was_durable(page.info);
            if (is_torn) return Standing::leftover;
            damaged(reach.is_cut ? "records before this segment are missing"
                                 : "its activation fails its check",
                    ordinal, format::activation_place);
        }
        bool const is_passed =
            superseded <= page.info.base_offset || ordinal < reach.lowest_successor;
        return !is_passed && is_believed(page, reach) ? Standing::in_log : Standing::leftover;
    }

    /// Throws `corrupt` where there is no file of a segment that there must be.
    void require_no_missing_segment() const {
        std::uint64_t const named = last_.highest_ordinal();
        if (named > highest_used(pages_)) damaged("the segment is missing", named, 0);
    }

    [[noreturn]] void damaged(std::string_view what, std::uint64_t ordinal,
                              std::uint64_t place) const {
        detail::raise(Errc::corrupt, what,
                      {.path = files_.segment_path(ordinal), .segment = ordinal, .place = place});
    }

private:
    /// What its writer closed was durable, however much of it the marks name; and whatever lies
    /// before a copy was when that was made.
    [[nodiscard]] bool was_durable(SegmentInfo const& info) const noexcept {
        return last_.death == Death::none || last_.was_durable(info.ordinal) || info.is_copy();
    }

    /// Whether the marks, or a segment that was durable, say that this one is in the log. A copy
    /// that takes over from the end so far has replaced what lies before it.
    [[nodiscard]] bool is_needed(std::uint64_t ordinal, Reach const& reach) const noexcept {
        if (last_.watermark && last_.watermark->ordinal == ordinal) return true;
        for (FirstPage const& page : pages_) {
            bool const comes_behind = is_activated(page) && page.info.predecessor == ordinal;
            bool const replaces = page.info.is_copy() && page.info.base_offset <= reach.end;
            if (comes_behind && !replaces && was_durable(page.info)) return true;
        }
        return false;
    }

    /// A base offset is believed only where the log really goes on there.
    [[nodiscard]] bool is_believed(FirstPage const& page, Reach& reach) const {
        std::uint64_t const base = page.info.base_offset;
        std::uint64_t const ordinal = page.info.ordinal;
        if (!reach.has_begun) {
            if (base > last_.beginning().value_or(base)) {
                damaged("the log begins before its first segment", ordinal, 0);
            }
            return true;
        }
        if (role_ == Role::live_reader || (page.info.is_copy() && base <= reach.end)) return true;
        if (!reach.is_open && base == reach.end) return true;
        bool const may_be_unused = ordinal > last_.highest_ordinal();
        if (may_be_unused && is_untouched(files_, ordinal, format::first_frame_place)) {
            return false;
        }
        // Power loss may take a segment's activation and leave its successor's: a torn tail.
        reach.is_cut = !was_durable(page.info);
        if (reach.is_cut) return false;
        damaged("it begins at offset " + std::to_string(base) + ", but the one before it ends at " +
                    std::to_string(reach.end),
                ordinal, format::activation_place);
    }

    SegmentFiles<P> const& files_;
    Role role_;
    LastWriter const& last_;
    std::vector<FirstPage> const& pages_;
};

}  // namespace annals::inline v1::storage
