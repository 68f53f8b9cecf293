// SPDX-License-Identifier: MIT
// The segments that are made in advance, so that no append waits for one to be made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/storage/segment_files.hpp>

namespace annals::inline v1::storage {

/// The spares, in the order in which they become part of the log, and the ordinals that were never
/// used. Any thread may call it; calls of `get`, `used` and `take_ordinal` must not overlap.
template <Platform P>
class Spares {
public:
    Spares(std::shared_ptr<SegmentFiles<P> const> files, std::optional<SegmentInfo> const& found,
           std::uint64_t next_ordinal)
        : files_{std::move(files)},
          may_have_holes_{found.has_value()},
          next_ordinal_{next_ordinal} {
        spares_.reserve(most);
        if (found) spares_.push_back(*found);
    }

    /// One is enough where a disk takes less time to make a segment than senders to fill one; the
    /// second is for when it is busy.
    static constexpr std::size_t most = 2;

    /// Makes one more where one is due. `capacity(last)`, where `last` is the last one's or 0, is
    /// asked once it is known that nobody else makes one, so that none is made for a segment that
    /// was rolled meanwhile; 0: none is due. Throws `no_space` and the like.
    template <class Capacity>
    void make_where_due(Capacity const& capacity, Blocks blocks) {
        std::lock_guard const turn{making_};
        auto const [count, last] = known();
        if (count == most) return;
        if (std::uint64_t const wanted = capacity(last)) make(wanted, blocks);
    }

    /// The first spare, made now where there is none of at least that capacity; those that are too
    /// small are removed. It stays the first until `used`. Where it is there nobody is waited for
    /// who makes the one behind it.
    [[nodiscard]] SegmentInfo get(std::uint64_t capacity, Blocks blocks) {
        is_in_use_.store(true);  // so that nobody waits for more than the piece under way
        if (auto const ready = find(capacity)) return *ready;
        std::lock_guard const turn{making_};
        while (known().count != 0 && spares_.front().capacity < capacity) discard_first();
        if (known().count == 0) make(capacity, blocks);
        if (may_have_holes_) files_->ensure_blocks(spares_.front());
        std::lock_guard const lock{mutex_};
        may_have_holes_ = false;
        is_in_use_.store(true);
        return spares_.front();
    }

    /// Brings the pages of the first one's first `bytes` into memory, by writing the zeros that
    /// they hold, `piece` bytes at a time and always a whole one: that takes two thirds of the time
    /// of a store to each page, where the file system then makes large pages of them. Nothing where
    /// there is no spare yet, or no descriptor for it, or it is in use: what a sender stored must
    /// never be written over. One thread's alone, and always with the same `piece`, of at most
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

    /// Those behind the first go: they were for senders that have ended.
    void keep_one() {
        std::lock_guard const turn{making_};
        while (known().count > 1) {
            remove(spares_.back());
            std::lock_guard const lock{mutex_};
            spares_.pop_back();
        }
    }

    /// Lets go of what was opened to be prepared. False: nothing was.
    bool close() { return take_open().has_value(); }

    /// The first spare has become part of the log.
    void used() noexcept { forget_first(); }

    /// The next segment will have at least this ordinal.
    [[nodiscard]] std::uint64_t lowest_next() const {
        std::lock_guard const lock{mutex_};
        return spares_.empty() ? next_ordinal_ : spares_.front().ordinal;
    }

    /// An ordinal for a segment that is not made in advance, which no spare gets; those that are
    /// there go. The same until `used_ordinal`: what a failure has left is replaced.
    [[nodiscard]] std::uint64_t take_ordinal() {
        std::lock_guard const turn{making_};
        while (known().count != 0) discard_first();
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
        if (spares_.empty() || may_have_holes_ || is_in_use_.load()) return false;
        std::uint64_t const begin = std::max(prepared_, format::first_frame_place);
        std::uint64_t const end = prepared_ + zeros.size();
        if (prepared_ >= bytes || end > spares_.front().capacity) return false;
        prepared_ = end;
        auto const error = detail::attempt([&] {
            if (!opened_) opened_.emplace(*files_, spares_.front().ordinal);
            opened_->file.write_at(begin, zeros.first(end - begin));
        });
        return !error;
    }

    struct Known {
        std::size_t count;
        std::uint64_t last;  ///< its capacity
    };

    [[nodiscard]] Known known() const {
        std::lock_guard const lock{mutex_};
        return {spares_.size(), spares_.empty() ? 0 : spares_.back().capacity};
    }

    /// The first spare, if nothing is left to be done about it.
    [[nodiscard]] std::optional<SegmentInfo> find(std::uint64_t capacity) const {
        std::lock_guard const lock{mutex_};
        bool const is_ready =
            !spares_.empty() && spares_.front().capacity >= capacity && !may_have_holes_;
        return is_ready ? std::optional{spares_.front()} : std::nullopt;
    }

    void make(std::uint64_t capacity, Blocks blocks) {
        SegmentInfo const made = files_->create_spare(next_ordinal_, capacity, blocks);
        std::lock_guard const lock{mutex_};
        spares_.push_back(made);
        ++next_ordinal_;
    }

    void discard_first() {
        remove(spares_.front());
        forget_first();
    }

    void remove(SegmentInfo const& spare) const {
        auto directory = files_->directory();
        files_->remove_segment(directory, spare.ordinal);
    }

    void forget_first() noexcept {
        std::lock_guard const lock{mutex_};
        spares_.erase(spares_.begin());
        may_have_holes_ = false;
        opened_.reset();
        is_in_use_.store(false);
        prepared_ = 0;
    }

    std::shared_ptr<SegmentFiles<P> const> files_;
    typename P::Mutex making_;  // of whoever makes or removes one, which may wait for the disk
    mutable typename P::Mutex mutex_;  // of the changes to what follows
    std::vector<SegmentInfo> spares_;
    bool may_have_holes_;  ///< an earlier life made the first, and it may have been copied since
    std::uint64_t next_ordinal_;
    std::optional<std::uint64_t> taken_;
    std::optional<WritableSegment<P>> opened_;
    std::uint64_t prepared_ = 0;
    typename P::template Atomic<bool> is_in_use_{false};  ///< or about to be
};

}  // namespace annals::inline v1::storage
