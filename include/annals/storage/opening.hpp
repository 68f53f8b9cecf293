// SPDX-License-Identifier: MIT
// Opening a partition: which of its files are the log, where it ends, and, for a writer, making the
// files say so. A reader beside no living writer finds the same and changes nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/options.hpp>
#include <annals/storage/belief.hpp>
#include <annals/storage/completion.hpp>
#include <annals/storage/control_file.hpp>
#include <annals/storage/copied.hpp>
#include <annals/storage/first_pages.hpp>
#include <annals/storage/last_writer.hpp>
#include <annals/storage/recovery.hpp>
#include <annals/storage/segment.hpp>
#include <annals/storage/segment_files.hpp>
#include <annals/types.hpp>

namespace annals::inline v1::storage {

/// What opening found, and what a writer needs to go on.
template <Platform P>
struct OpenedPartition {
    std::vector<std::shared_ptr<Segment<P>>> segments{};
    format::Control control{};
    bool has_control = false;                ///< and the file says so
    std::optional<format::Extent> resume{};  ///< closed cleanly: go on in the last segment, here
    std::optional<SegmentInfo> spare{};      ///< made in advance and still unused
    std::uint64_t next_ordinal = 1;          ///< never used before
    std::uint64_t end = 0;
    std::uint64_t durable = 0;
    /// The page cache is no evidence of what the disk holds: records from here on must be copied to
    /// a new file before anything is appended.
    std::optional<std::uint64_t> copy_from{};
    std::optional<Error> refusal{};  ///< why nothing may be appended
    PartitionRecovery report{};
};

template <Platform P>
class Opening {
public:
    Opening(std::shared_ptr<SegmentFiles<P> const> files, Role role, AfterDeath rule)
        : files_{std::move(files)}, role_{role}, directory_{files_->directory()} {
        opened_.report.topic = files_->topic();
        opened_.report.partition = files_->partition();
        if (role_ == Role::writer) sweep_unfinished(directory_);
        last_ = find_last_writer(*files_, directory_, rule);
        opened_.control = last_.control;
        opened_.has_control = last_.has_control;
        opened_.report.ending = last_.ending();
        opened_.report.notes = last_.notes;
    }

    /// Throws `corrupt` where files of the log are missing or contradict each other, and
    /// `unsupported_format`. A damaged frame is not thrown but told in `refusal`: what lies before
    /// it stays readable.
    [[nodiscard]] OpenedPartition<P> open() {
        pages_ = read_first_pages(*files_);
        if (!pages_.empty()) opened_.next_ordinal = pages_.back().info.ordinal + 1;
        last_.bind_watermark(pages_);
        // One that binds for no file there is must not pass for this life's.
        if (last_.death != Death::none && !last_.watermark) opened_.control.watermark.reset();
        belief_.emplace(*files_, role_, last_, pages_);
        auto const superseded = superseded_from(pages_);
        std::size_t const first = first_to_keep(pages_, last_.beginning().value_or(0));
        for (std::size_t i = 0; i < pages_.size(); ++i) {
            i < first ? old_.push_back(pages_[i].info.ordinal) : admit(pages_[i], superseded[i]);
        }
        belief_->require_no_missing_segment();
        opened_.end = reach_.end;
        finish();
        // What is damaged is replaced by the first append.
        opened_.has_control = opened_.has_control && opened_.control.damaged.empty();
        return std::move(opened_);
    }

private:
    using SegmentType = Segment<P>;
    using Extent = format::Extent;

    void note(std::string text) { opened_.report.notes.push_back(std::move(text)); }

    // Which files are the log.

    /// From offset `superseded` on, a later copy holds the records.
    void admit(FirstPage const& page, std::uint64_t superseded) {
        Standing const standing = belief_->standing_of(page, superseded, reach_);
        if (standing == Standing::spare) opened_.spare = page.info;
        if (standing != Standing::in_log) return leftovers_.push_back(page.info.ordinal);
        if (!reach_.has_begun) begin_at(page.info.base_offset);
        auto segment = std::make_shared<SegmentType>(files_, page.info);
        opened_.segments.push_back(segment);
        opened_.spare.reset();
        if (superseded != SegmentType::no_limit) segment->set_limit(superseded - segment->base());
        examine(*segment, page);
    }

    void begin_at(std::uint64_t base) {
        reach_.has_begun = true;
        reach_.end = base;
        if (last_.beginning()) return;
        auto& control = opened_.control;
        std::uint64_t const known = control.beginning ? control.beginning->offset : 0;
        control.beginning = next_beginning(control, std::max(base, known));
    }

    // Where each of them ends.

    void examine(SegmentType& segment, FirstPage const& page) {
        std::uint64_t const base = segment.base();
        if (page.completion) {
            segment.set_finished({page.completion->count, page.completion->end},
                                 segment.ordinal() + 1);
            segment.set_completion(*page.completion);
            opened_.durable = reach_.end = base + std::min(page.completion->count, segment.limit());
            reach_.is_open = false;
            reserve_ordinals_below(page.successor);
            return;
        }
        if (last_.death == Death::none && opened_.control.clean->ordinal == segment.ordinal()) {
            Extent const end{opened_.control.clean->count, opened_.control.clean->end};
            require_fitting(end, segment);
            if (!is_sealed_at(*files_, segment.info(), end)) {
                bool const is_live = role_ == Role::live_reader;  // it may be appending already
                if (is_live || is_untouched(*files_, segment.ordinal(), end.place)) {
                    return resume_at(end, segment);
                }
                distrust_clean_mark();
            }
        }
        if (role_ != Role::live_reader) examine_incomplete(segment);
    }

    /// The clean mark says that nothing lies where something does: damage, or a control file from
    /// before. What it calls durable must be there, and of what is behind, what is good counts.
    void distrust_clean_mark() {
        is_distrusted_ = true;
        last_.death = Death::of_power;
        opened_.control.clean.reset();
        opened_.report.ending = last_.ending();
        note("something lies behind the end at which it was closed: kept as far as it is good");
    }

    /// Once the segment is repaired nobody would see any more why the mark is not to be believed.
    void store_distrust() {
        if (last_.is_suspect || opened_.refusal) return;  // then nothing is repaired
        control_file_.reset();
        auto const error = detail::attempt(
            [&] { replace_control(directory_, files_->platform(), opened_.control, last_.death); });
        if (!error) return;
        last_.is_suspect = true;
        note(error->what());
    }

    /// A seal said that what follows has at least this ordinal. Lower ones were used before: never
    /// again, or the next recovery would take a new segment for what this seal has shut out.
    void reserve_ordinals_below(std::uint64_t successor) {
        reach_.lowest_successor = std::max(reach_.lowest_successor, successor);
        opened_.next_ordinal = std::max(opened_.next_ordinal, successor);
    }

    void require_fitting(Extent end, SegmentType const& segment) const {
        if (end.place < format::first_frame_place || end.place > segment.claimable_end() ||
            end.place % format::frame_alignment != 0) {
            belief_->damaged("the clean mark does not fit the segment", segment.ordinal(),
                             end.place);
        }
    }

    void resume_at(Extent end, SegmentType& segment) {
        segment.raise_published(end);
        if (role_ == Role::reader) segment.cut_at(end);
        opened_.resume = end;
        opened_.durable = reach_.end = segment.base() + end.count;
        reach_.is_open = true;
    }

    void examine_incomplete(SegmentType& segment) {
        // Before its pages are evidence, they must be on the disk.
        if (role_ == Role::writer && !last_.is_suspect) sync_marked(segment);
        auto const pin = segment.pin();
        Evidence evidence{.capacity = segment.info().capacity,
                          .salt = segment.info().salt,
                          .durable = last_.durable_extent(segment.ordinal()),
                          .limit = segment.limit()};
        Findings findings = Examiner{segment.bytes_of(pin), evidence}.examine(last_.death);
        bool const reaches_limit = findings.end.count >= segment.limit();
        reach_.is_open = !findings.is_sealed && !reaches_limit;
        if (reach_.is_open && last_.was_durable(segment.ordinal() + 1) && !findings.damage) {
            findings.damage = Damage{findings.end.place, "a durable record fails its check"};
        }
        reach_.is_cut = reach_.is_open && findings.is_prefix;
        if (findings.is_sealed) reserve_ordinals_below(findings.successor);
        if (findings.damage) return keep_damage_visible(segment, findings, evidence.durable);
        opened_.durable = reach_.end = segment.base() + findings.end.count;
        opened_.report.records_voided += findings.records_voided();
        opened_.report.bytes_cut += findings.bytes_cut;
        incomplete_.push_back({opened_.segments.back(), std::move(findings)});
    }

    /// Nothing is appended, nothing is changed, and the log goes on beyond the damage as far as it
    /// is known to: who reads on meets the damage, not an end.
    void keep_damage_visible(SegmentType& segment, Findings const& findings, Extent durable) {
        std::uint64_t const followed = followed_from(segment, findings.end.count);
        reach_.is_damaged = true;
        reach_.is_cut = followed == SegmentType::no_limit;
        reach_.is_open = false;
        Extent known{findings.end.count + 1, findings.end.place};
        if (durable.count > findings.end.count) known = durable;
        if (!reach_.is_cut) known = {followed, findings.end.place};
        segment.cut_at(known);
        opened_.durable = reach_.end = segment.base() + known.count;
        if (opened_.refusal) return;
        ErrorDetails const details{
            .path = segment.path(), .segment = segment.ordinal(), .place = findings.damage->place};
        opened_.refusal =
            Error{Errc::corrupt,
                  detail::error_message(Errc::corrupt, findings.damage->what, details), details};
        note(opened_.refusal->what());
    }

    /// How many records the segment had, of which `good` are left, as far as a durable segment that
    /// follows it says so; `no_limit`: there is none.
    [[nodiscard]] std::uint64_t followed_from(SegmentType const& segment,
                                              std::uint64_t good) const {
        for (FirstPage const& page : pages_) {
            bool const follows = is_activated(page) && page.info.predecessor == segment.ordinal() &&
                                 page.info.base_offset >= segment.base() + good &&
                                 last_.was_durable(page.info.ordinal);
            if (follows) return page.info.base_offset - segment.base();
        }
        return SegmentType::no_limit;
    }

    // Making the files say so.

    /// Syncs a segment under the mark that says so. A failure leaves the mark: a later sync of the
    /// same file would return success over lost pages.
    void sync_marked(SegmentType& segment) {
        auto const error = detail::attempt([&] {
            auto file = files_->open_segment(segment.ordinal(), Access::write);
            writable_control().set_syncing(segment.ordinal(), files_->platform().boot_id());
            file.sync();
            writable_control().set_syncing(0);
        });
        if (!error) return;
        last_.is_suspect = true;
        note(error->what());
    }

    [[nodiscard]] ControlFile<P>& writable_control() {
        if (!control_file_) {
            if (!opened_.has_control) {
                // Nobody's: whoever comes after a death in the midst of this finds the same.
                publish_bytes(directory_, control_name, format::encode_control(opened_.control));
                opened_.has_control = true;
            }
            control_file_.emplace(directory_, opened_.control);
        }
        return *control_file_;
    }

    void finish() {
        bool const is_copied = !last_.is_in_place && !opened_.segments.empty();
        if (role_ == Role::writer && is_copied) sync_copied<P>(*files_, last_, opened_.segments);
        if (is_distrusted_ && role_ == Role::writer) store_distrust();
        for (auto& [segment, findings] : incomplete_) {
            bool const may_repair = role_ == Role::writer && !last_.is_suspect;
            if (may_repair && is_repaired(*segment, findings)) continue;
            segment->cut_at(findings.end);
            segment->set_gaps(std::move(findings.gaps));
        }
        add_epochs(opened_.control.epochs, opened_.segments, opened_.end);
        if (role_ != Role::live_reader) begin_no_later_than_end();
        if (role_ != Role::writer) return;
        if (last_.is_suspect) begin_copy();
        if (opened_.refusal) return;
        if (last_.death != Death::none) opened_.spare.reset();
        sweep_indexes<P>(directory_, opened_.segments);
        remove_leftovers();
        if (!old_.empty() && !last_.is_suspect) remove_old();
    }

    /// Of a directory that was copied while retention worked, the control file may be the younger
    /// part. Then nothing of the log is left, and it goes on where it is known to begin.
    void begin_no_later_than_end() {
        if (opened_.end >= last_.beginning().value_or(0)) return;
        if (opened_.resume || last_.is_suspect) {
            belief_->damaged("the log ends before it begins", opened_.next_ordinal - 1, 0);
        }
        note("nothing that was there lies behind the log's beginning");
        opened_.end = opened_.durable = *last_.beginning();
    }

    /// From the first record on that the disk is not known to hold.
    void begin_copy() {
        if (incomplete_.empty()) return;
        // What was closed here was durable, whatever cannot be synced once more; not so in a copy.
        if (last_.death == Death::none && last_.is_in_place) return;
        std::uint64_t from = incomplete_.front().first->base();
        for (auto const& [segment, findings] : incomplete_) {
            bool const is_named = last_.watermark && last_.watermark->ordinal == segment->ordinal();
            if (is_named) from = segment->base() + last_.watermark->count;
        }
        opened_.copy_from = opened_.durable = std::min(from, opened_.end);
        opened_.resume.reset();
        opened_.control.clean.reset();
        // Whoever opens before the copy is there must not trust the page cache either.
        opened_.control.syncing = incomplete_.front().first->ordinal();
        opened_.control.syncing_boot = files_->platform().boot_id();
        note("what is not known to be durable is copied to a new file by the first append");
    }

    /// Where it cannot be repaired, for want of space, say, it is read as if it had been, and the
    /// first append copies what is not known to be durable.
    [[nodiscard]] bool is_repaired(SegmentType& segment, Findings const& findings) {
        auto const error = detail::attempt([&] { repair(segment, findings); });
        if (!error) return true;
        last_.is_suspect = true;
        note(error->what());
        return false;
    }

    /// Writes voids and the seal, gives back the blocks behind it, and completes the segment.
    void repair(SegmentType& segment, Findings const& findings) {
        auto file = files_->open_segment(segment.ordinal(), Access::write);
        std::uint64_t const stored_end = findings.end.place + format::frame_header_bytes;
        file.allocate(detail::align_up(stored_end, format::page_bytes), Blocks::reserved);
        auto mapping = file.map(Access::write);
        writable_control().set_repairs(++opened_.control.repairs);
        std::uint64_t const salt = segment.info().salt;
        for (Gap const& gap : findings.gaps) store_void<P>(mapping.data(), salt, gap);
        bool const needs_seal = !findings.is_sealed && segment.limit() > findings.end.count;
        if (needs_seal) {
            store_seal<P>(mapping.data(), salt, findings.end, opened_.next_ordinal,
                          mapping.size() - findings.end.place);
            punch_behind<P>(file, mapping, stored_end);
        }
        segment.set_finished(findings.end, needs_seal ? opened_.next_ordinal : findings.successor);
        sync_marked(segment);
        if (!last_.is_suspect) complete_segment(*files_, segment, mapping);
    }

    /// What is no part of the log goes, but for the spare of a partition that was closed.
    void remove_leftovers() {
        bool removed = false;
        for (std::uint64_t const ordinal : leftovers_) {
            if (opened_.spare && opened_.spare->ordinal == ordinal) continue;
            files_->remove_segment(directory_, ordinal);
            removed = true;
            if (last_.death != Death::none) ++opened_.report.segments_removed;
        }
        if (removed) directory_.sync();
    }

    /// A death came between the storing of the log's beginning and the removal of what lies before
    /// it, or power loss has brought that back. What says so may not be durable here: only a new
    /// control file is beyond doubt.
    void remove_old() {
        opened_.control.syncing = 0;
        control_file_.reset();
        auto const error = detail::attempt(
            [&] { replace_control(directory_, files_->platform(), opened_.control); });
        if (error) return;  // on a full disk they go another time
        for (std::uint64_t const ordinal : old_) files_->remove_segment(directory_, ordinal);
        opened_.report.segments_removed += old_.size();
    }

    std::shared_ptr<SegmentFiles<P> const> files_;
    Role role_;
    typename P::Directory directory_;
    LastWriter last_;
    OpenedPartition<P> opened_;
    std::vector<FirstPage> pages_;
    std::optional<Belief<P>> belief_;
    std::vector<std::uint64_t> leftovers_;
    std::vector<std::uint64_t> old_;  // before the log's beginning
    std::vector<std::pair<std::shared_ptr<SegmentType>, Findings>> incomplete_;
    std::optional<ControlFile<P>> control_file_;
    Reach reach_;
    bool is_distrusted_ = false;  ///< the clean mark
};

}  // namespace annals::inline v1::storage
