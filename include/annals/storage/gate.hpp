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
#include <annals/storage/capacity.hpp>
#include <annals/storage/control_file.hpp>
#include <annals/storage/copying.hpp>
#include <annals/storage/opening.hpp>
#include <annals/storage/segment_list.hpp>
#include <annals/storage/spares.hpp>
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
        SegmentPtr const last = segments_.last();
        auto const& clean = opened_.control.clean;
        was_closed_ = clean && clean->ordinal == (last ? last->ordinal() : 0);
    }

    /// The offset behind all that opening found.
    [[nodiscard]] std::uint64_t end() const noexcept { return opened_.end; }
    /// All epochs of the partition, ascending.
    [[nodiscard]] std::vector<format::Epoch> const& epochs() const noexcept {
        return opened_.control.epochs;
    }

    /// Whether records must be copied to a new file before anything else is done with the log.
    [[nodiscard]] bool must_copy() const noexcept { return opened_.copy_from.has_value(); }
    /// Whether the life before was closed in the midst of a segment, where this one goes on.
    [[nodiscard]] bool goes_on() const noexcept { return opened_.resume.has_value(); }

    /// The log begins at `offset`, durably when this returns. Before the gate opens.
    void store_beginning(std::uint64_t offset) {
        format::Control control = opened_.control;
        control.beginning = next_beginning(control, offset);
        store_control(std::move(control),
                      [&](ControlFile<P>& file) { file.set_beginning(offset); });
    }

    /// Throws, having changed nothing that a reader sees: `no_space`, `sync_failed` and the like.
    [[nodiscard]] Life open(Spares<P>& spares, WriterContext<P>& context, Blocks blocks) {
        if (goes_on()) files_->ensure_blocks(segments_.last()->info());
        std::int64_t const started = context.life.begin(context.platform);
        was_closed_ ? begin_clean_life(started) : begin_epoch(started);
        ControlFile<P> control{files_->directory(), opened_.control};
        if (goes_on()) {
            SegmentPtr const last = segments_.last();
            last->start_writing(*opened_.resume);
            return {last, *opened_.resume, std::move(control), opened_.durable};
        }
        SegmentPtr const first = begin_segment(spares, context.segment_bytes, blocks, control);
        if (!opened_.copy_from) return {first, first_->end, std::move(control), opened_.durable};
        // What the mark warned of is in a new file.
        control.begin_life(files_->platform(), started);
        return {first, first_->end, std::move(control), opened_.end};
    }

private:
    /// Clears the clean mark, durably: a log that was written to and not closed must say so. The
    /// names first, for the life before may have made some that it could not make durable.
    void begin_clean_life(std::int64_t started) {
        files_->directory().sync();
        format::Control control = opened_.control;
        control.clean.reset();
        control.writer = format::WriterIdentity{.started = started};
        store_control(std::move(control),
                      [&](ControlFile<P>& file) { file.begin_life(files_->platform(), started); });
    }

    /// Changes the control file in place where the life before closed it, or else, or where that
    /// fails, replaces it by `control`: one whose sync has failed must not be synced again, and of
    /// another's nobody knows. On a full disk it must do, or what is too old could not go.
    template <class Change>
    void store_control(format::Control control, Change const& change) {
        auto directory = files_->directory();
        auto const change_in_place = [&] {
            opened_.has_control = opened_.has_control && !detail::attempt([&] {
                                      ControlFile<P> file{directory, opened_.control};
                                      change(file);
                                      file.sync();
                                  });
            return opened_.has_control;
        };
        if (!was_closed_ || !change_in_place()) {
            auto const error = detail::attempt(
                [&] { replace_control(directory, files_->platform(), control, death_so_far()); });
            bool const is_full = error && error->code() == Errc::no_space;
            if (error && !(is_full && change_in_place())) detail::raise_again(*error);
        }
        opened_.has_control = true;
        opened_.control = std::move(control);
    }

    /// What whoever opens after a death of this life has to reckon with: until what power loss has
    /// left is copied, that.
    [[nodiscard]] Death death_so_far() const noexcept {
        bool const is_left = opened_.copy_from && opened_.report.ending == Ending::power_loss;
        return is_left ? Death::of_power : Death::of_process;
    }

    /// The writer before died: what is appended now belongs to another epoch, so that positions
    /// committed beyond what was kept are told from what comes in their place. Where records must
    /// be copied this life has not begun before they are: until then readers go on with what the
    /// writer before has left.
    void begin_epoch(std::int64_t started) {
        auto directory = files_->directory();
        format::Control control = opened_.control;
        std::uint64_t const last = control.epochs.back().number;
        if (!began_epoch_ && segments_.last()) control.epochs.push_back({last + 1, opened_.end});
        control.clean.reset();
        if (!opened_.copy_from) {
            control.syncing = 0;
            control.writer = format::WriterIdentity{.started = started};
        }
        replace_control(directory, files_->platform(), control, death_so_far());
        opened_.control = std::move(control);
        began_epoch_ = true;
    }

    /// The first segment of the partition, or of the epoch. Where it was made but could not be
    /// opened, the next try goes on with it: a second one would contradict it.
    [[nodiscard]] SegmentPtr begin_segment(Spares<P>& spares, std::uint64_t segment_bytes,
                                           Blocks blocks, ControlFile<P>& control) {
        if (!first_) {
            bool const has_failed = std::exchange(has_tried_, true);
            first_ = make_first_segment(spares, segment_bytes, blocks);
            // What failed may have had its name, and readers, before it was replaced.
            if (has_failed) control.set_repairs(++opened_.control.repairs);
        }
        auto segment = std::make_shared<Segment<P>>(files_, first_->info);
        segment->start_writing(first_->end);
        return segment;
    }

    /// Complete before it has a name; with what must be copied.
    [[nodiscard]] CopiedTail make_first_segment(Spares<P>& spares, std::uint64_t segment_bytes,
                                                Blocks blocks) {
        SegmentPtr const last = segments_.last();
        SegmentInfo const info{.ordinal = spares.take_ordinal(),
                               .capacity = last ? std::min(last->info().capacity, segment_bytes)
                                                : first_capacity(segment_bytes),
                               .base_offset = opened_.end,
                               .epoch = epochs().back().number,
                               .predecessor = last ? last->ordinal() : 0};
        CopiedTail made;
        if (opened_.copy_from) {
            made = copy_tail(*files_, segments_, info, {*opened_.copy_from, opened_.end}, blocks);
        } else {
            made.info = files_->create_active(info, blocks, [](auto&, auto&) {});
        }
        spares.used_ordinal();
        return made;
    }

    std::shared_ptr<SegmentFiles<P> const> files_;
    SegmentList<P> const& segments_;
    OpenedPartition<P> opened_;
    bool was_closed_;
    bool began_epoch_ = false;
    bool has_tried_ = false;
    std::optional<CopiedTail> first_;
};

}  // namespace annals::inline v1::storage
