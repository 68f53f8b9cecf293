// SPDX-License-Identifier: MIT
// How a process that only reads keeps up with a partition that others write to, one after another.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/storage/attachment.hpp>
#include <annals/storage/control_file.hpp>
#include <annals/storage/opening.hpp>
#include <annals/storage/segment_list.hpp>

namespace annals::inline v1::storage {

/// Compares what the lock and the control file say with what they said when the segments were last
/// looked for; so a look that finds nothing new does not list the directory, however many segments
/// there are. Any thread may call it. Borrows the list.
template <Platform P>
class Follower {
public:
    using SegmentPtr = std::shared_ptr<Segment<P>>;

    Follower(std::shared_ptr<SegmentFiles<P> const> files,
             std::shared_ptr<Attachment<P> const> attachment, SegmentList<P>& segments)
        : files_{std::move(files)}, attachment_{std::move(attachment)}, segments_{segments} {}

    /// Finds the log's segments anew; `adopt(opened)` takes over what was found.
    template <class Adopt>
    void open(Adopt const& adopt) {
        std::lock_guard const lock{mutex_};
        find_all(adopt);
        expect(durable());
    }

    /// Looks for what writers did since: new segments, a death, a successor, a new beginning.
    /// Throws `closed` where the topic was removed.
    template <class Adopt>
    void refresh(Adopt const& adopt) {
        std::lock_guard const lock{mutex_};
        Seen const now = look();
        if (now == seen_ && !now.is_live) return;
        auto const mark = durable();
        if (now != seen_ || may_go_on(now, mark)) find_changes(now, adopt);
        expect(mark);
    }

    /// What was durable when last somebody said so; by the watermark of a file that is still the
    /// one it was, or by the clean mark.
    [[nodiscard]] std::optional<format::Watermark> durable() const {
        auto const control = this->control();
        if (control && control->clean) return format::watermark_of(*control->clean);
        auto const mark = control ? control->watermark : std::nullopt;
        auto const file = mark ? files_->find_segment(mark->ordinal) : std::nullopt;
        if (!file) return std::nullopt;
        FileIdentity const identity = file->identity();
        bool const binds = identity.device == mark->device && identity.inode == mark->inode;
        return binds ? mark : std::nullopt;
    }

    /// The control file; nullopt where it is missing or bad. Throws `closed` where the topic was
    /// removed, and whatever has its name now is another.
    [[nodiscard]] std::optional<format::Control> control() const {
        std::optional<format::Control> control;
        auto const error =
            detail::attempt([&] { control = read_control(files_->directory()).control; });
        bool const is_ours = control && control->header.topic_id == files_->topic_id();
        if (!is_ours && !files_->is_topic_there()) {
            files_->set_removed();
            (void)files_->directory();  // throws
        }
        if (error) detail::raise_again(*error);
        return is_ours ? control : std::nullopt;
    }

private:
    /// What changes whenever a writer begins or ends its life, repairs what another left, or
    /// removes old segments.
    struct Seen {
        bool is_live = false;  ///< by a writer that lives: looked for after all the rest was read
        std::optional<format::WriterIdentity> writer{};
        std::uint64_t repairs = 0;
        std::uint64_t epoch = 0;  ///< the newest
        std::optional<format::CleanMark> clean{};
        std::optional<format::Beginning> beginning{};
        [[nodiscard]] friend bool operator==(Seen const&, Seen const&) = default;
    };

    /// So often a look is tried again that was overtaken by a writer's beginning or end.
    static constexpr unsigned most_tries = 100;

    /// Who has the log's lock has not begun here before the control file says so. What another left
    /// is until then what recovery makes of it, whatever of that was done in the files.
    [[nodiscard]] Seen look() const {
        Seen seen;
        if (auto const control = this->control()) {
            seen.writer = control->writer;
            seen.repairs = control->repairs;
            seen.epoch = control->epochs.empty() ? 0 : control->epochs.back().number;
            seen.clean = control->clean;
            seen.beginning = control->beginning;
        }
        auto const living = attachment_->living();
        seen.is_live = living && !seen.clean && seen.writer && is_its(*living, *seen.writer);
        return seen;
    }

    /// Whether what was written last is that life's, which is a living writer's.
    [[nodiscard]] bool is_its(std::int64_t life, format::WriterIdentity const& writer) const {
        bool const is_known = boot_ != BootId{} && writer.boot_id != BootId{};
        if (is_known && writer.boot_id != boot_) return false;
        return life == 0 || writer.started == life;
    }

    /// Whether something can lie behind the last segment: where its writer has sealed it, or a
    /// later one's epoch has begun, whose first segment comes after it is told; or is durable.
    [[nodiscard]] bool may_go_on(Seen const& now,
                                 std::optional<format::Watermark> const& mark) const {
        SegmentPtr const last = segments_.last();
        if (!last || last->info().epoch < now.epoch) return true;
        if (mark && mark->ordinal > last->ordinal()) return true;
        auto const error = detail::attempt([&] { (void)last->advance_published(); });
        return error || last->is_finished();
    }

    template <class Adopt>
    void find_changes(Seen const& now, Adopt const& adopt) {
        bool const is_same_life = now.is_live && seen_.is_live && now.writer == seen_.writer &&
                                  now.repairs == seen_.repairs;
        if (!is_same_life || !find_new()) return find_all(adopt);
        if (now.beginning) segments_.begin_at(now.beginning->offset);
        std::vector<std::uint64_t> dropped;
        (void)segments_.drop_old(dropped);
        seen_ = now;
    }

    /// What was found counts only if no writer came or went meanwhile, and a file that vanished
    /// between listing and opening is none of the log's any more.
    template <class Adopt>
    void find_all(Adopt const& adopt) {
        for (unsigned tries = 1;; ++tries) {
            Seen const before = look();
            std::optional<OpenedPartition<P>> found;
            auto const error = detail::attempt([&] {
                Role const role = before.is_live ? Role::live_reader : Role::reader;
                found = Opening<P>{files_, role, attachment_->rule()}.open();
            });
            bool const is_settled = before == look() && !(error && is_vanished(*error));
            if (!is_settled && tries < most_tries) {
                files_->platform().relax(yielding_attempt + tries);
                continue;
            }
            if (error) detail::raise_again(*error);
            adopt(*found);
            seen_ = before;
            return;
        }
    }

    /// What is durable is there, whatever it looks like: damage in it must not pass for the end of
    /// what a living writer has published.
    void expect(std::optional<format::Watermark> const& mark) {
        SegmentPtr segment = seen_.is_live ? segments_.first_unfinished() : nullptr;
        while (mark && segment && segment->ordinal() <= mark->ordinal) {
            SegmentPtr const next = segments_.next(segment->ordinal());
            if (next && next->ordinal() <= mark->ordinal) {
                if (detail::attempt([&] { (void)segment->advance_published(); })) return;
                std::uint64_t const count = next->base() - segment->base();
                if (!segment->is_finished()) segment->cut_at({count, segment->claimable_end()});
            } else if (segment->ordinal() == mark->ordinal) {
                segment->raise_published({mark->count, mark->end});
            }
            segment = next;
        }
    }

    [[nodiscard]] static bool is_vanished(Error const& error) {
        return error.code() == Errc::not_found;
    }

    /// Appends what came since. False: that does not go on from what is known.
    [[nodiscard]] bool find_new() {
        SegmentPtr last = segments_.last();
        bool has_last = !last;
        for (std::uint64_t const ordinal : files_->ordinals()) {
            has_last = has_last || ordinal == last->ordinal();
            if (last && (ordinal <= last->ordinal() || ordinal < last->successor())) continue;
            auto const file = files_->find_segment(ordinal);
            if (!file) continue;  // a spare that was replaced
            FirstPage const page = files_->read_first_page(*file, ordinal);
            if (page.activation != format::RecordState::good) break;
            bool const goes_on = has_last && !page.info.is_copy() &&
                                 page.info.predecessor == (last ? last->ordinal() : 0);
            if (!goes_on) return false;
            last = std::make_shared<Segment<P>>(files_, page.info);
            segments_.append(last);
        }
        return has_last;
    }

    std::shared_ptr<SegmentFiles<P> const> files_;
    std::shared_ptr<Attachment<P> const> attachment_;
    SegmentList<P>& segments_;
    BootId const boot_ = files_->platform().boot_id();
    mutable typename P::Mutex mutex_;  // of what follows, and of a look as a whole
    Seen seen_;
};

}  // namespace annals::inline v1::storage
