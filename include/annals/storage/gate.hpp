// SPDX-License-Identifier: MIT
// The gate before the first claim of a writing life: the files are made to say that a writer is at
// work, and there is a segment to append to.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/storage/control_file.hpp>
#include <annals/storage/copying.hpp>
#include <annals/storage/opening.hpp>
#include <annals/storage/segment_list.hpp>
#include <annals/storage/spare.hpp>
#include <annals/storage/writer_context.hpp>

namespace annals::inline v1::storage {

/// Opens once for each partition; a try that fails leaves it shut and can be repeated. So a service
/// that is restarted over and over and sends nothing writes nothing. Calls must not overlap.
template <Platform P>
class Gate {
public:
    using SegmentPtr = std::shared_ptr<Segment<P>>;
    using Extent = format::Extent;

    /// What a life begins with.
    struct Life {
        SegmentPtr active;  ///< the last of the list, or to be appended to it
        Extent resume;
        ControlFile<P> control;
        std::uint64_t durable;  ///< records below this offset
    };

    Gate(std::shared_ptr<SegmentFiles<P> const> files, SegmentList<P> const& segments,
         OpenedPartition<P>&& opened)
        : files_{std::move(files)}, segments_{segments}, opened_{std::move(opened)} {
        opened_.segments.clear();  // the list has them
    }

    /// The offset behind all that opening found.
    [[nodiscard]] std::uint64_t end() const noexcept { return opened_.end; }
    /// All epochs of the partition, ascending.
    [[nodiscard]] std::vector<format::Epoch> const& epochs() const noexcept {
        return opened_.control.epochs;
    }

    /// Throws, having changed nothing that a reader sees: `no_space`, `sync_failed` and the like.
    [[nodiscard]] Life open(Spare<P>& spare, std::uint64_t first_capacity, Blocks blocks) {
        bool const goes_on = opened_.resume.has_value();
        bool const begins = segments_.last() == nullptr;
        if (goes_on) files_->ensure_blocks(segments_.last()->info());
        if (goes_on || begins) {
            begin_clean_life();
        } else {
            begin_epoch();
        }
        ControlFile<P> control{files_->directory(), opened_.control};
        if (goes_on) {
            SegmentPtr const last = segments_.last();
            last->start_writing(*opened_.resume);
            return {last, *opened_.resume, std::move(control), opened_.durable};
        }
        SegmentPtr const first = begin_segment(spare, first_capacity, blocks);
        if (!opened_.copy_from) return {first, first_->end, std::move(control), opened_.durable};
        control.set_syncing(0);  // what it warned of is in a new file
        return {first, first_->end, std::move(control), opened_.end};
    }

private:
    /// Clears the clean mark, durably: a log that was written to and not closed must say so.
    void begin_clean_life() {
        auto directory = files_->directory();
        bool is_stored = false;
        if (opened_.has_control) {
            is_stored = !detail::attempt([&] {
                ControlFile<P> control{directory, opened_.control};
                control.begin_life(files_->platform());
                control.sync();
            });
        }
        opened_.control.clean.reset();
        if (!is_stored) replace_control(directory, files_->platform(), opened_.control);
        opened_.has_control = true;
    }

    /// The writer before died: what is appended now belongs to another epoch, so that positions
    /// committed beyond what was kept are told from what comes in their place.
    void begin_epoch() {
        auto directory = files_->directory();
        format::Control control = opened_.control;
        std::uint64_t const last = control.epochs.back().number;
        if (!began_epoch_) control.epochs.push_back({last + 1, opened_.end});
        control.clean.reset();
        control.syncing = opened_.copy_from ? control.syncing : 0;
        replace_control(directory, files_->platform(), control);
        opened_.control = std::move(control);
        began_epoch_ = true;
    }

    /// The first segment of the partition, or of the epoch. Where it was made but could not be
    /// opened, the next try goes on with it: a second one would contradict it.
    [[nodiscard]] SegmentPtr begin_segment(Spare<P>& spare, std::uint64_t first_capacity,
                                           Blocks blocks) {
        if (!first_) first_ = make_first_segment(spare, first_capacity, blocks);
        auto segment = std::make_shared<Segment<P>>(files_, first_->info);
        segment->start_writing(first_->end);
        return segment;
    }

    /// Complete before it has a name; with what must be copied.
    [[nodiscard]] CopiedTail make_first_segment(Spare<P>& spare, std::uint64_t first_capacity,
                                                Blocks blocks) {
        SegmentPtr const last = segments_.last();
        SegmentInfo const info{.ordinal = spare.next_ordinal(),
                               .capacity = last ? last->info().capacity : first_capacity,
                               .base_offset = opened_.end,
                               .epoch = epochs().back().number,
                               .predecessor = last ? last->ordinal() : 0};
        CopiedTail made;
        if (opened_.copy_from) {
            made = copy_tail(*files_, segments_, info, {*opened_.copy_from, opened_.end}, blocks);
        } else {
            made.info = files_->create_active(info, blocks, [](auto&, auto&) {});
        }
        spare.used_ordinal(made.info.ordinal);
        return made;
    }

    std::shared_ptr<SegmentFiles<P> const> files_;
    SegmentList<P> const& segments_;
    OpenedPartition<P> opened_;
    bool began_epoch_ = false;
    std::optional<CopiedTail> first_;
};

}  // namespace annals::inline v1::storage
