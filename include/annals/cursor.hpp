// SPDX-License-Identifier: MIT
// Ordered reading across the segments of one partition.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/options.hpp>
#include <annals/record.hpp>
#include <annals/storage/partition_state.hpp>

namespace annals::inline v1 {

/// Goes from record to record of one partition and looks no further than it is told to. What
/// cursors, replays and consumers have in common; not part of the interface.
template <class P>
class BasicRecordReader {
public:
    using State = storage::PartitionState<P>;
    using Held = std::vector<std::shared_ptr<storage::Segment<P>>>;

    BasicRecordReader() = default;
    /// What is `held` is read also where the log has come to begin behind it.
    BasicRecordReader(std::shared_ptr<State> state, std::uint64_t offset, Check check,
                      std::shared_ptr<Held const> held = {}) noexcept
        : state_{std::move(state)}, held_{std::move(held)}, offset_{offset}, check_{check} {}

    /// The offset that is read next: behind all voids that were passed.
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
    [[nodiscard]] State& state() const noexcept {
        ANNALS_ASSERT(state_ != nullptr);  // moved from
        return *state_;
    }

    void seek(std::uint64_t offset) noexcept {
        offset_ = offset;
        segment_.reset();
    }

    /// Puts the next published record below `end` into `record`. False: there is none (yet). Throws
    /// `corrupt` where the record is damaged, `offset_out_of_range` where it was removed.
    [[nodiscard]] bool next(RecordView& record, std::uint64_t end) {
        ANNALS_ASSERT(state().process().is_this());  // a log does not go into a forked child
        do {
            if (take(record, end)) [[likely]]
                return true;
        } while (go_past(end));
        return false;
    }
    /// The next of all that handles may read.
    [[nodiscard]] bool next(RecordView& record) { return next(record, state().readable_end()); }

    /// Throws `offset_out_of_range` where the next offset lies before the log's beginning.
    void require_in_log() const {
        std::uint64_t const beginning = state_->segments().beginning();
        if (offset_ >= beginning) return;
        detail::raise(Errc::offset_out_of_range,
                      "offset " + std::to_string(offset_) + " lies before the log's beginning",
                      {.path = state_->files().path(),
                       .partition = state_->partition(),
                       .valid_range = OffsetRange{beginning, state_->published_end()}});
    }

private:
    /// Takes the record that is due if it lies here and is sound: all that a loop over records does
    /// at nearly every step, so nothing else is in it. Segment and bytes are looked up once, for a
    /// compiler must look again after each load with acquire.
    [[nodiscard, gnu::always_inline]] bool take(RecordView& record, std::uint64_t end) {
        storage::Segment<P>* const segment = segment_.get();
        if (segment == nullptr || offset_ >= end) return false;
        Bytes const bytes = segment->bytes_of(pin_);
        std::uint64_t const number = offset_ - segment->base();
        if (number >= segment->limit()) return false;
        auto const frame = segment->frame_at(bytes, place_);
        if (frame.word.state() != format::FrameState::data) return false;
        if (!passes(*segment, bytes, frame, number)) return false;
        if (!format::decode_frame(format::exact_frame(bytes, frame), record.frame_)) return false;
        record.offset_ = Offset{offset_};
        if (record.pin_.get() != pin_.get()) {
            record.pin_ = pin_;
            record.partition_ = state_->partition();
        }
        place_ = frame.end;
        ++offset_;
        return true;
    }

    /// Deals with whatever it is that take() does not take: no segment yet, a void, a seal, damage,
    /// the end. True: look again. False: there is nothing more below `end`, for now.
    [[nodiscard, gnu::noinline]] bool go_past(std::uint64_t end) {
        if (offset_ >= end) return false;
        if (!segment_) return enter();
        Bytes const bytes = segment_->bytes_of(pin_);
        std::uint64_t const number = offset_ - segment_->base();
        if (number >= segment_->limit()) return go_on() || !is_end();
        auto const frame = segment_->frame_at(bytes, place_);
        if (!frame || frame.word.state() == format::FrameState::seal) return go_on() || !is_end();
        bool const is_void = frame.word.state() == format::FrameState::voided;
        format::FrameView view;
        bool const is_whole =
            is_void || format::decode_frame(format::exact_frame(bytes, frame), view);
        if (!is_whole || !passes(*segment_, bytes, frame, number)) {
            leave_damaged({number, frame.place});
            return true;
        }
        if (is_void) {
            place_ = frame.end;
            offset_ += frame.records;
        }
        return true;
    }

    /// Finds the segment and place of the offset that is due.
    [[nodiscard]] bool enter() {
        return state_->find_again([&] { return find(); });
    }

    [[nodiscard]] bool find() {
        if (!held_) require_in_log();
        if (offset_ > state_->published_end()) return false;
        auto location = state_->locate(offset_);
        if (!location.segment) return false;
        std::uint64_t const found = location.segment->base() + location.extent.count;
        if (found > offset_) require_in_log();  // its segment went between the two looks
        offset_ = found;
        place_ = location.extent.place;
        pin_ = std::move(location.pin);
        segment_ = std::move(location.segment);
        return true;
    }

    /// The segment that has the offset by now, where that is not the one that was entered: a later
    /// one, or the same as whoever looked anew found it, with the voids that a dead writer left.
    [[nodiscard]] std::shared_ptr<storage::Segment<P>> next_segment() const {
        auto found = state_->segments().find(offset_);
        bool const is_next = found && found != segment_ && found->ordinal() >= segment_->ordinal();
        return is_next ? found : nullptr;
    }

    /// At a seal, or where this segment holds nothing (yet): to the segment that goes on, if there
    /// is one. It is found by offset, never by the next file's name.
    [[nodiscard]] bool go_on() {
        auto next = next_segment();
        if (!next) return false;
        typename storage::Segment<P>::Pin pin;
        auto const error = detail::attempt([&] { pin = state_->pin(*next); });
        if (error || next->base() != offset_) {
            next.reset();  // held, it would not go with its file
            segment_.reset();
            return enter();
        }
        pin_ = std::move(pin);
        place_ = format::first_frame_place;
        segment_ = std::move(next);
        return true;
    }

    /// Nothing lies here. That is the end, unless the log is known to go on: then what was here is
    /// damaged, and must not look like an end.
    [[nodiscard]] bool is_end() {
        if (!segment_ || offset_ >= state_->published_end()) return true;
        auto const frame = segment_->frame_at(segment_->bytes_of(pin_), place_);
        bool const just_published = offset_ - segment_->base() < segment_->limit() && frame &&
                                    frame.word.state() != format::FrameState::seal;
        if (just_published || next_segment()) return false;
        leave_damaged({offset_ - segment_->base(), place_});
        return false;
    }

    /// Whether the frame passes its check, as far as that was asked for.
    [[nodiscard, gnu::always_inline]] bool passes(storage::Segment<P>& segment, Bytes bytes,
                                                  format::FrameAt const& frame,
                                                  std::uint64_t number) const noexcept {
        if (frame.is_assumed) return true;
        std::uint64_t const verified = segment.verified_place();
        if (is_believed(bytes, frame, number, verified)) {
            // Whoever reads keys alone leaves gaps that no processor foresees.
            format::prefetch_small_behind(bytes, frame);
            return true;
        }
        if (!format::is_good(bytes, frame, number, segment.info().salt)) return false;
        if (frame.place == verified) segment.set_verified_place(frame.end);
        return true;
    }

    /// Whether the frame's check is not to be made: it was, or nobody wants it to be.
    [[nodiscard, gnu::always_inline]] bool is_believed(Bytes bytes, format::FrameAt const& frame,
                                                       std::uint64_t number,
                                                       std::uint64_t verified) const noexcept {
        if (check_ == Check::first_read) return frame.place < verified;
        bool const is_data = frame.word.state() == format::FrameState::data;
        return check_ == Check::never && is_data && format::has_number(bytes, frame, number);
    }

    /// Leaves the segment for the one that has the record instead, such as a copy of what could not
    /// be made durable; or throws `corrupt`.
    void leave_damaged(format::Extent at) {
        state_->refresh();
        auto const damaged = next_segment() ? nullptr : segment_;
        if (damaged && !held_) require_in_log();  // what is missing may just have been removed
        if (damaged) damaged->raise_damage(at);
        segment_.reset();
    }

    std::shared_ptr<State> state_;
    std::shared_ptr<Held const> held_;
    std::shared_ptr<storage::Segment<P>> segment_;
    typename storage::Segment<P>::Pin pin_;
    std::uint64_t place_ = 0;
    std::uint64_t offset_ = 0;
    Check check_ = Check::first_read;
};

/// Reads one partition record by record, and goes on when more is published. A small value; one
/// thread at a time.
template <class P>
class BasicCursor {
public:
    BasicCursor(std::shared_ptr<storage::PartitionState<P>> state, Offset from)
        : reader_{std::move(state), from.value(), Check::first_read} {}

    /// The next record; empty at the end of the log, which may grow. In the writing process it sees
    /// every record whose append had returned before the call. Throws `corrupt` with segment and
    /// place, and `offset_out_of_range` before the log's beginning.
    [[nodiscard]] std::optional<RecordView> next() {
        RecordView record;
        if (reader_.next(record)) return record;
        auto& state = reader_.state();
        if (reader_.offset() >= state.end()) return std::nullopt;
        if (!reader_.next(record)) return std::nullopt;
        return record;
    }

    /// The offset that is read next.
    [[nodiscard]] Offset offset() const noexcept { return Offset{reader_.offset()}; }

    /// Goes to any offset, also beyond the end: there it waits for the log.
    void seek(Offset offset) noexcept { reader_.seek(offset.value()); }

private:
    BasicRecordReader<P> reader_;
};

}  // namespace annals::inline v1
