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
#include <annals/storage/completion.hpp>
#include <annals/storage/control_file.hpp>
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

/// Who opens, and beside whom.
enum class Role : std::uint8_t {
    writer,       ///< holds the lock; repairs
    reader,       ///< nobody writes; finds what the writer would, in memory
    live_reader,  ///< beside a living writer, which has recovered already
};

template <Platform P>
class Opening {
public:
    Opening(std::shared_ptr<SegmentFiles<P> const> files, Role role, AfterDeath rule)
        : files_{std::move(files)}, role_{role}, directory_{files_->directory()} {
        opened_.report.topic = files_->topic();
        opened_.report.partition = files_->partition();
        if (role_ == Role::writer) sweep_unfinished(directory_);
        read_control(rule);
    }

    /// Throws `corrupt` where files of the log are missing or contradict each other, and
    /// `unsupported_format`. A damaged frame is not thrown but told in `refusal`: what lies before
    /// it stays readable.
    [[nodiscard]] OpenedPartition<P> open() {
        read_first_pages();
        for (FirstPage const& page : pages_) admit(page);
        require_no_missing_segment();
        finish();
        return std::move(opened_);
    }

private:
    using SegmentType = Segment<P>;
    using Extent = format::Extent;

    void note(std::string text) { opened_.report.notes.push_back(std::move(text)); }

    [[noreturn]] void damaged(std::string_view what, std::uint64_t ordinal,
                              std::uint64_t place) const {
        detail::raise(Errc::corrupt, what,
                      {.path = files_->segment_path(ordinal), .segment = ordinal, .place = place});
    }

    // How the last writer ended.

    void read_control(AfterDeath rule) {
        ControlFound found = storage::read_control(directory_);
        bool const ours = found.control && found.control->header.topic_id == files_->topic_id() &&
                          found.control->header.partition == files_->partition();
        if (ours) {
            opened_.control = std::move(*found.control);
            death_ = death_by(found.identity);
        } else {
            note(
                "no valid control file: the oldest segment is taken as the beginning, and what "
                "was durable is unknown");
            opened_.control.header = {.topic_id = files_->topic_id(),
                                      .partition = files_->partition()};
            death_ = Death::of_power;
        }
        if (death_ != Death::none && rule != AfterDeath::detect) {
            death_ = rule == AfterDeath::process_death ? Death::of_process : Death::of_power;
        }
        suspect_ = opened_.control.syncing != 0 && death_ == Death::of_process;
        constexpr Ending endings[] = {Ending::clean, Ending::process_death, Ending::power_loss};
        opened_.report.ending = endings[static_cast<std::size_t>(death_)];
    }

    [[nodiscard]] Death death_by(FileIdentity const& control) {
        if (opened_.control.clean) return Death::none;
        auto const& writer = opened_.control.writer;
        in_place_ = writer && writer->device == control.device && writer->inode == control.inode;
        BootId const boot = files_->platform().boot_id();
        bool const is_same_boot = boot != BootId{} && writer && writer->boot_id == boot;
        if (!in_place_ || !is_same_boot) return Death::of_power;
        if (writer->mount != control.mount) note("mounted anew since its last writer began");
        return Death::of_process;
    }

    // Which files are the log.

    void read_first_pages() {
        for (std::uint64_t const ordinal : files_->ordinals()) {
            auto const file = directory_.open_file(
                format::ordinal_name(ordinal, format::segment_suffix), Access::read);
            pages_.push_back(files_->read_first_page(file, ordinal));
            opened_.next_ordinal = ordinal + 1;
        }
        for (FirstPage const& page : pages_) {
            bool const is_named = watermark() && watermark()->ordinal == page.info.ordinal;
            if (is_named) binding_ = is_bound_to(*watermark(), page.identity);
        }
    }

    [[nodiscard]] std::optional<format::Watermark> const& watermark() const noexcept {
        return opened_.control.watermark;
    }

    [[nodiscard]] static bool is_bound_to(format::Watermark const& mark,
                                          FileIdentity const& identity) noexcept {
        return mark.device == identity.device && mark.inode == identity.inode;
    }

    /// Whether the watermark says that something of this segment was durable.
    [[nodiscard]] bool was_durable(std::uint64_t ordinal) const noexcept {
        return binding_ && watermark()->ordinal >= ordinal;
    }

    /// The lowest base offset of the copies that come after this ordinal: from there on its records
    /// are not the log's.
    [[nodiscard]] std::uint64_t superseded_from(std::uint64_t ordinal) const noexcept {
        std::uint64_t offset = ~std::uint64_t{0};
        for (FirstPage const& page : pages_) {
            bool const is_later_copy = page.info.ordinal > ordinal && page.info.is_copy() &&
                                       page.activation == format::RecordState::good;
            if (is_later_copy) offset = std::min(offset, page.info.base_offset);
        }
        return offset;
    }

    void admit(FirstPage const& page) {
        std::uint64_t const ordinal = page.info.ordinal;
        if (page.activation == format::RecordState::absent) {
            opened_.spare = page.info;
            leftovers_.push_back(ordinal);
            return;
        }
        if (page.activation == format::RecordState::bad || is_cut_) {
            // Beside a living writer it may just be on its way.
            bool const is_torn =
                role_ == Role::live_reader || (death_ != Death::none && !was_durable(ordinal));
            if (!is_torn)
                damaged("its activation fails its check", ordinal, format::activation_place);
            leftovers_.push_back(ordinal);
            return;
        }
        if (superseded_from(ordinal) <= page.info.base_offset || ordinal < lowest_successor_ ||
            !is_believed(page)) {
            leftovers_.push_back(ordinal);
            return;
        }
        auto segment = std::make_shared<SegmentType>(files_, page.info);
        opened_.segments.push_back(segment);
        opened_.spare.reset();
        examine(*segment, page);
    }

    /// A base offset is believed only where the log really goes on there.
    [[nodiscard]] bool is_believed(FirstPage const& page) {
        std::uint64_t const base = page.info.base_offset;
        if (opened_.segments.empty()) {
            auto const& beginning = opened_.control.beginning;
            if (beginning && base > beginning->offset) {
                damaged("the log begins before its first segment", page.info.ordinal, 0);
            }
            opened_.end = base;
            return true;
        }
        if (role_ == Role::live_reader || page.info.is_copy()) return true;
        if (ends_open_ || base != opened_.end) {
            if (is_empty(page)) return false;
            damaged("it begins at offset " + std::to_string(base) +
                        ", but the one before it ends at " + std::to_string(opened_.end),
                    page.info.ordinal, format::activation_place);
        }
        return true;
    }

    [[nodiscard]] bool is_empty(FirstPage const& page) const {
        auto const file = files_->open_segment(page.info.ordinal, Access::read);
        std::uint64_t word = 0;
        (void)file.read_at(format::first_frame_place,
                           MutableBytes{reinterpret_cast<std::byte*>(&word), sizeof word});
        return !format::FrameWord{word}.is_published();
    }

    void require_no_missing_segment() const {
        std::uint64_t named = 0;
        if (opened_.control.clean) named = opened_.control.clean->ordinal;
        if (in_place_ && watermark()) named = std::max(named, watermark()->ordinal);
        for (FirstPage const& page : pages_) {
            if (page.info.ordinal >= named) return;
        }
        if (named != 0) damaged("the segment is missing", named, 0);
    }

    // Where each of them ends.

    void examine(SegmentType& segment, FirstPage const& page) {
        segment_limits(segment);
        std::uint64_t const base = segment.base();
        if (page.completion) {
            segment.set_finished({page.completion->count, page.completion->end},
                                 segment.ordinal() + 1);
            segment.set_known_max_timestamp(page.completion->max_timestamp);
            opened_.end = base + std::min(page.completion->count, segment.limit());
            opened_.durable = opened_.end;
            ends_open_ = false;
            return;
        }
        if (death_ == Death::none && opened_.control.clean->ordinal == segment.ordinal()) {
            resume_at({opened_.control.clean->count, opened_.control.clean->end}, segment);
            return;
        }
        if (role_ != Role::live_reader) examine_incomplete(segment, page);
    }

    void segment_limits(SegmentType& segment) {
        std::uint64_t const superseded = superseded_from(segment.ordinal());
        if (superseded != SegmentType::no_limit) segment.set_limit(superseded - segment.base());
    }

    void resume_at(Extent end, SegmentType& segment) {
        if (end.place < format::first_frame_place || end.place > segment.claimable_end() ||
            end.place % format::frame_alignment != 0) {
            damaged("the clean mark does not fit the segment", segment.ordinal(), end.place);
        }
        segment.raise_published(end);
        opened_.resume = end;
        opened_.end = opened_.durable = segment.base() + end.count;
        ends_open_ = true;
    }

    void examine_incomplete(SegmentType& segment, FirstPage const& page) {
        // Before its pages are evidence, they must be on the disk.
        if (role_ == Role::writer && !suspect_) sync_marked(segment);
        auto const pin = segment.pin();
        Evidence evidence{.capacity = segment.info().capacity,
                          .salt = segment.info().salt,
                          .limit = segment.limit()};
        bool const is_named = binding_ && watermark()->ordinal == segment.ordinal();
        if (is_named && is_bound_to(*watermark(), page.identity)) {
            evidence.durable = {watermark()->count, watermark()->end};
        }
        Findings findings = Examiner{{pin->data(), evidence.capacity}, evidence}.examine(death_);
        bool const reaches_limit = findings.end.count >= segment.limit();
        ends_open_ = !findings.is_sealed && !reaches_limit;
        if (ends_open_ && was_durable(segment.ordinal() + 1) && !findings.damage) {
            findings.damage = Damage{findings.end.place, "a durable record fails its check"};
        }
        is_cut_ = ends_open_ && findings.is_prefix;
        if (findings.is_sealed) lowest_successor_ = findings.successor;
        account(segment, findings);
        if (!findings.damage) incomplete_.push_back({opened_.segments.back(), std::move(findings)});
    }

    void account(SegmentType& segment, Findings const& findings) {
        opened_.end = segment.base() + findings.end.count;
        opened_.report.records_voided += findings.records_voided();
        opened_.report.bytes_cut += findings.bytes_cut;
        opened_.durable = opened_.end;
        if (findings.damage) {
            is_cut_ = true;
            segment.raise_published(findings.end);
            opened_.refusal = Error{
                Errc::corrupt,
                detail::error_message(Errc::corrupt, findings.damage->what,
                                      {.path = segment.path(), .place = findings.damage->place}),
                {.path = segment.path(),
                 .segment = segment.ordinal(),
                 .place = findings.damage->place}};
            note(opened_.refusal->what());
        }
    }

    // Making the files say so.

    /// Syncs a segment under the mark that says so. A failure leaves the mark: a later sync of the
    /// same file would return success over lost pages.
    void sync_marked(SegmentType& segment) {
        auto file = files_->open_segment(segment.ordinal(), Access::write);
        writable_control().set_syncing(segment.ordinal());
        if (auto const error = detail::attempt([&] { file.sync(); })) {
            suspect_ = true;
            note(error->what());
            return;
        }
        writable_control().set_syncing(0);
    }

    [[nodiscard]] ControlFile<P>& writable_control() {
        if (!control_file_) {
            if (!directory_.find_file(control_name, Access::read)) {
                replace_control(directory_, files_->platform(), opened_.control);
            }
            control_file_.emplace(directory_, opened_.control);
        }
        return *control_file_;
    }

    void finish() {
        for (auto& [segment, findings] : incomplete_) {
            if (role_ == Role::writer && !suspect_) {
                repair(*segment, findings);
            } else if (role_ != Role::live_reader) {
                segment->set_limit(std::min(segment->limit(), findings.end.count));
                segment->set_finished(findings.end, segment->ordinal() + 1);
                segment->set_gaps(std::move(findings.gaps));
            }
        }
        adopt_epochs();
        if (role_ != Role::writer) return;
        if (suspect_) begin_copy();
        if (opened_.refusal) return;
        if (death_ != Death::none) opened_.spare.reset();
        remove_leftovers();
    }

    /// From the first record on that the disk is not known to hold.
    void begin_copy() {
        if (incomplete_.empty()) return;
        SegmentType const& first = *incomplete_.front().first;
        bool const is_named = binding_ && watermark()->ordinal == first.ordinal();
        std::uint64_t const from = first.base() + (is_named ? watermark()->count : 0);
        opened_.copy_from = opened_.durable = std::min(from, opened_.end);
        note(
            "a sync was under way, or failed: what is not known to be durable is copied to a new "
            "file by the first append");
    }

    /// Writes voids and the seal, gives back the blocks behind it, and completes the segment.
    void repair(SegmentType& segment, Findings const& findings) {
        auto file = files_->open_segment(segment.ordinal(), Access::write);
        auto mapping = file.map(Access::write);
        std::uint64_t const salt = segment.info().salt;
        for (Gap const& gap : findings.gaps) store_void<P>(mapping.data(), salt, gap);
        bool const needs_seal = !findings.is_sealed && segment.limit() > findings.end.count;
        if (needs_seal) {
            store_seal<P>(mapping.data(), salt, findings.end, opened_.next_ordinal);
            punch_behind(file, mapping, findings.end.place + format::frame_header_bytes);
        }
        segment.set_finished(findings.end, needs_seal ? opened_.next_ordinal : findings.successor);
        sync_marked(segment);
        if (!suspect_ && segment.limit() == SegmentType::no_limit) {
            complete_segment(*files_, segment, mapping);
        }
    }

    void punch_behind(typename SegmentType::File& file, typename SegmentType::Mapping& mapping,
                      std::uint64_t place) {
        std::uint64_t const page_end = detail::align_up(place, format::page_bytes);
        std::memset(mapping.data() + place, 0, page_end - place);
        P::store_point(mapping.data() + place, page_end - place);
        if (page_end < mapping.size()) file.punch(page_end, mapping.size() - page_end);
    }

    /// What is no part of the log goes, but for the spare of a partition that was closed.
    void remove_leftovers() {
        bool removed = false;
        for (std::uint64_t const ordinal : leftovers_) {
            if (opened_.spare && opened_.spare->ordinal == ordinal) continue;
            files_->remove_segment(directory_, ordinal);
            removed = true;
            if (death_ != Death::none) ++opened_.report.segments_removed;
        }
        if (removed) directory_.sync();
    }

    /// The control file's list and what the segments say: each completes the other.
    void adopt_epochs() {
        auto& epochs = opened_.control.epochs;
        for (auto const& segment : opened_.segments) {
            format::Epoch const epoch{segment->info().epoch, segment->base()};
            if (epochs.empty() || epochs.back().number < epoch.number) epochs.push_back(epoch);
        }
        if (epochs.empty()) epochs.push_back({1, opened_.end});
    }

    std::shared_ptr<SegmentFiles<P> const> files_;
    Role role_;
    typename P::Directory directory_;
    OpenedPartition<P> opened_;
    std::vector<FirstPage> pages_;
    std::vector<std::uint64_t> leftovers_;
    std::vector<std::pair<std::shared_ptr<SegmentType>, Findings>> incomplete_;
    std::optional<ControlFile<P>> control_file_;
    std::uint64_t lowest_successor_ = 0;
    Death death_ = Death::none;
    bool suspect_ = false;    ///< a sync was under way, or failed
    bool in_place_ = false;   ///< the control file is the one that its writer had
    bool binding_ = false;    ///< the watermark was taken from the file that has its name
    bool ends_open_ = false;  ///< the last admitted segment has no seal
    bool is_cut_ = false;     ///< the log ends in the last admitted segment, whatever follows
};

}  // namespace annals::inline v1::storage
