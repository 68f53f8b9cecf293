// SPDX-License-Identifier: MIT
// The segment that is made in advance, so that no append waits for one to be made.
#pragma once

#include <cstddef>
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
    Spare(std::shared_ptr<SegmentFiles<P> const> files, std::optional<SegmentInfo> const& found,
          std::uint64_t next_ordinal)
        : files_{std::move(files)},
          spare_{found},
          may_have_holes_{found.has_value()},
          next_ordinal_{next_ordinal} {}

    /// Makes one where there is none. `capacity()` is asked once it is known that nobody else does,
    /// so that none is made for a segment that was rolled meanwhile; 0: none is due. Throws
    /// `no_space` and the like.
    template <class Capacity>
    void make_where_missing(Capacity const& capacity, Blocks blocks) {
        std::lock_guard const turn{making_};
        if (spare_) return;
        if (std::uint64_t const wanted = capacity()) make(wanted, blocks);
    }

    /// The spare, made now where there is none of at least that capacity; one that is too small is
    /// removed. It stays the spare until `used`.
    [[nodiscard]] SegmentInfo get(std::uint64_t capacity, Blocks blocks) {
        std::lock_guard const turn{making_};
        if (spare_ && spare_->capacity < capacity) discard();
        if (!spare_) make(capacity, blocks);
        if (may_have_holes_) files_->ensure_blocks(*spare_);
        is_in_use_.store(true);  // so that nobody waits for more than the piece under way
        std::lock_guard const lock{mutex_};
        may_have_holes_ = false;
        return *spare_;
    }

    /// Brings the pages of its first `bytes` into memory, by writing the zeros that they hold,
    /// `piece` bytes at a time and always a whole one: that takes two thirds of the time of a store
    /// to each page, where the file system then makes large pages of them. Nothing where there is
    /// no spare yet, or no descriptor for it, or it is in use: what a sender stored must never be
    /// written over. One thread's alone, and always with the same `piece`, of at most
    /// `most_at_once`.
    void prepare(std::uint64_t bytes, std::uint64_t piece) {
        ANNALS_ASSERT(piece <= most_at_once);
        static std::byte zeros[most_at_once]{};  // there until the program's last log has ended
        while (prepare_piece(bytes, Bytes{zeros}.first(piece))) {
        }
    }
    static constexpr std::uint64_t most_at_once = std::uint64_t{256} << 10;

    /// What was opened to be prepared.
    [[nodiscard]] std::optional<WritableSegment<P>> take_open() {
        std::lock_guard const lock{mutex_};
        return std::exchange(opened_, std::nullopt);
    }

    /// Lets go of what was opened to be prepared. False: nothing was.
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

    /// An ordinal for a segment that is not made in advance, which no spare gets; the spare that is
    /// there goes. The same until `used_ordinal`: what a failure has left is replaced.
    [[nodiscard]] std::uint64_t take_ordinal() {
        std::lock_guard const turn{making_};
        if (spare_) discard();
        std::lock_guard const lock{mutex_};
        if (!taken_) taken_ = next_ordinal_++;
        return *taken_;
    }

    void used_ordinal() noexcept {
        std::lock_guard const lock{mutex_};
        taken_.reset();
    }

private:
    /// False: there is no more to do, or it cannot be done.
    [[nodiscard]] bool prepare_piece(std::uint64_t bytes, Bytes zeros) {
        std::lock_guard const lock{mutex_};
        if (!spare_ || may_have_holes_ || is_in_use_.load()) return false;
        std::uint64_t const begin = std::max(prepared_, format::first_frame_place);
        std::uint64_t const end = prepared_ + zeros.size();
        if (prepared_ >= bytes || end > spare_->capacity) return false;
        prepared_ = end;
        auto const error = detail::attempt([&] {
            if (!opened_) opened_.emplace(*files_, spare_->ordinal);
            opened_->file.write_at(begin, zeros.first(end - begin));
        });
        return !error;
    }

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
        is_in_use_.store(false);
        prepared_ = 0;
    }

    std::shared_ptr<SegmentFiles<P> const> files_;
    typename P::Mutex making_;  // of whoever makes or removes one, which may wait for the disk
    mutable typename P::Mutex mutex_;  // of the changes to what follows
    std::optional<SegmentInfo> spare_;
    bool may_have_holes_;  ///< an earlier life made it, and it may have been copied since
    std::uint64_t next_ordinal_;
    std::optional<std::uint64_t> taken_;
    std::optional<WritableSegment<P>> opened_;
    std::uint64_t prepared_ = 0;
    typename P::template Atomic<bool> is_in_use_{false};  ///< or about to be
};

}  // namespace annals::inline v1::storage
