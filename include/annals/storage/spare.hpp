// SPDX-License-Identifier: MIT
// The segment that is made in advance, so that no append waits for one to be made.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <annals/config.hpp>
#include <annals/storage/segment_files.hpp>

namespace annals::inline v1::storage {

/// At most one spare, and the ordinals that were never used. Any thread may call it.
template <Platform P>
class Spare {
public:
    using Mapping = typename SegmentFiles<P>::Mapping;

    Spare(std::shared_ptr<SegmentFiles<P> const> files, std::optional<SegmentInfo> const& found,
          std::uint64_t next_ordinal)
        : files_{std::move(files)},
          spare_{found},
          may_have_holes_{found.has_value()},
          next_ordinal_{next_ordinal} {}

    /// Makes one where there is none. Throws `no_space` and the like.
    void make_where_missing(std::uint64_t capacity, Blocks blocks) {
        std::lock_guard const turn{making_};
        if (!spare_) make(capacity, blocks);
    }

    /// The spare, made now where there is none of at least that capacity; one that is too small is
    /// removed. It stays the spare until `used`.
    [[nodiscard]] SegmentInfo get(std::uint64_t capacity, Blocks blocks) {
        std::lock_guard const turn{making_};
        if (spare_ && spare_->capacity < capacity) discard();
        if (!spare_) make(capacity, blocks);
        if (may_have_holes_) files_->ensure_blocks(*spare_);
        std::lock_guard const lock{mutex_};
        may_have_holes_ = false;
        return *spare_;
    }

    /// Makes the pages of its first bytes present, which are about to be stored to. Nothing where
    /// there is no spare yet, or no descriptor for it. Does not wait for one that is being made.
    void populate(std::uint64_t bytes) {
        std::shared_ptr<Mapping> mapping;
        {
            std::lock_guard const lock{mutex_};
            if (!spare_ || may_have_holes_) return;
            if (!opened_) {
                if (detail::attempt([&] { opened_.emplace(*files_, spare_->ordinal); })) return;
                populated_ = 0;
            }
            mapping = opened_->mapping;
        }
        if (bytes <= populated_) return;
        mapping->populate(populated_, bytes - populated_);
        populated_ = bytes;
    }

    /// What was opened to be populated.
    [[nodiscard]] std::optional<WritableSegment<P>> take_open() {
        std::lock_guard const lock{mutex_};
        return std::exchange(opened_, std::nullopt);
    }

    /// Lets go of what was opened to be populated. False: nothing was.
    bool close() { return take_open().has_value(); }

    /// The spare has become part of the log.
    void used() noexcept {
        std::lock_guard const turn{making_};
        forget();
    }

    /// The next segment will have at least this ordinal.
    [[nodiscard]] std::uint64_t lowest_next() const {
        std::lock_guard const lock{mutex_};
        return spare_ ? spare_->ordinal : next_ordinal_;
    }

    /// An ordinal for a segment that is not made in advance; the spare, whose ordinal is lower,
    /// goes.
    [[nodiscard]] std::uint64_t next_ordinal() {
        std::lock_guard const turn{making_};
        if (spare_) discard();
        return next_ordinal_;
    }

    void used_ordinal(std::uint64_t ordinal) noexcept {
        std::lock_guard const turn{making_};
        std::lock_guard const lock{mutex_};
        next_ordinal_ = std::max(next_ordinal_, ordinal + 1);
    }

private:
    void make(std::uint64_t capacity, Blocks blocks) {
        SegmentInfo const made = files_->create_spare(next_ordinal_, capacity, blocks);
        std::lock_guard const lock{mutex_};
        spare_ = made;
        may_have_holes_ = false;
        ++next_ordinal_;
    }

    void discard() {
        auto directory = files_->directory();
        files_->remove_segment(directory, spare_->ordinal);
        forget();
    }

    void forget() noexcept {
        std::lock_guard const lock{mutex_};
        spare_.reset();
        opened_.reset();
    }

    std::shared_ptr<SegmentFiles<P> const> files_;
    typename P::Mutex making_;  // of whoever makes or removes one, which may wait for the disk
    mutable typename P::Mutex mutex_;  // of the changes to what follows
    std::optional<SegmentInfo> spare_;
    bool may_have_holes_;  ///< an earlier life made it, and it may have been copied since
    std::uint64_t next_ordinal_;
    std::optional<WritableSegment<P>> opened_;
    std::uint64_t populated_ = 0;  ///< of what is open; the populating thread's
};

}  // namespace annals::inline v1::storage
