// SPDX-License-Identifier: MIT
// How the writer before this one ended, and what its control file proves about the segments.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/format/control.hpp>
#include <annals/options.hpp>
#include <annals/storage/control_file.hpp>
#include <annals/storage/recovery.hpp>
#include <annals/storage/segment_files.hpp>
#include <annals/types.hpp>

namespace annals::inline v1::storage {

/// The evidence that a control file is.
struct LastWriter {
    format::Control control{};
    bool has_control = false;  ///< there was a valid control file
    Death death = Death::of_power;
    bool is_suspect = false;   ///< a sync was under way: the page cache is no evidence
    bool is_in_place = false;  ///< the control file is the one that its writer had
    std::optional<format::Watermark> watermark{};  ///< where it binds, or the clean mark's
    std::vector<std::string> notes{};

    [[nodiscard]] Ending ending() const noexcept {
        if (death == Death::none) return Ending::clean;
        return death == Death::of_process ? Ending::process_death : Ending::power_loss;
    }

    /// Where the log begins; nullopt: nothing says so, and the oldest segment must do.
    [[nodiscard]] std::optional<std::uint64_t> beginning() const noexcept {
        if (!has_control || control.is_damaged(format::beginning_part)) return std::nullopt;
        return control.beginning ? control.beginning->offset : 0;
    }

    /// Whether something of this segment, or of one behind it, was durable.
    [[nodiscard]] bool was_durable(std::uint64_t ordinal) const noexcept {
        return watermark && watermark->ordinal >= ordinal;
    }

    /// How far this segment was durable, as far as the watermark names it.
    [[nodiscard]] format::Extent durable_extent(std::uint64_t ordinal) const noexcept {
        bool const is_named = watermark && watermark->ordinal == ordinal;
        return is_named ? format::Extent{watermark->count, watermark->end} : format::Extent{};
    }

    /// The highest ordinal that there must be a file of; 0: none.
    [[nodiscard]] std::uint64_t highest_ordinal() const noexcept {
        std::uint64_t ordinal = control.clean ? control.clean->ordinal : 0;
        if (is_in_place && control.watermark) {
            ordinal = std::max(ordinal, control.watermark->ordinal);
        }
        return ordinal;
    }

    /// The watermark binds for the file that it was taken from, and for no copy of it. What was
    /// closed is durable as far as that says, wherever it is.
    void bind_watermark(std::vector<FirstPage> const& pages) {
        if (control.clean) watermark = format::watermark_of(*control.clean);
        if (watermark) return;
        for (FirstPage const& page : pages) {
            auto const& mark = control.watermark;
            if (mark && mark->ordinal == page.info.ordinal &&
                mark->device == page.identity.device && mark->inode == page.identity.inode) {
                watermark = mark;
            }
        }
    }
};

/// Reads the control file of a partition that nobody writes to. Throws `unsupported_format`.
template <Platform P>
[[nodiscard]] LastWriter find_last_writer(SegmentFiles<P> const& files,
                                          typename P::Directory const& directory, AfterDeath rule) {
    LastWriter last;
    BootId const boot = files.platform().boot_id();
    ControlFound found = read_control(directory);
    if (!found.control || found.control->header.topic_id != files.topic_id() ||
        found.control->header.partition != files.partition()) {
        last.notes.emplace_back(
            "no valid control file: the oldest segment is taken as the beginning, and what was "
            "durable is unknown");
        last.control.header = {.topic_id = files.topic_id(), .partition = files.partition()};
    } else {
        last.has_control = true;
        last.control = std::move(*found.control);
        auto const& writer = last.control.writer;
        last.is_in_place = writer && writer->device == found.identity.device &&
                           writer->inode == found.identity.inode;
        if (boot == BootId{} && !last.control.clean) {
            last.notes.emplace_back(
                "no boot id to be had: a death of the process counts as power loss");
        }
        bool const is_same_boot = boot != BootId{} && writer && writer->boot_id == boot;
        if (last.is_in_place && is_same_boot) {
            last.death = Death::of_process;
            if (writer->mount != found.identity.mount) {
                last.notes.emplace_back("mounted anew since its last writer began");
            }
        }
        if (last.control.clean) last.death = Death::none;
        for (std::string_view const part : last.control.damaged) {
            last.notes.push_back("the control file's " + std::string{part} +
                                 " fails its check and is done without");
        }
    }
    bool is_cache_its = last.death == Death::of_process;  // whatever rule is forced
    if (last.death != Death::none && rule != AfterDeath::detect) {
        last.death = rule == AfterDeath::process_death ? Death::of_process : Death::of_power;
        is_cache_its = is_cache_its || last.death == Death::of_process;
    }
    bool const is_marked_here = boot != BootId{} && last.control.syncing_boot == boot;
    // A mark beside a clean one is an opening's, whose sync of a segment has failed.
    last.is_suspect = last.control.syncing != 0 && (is_cache_its || is_marked_here);
    return last;
}

}  // namespace annals::inline v1::storage
