// SPDX-License-Identifier: MIT
// The log's lock file, and what it says of its holder: whether he has begun to write.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/format/control.hpp>
#include <annals/platform/platform.hpp>

namespace annals::inline v1::storage {

/// Never unlinked, never timed out: the kernel releases it when its holder dies.
inline constexpr std::string_view lock_name = "lock";

/// All zeros where the file says nothing that is whole.
template <PlatformFile File>
[[nodiscard]] format::LifeRecord read_life(File const& lock) {
    std::array<std::byte, sizeof(format::LifeRecord)> bytes{};
    format::LifeRecord life;
    (void)lock.read_at(0, bytes);
    bool const is_good = format::read_record(bytes, life) == format::RecordState::good;
    return is_good ? life : format::LifeRecord{};
}

/// A writer's life, from its first change of any partition to its end. Processes that read tell by
/// it what a living writer has begun from what a dead one has left, though somebody holds the lock.
/// A log that is opened and closed, and not written to, keeps every byte. Any thread may call it.
template <Platform P>
class WriterLife {
public:
    using File = typename P::Directory::File;

    /// Holds the lock that the caller has taken, and says that the life before has ended.
    void hold(File lock) {
        std::lock_guard const guard{mutex_};
        last_ = read_life(lock);
        lock_.emplace(std::move(lock));
        if (last_.ended != 0) return;
        auto const error = detail::attempt([&] { store({.started = last_.started, .ended = 1}); });
        // A file that says nothing, on a disk that is full, does no harm.
        if (error && last_.started != 0) detail::raise_again(*error);
    }

    /// When this life began: now, unless it has. Later than all before, whatever the clock says.
    [[nodiscard]] std::int64_t begin(P const& platform) {
        std::lock_guard const guard{mutex_};
        if (!lock_ || has_begun_) return last_.started;
        std::int64_t const now = platform.now().time_since_epoch().count();
        store({.started = std::max(now, last_.started + 1)});
        has_begun_ = true;
        return last_.started;
    }

    /// Lets go of the lock. What cannot be said of the end any more the next holder says.
    void end() noexcept {
        std::lock_guard const guard{mutex_};
        if (std::exchange(has_begun_, false)) {
            (void)detail::attempt([&] { store({.started = last_.started, .ended = 1}); });
        }
        lock_.reset();
    }

private:
    void store(format::LifeRecord const& life) {
        lock_->write_at(0, format::bytes_of(format::checked(life)));
        last_ = life;
    }

    typename P::Mutex mutex_;
    std::optional<File> lock_;
    format::LifeRecord last_;
    bool has_begun_ = false;
};

}  // namespace annals::inline v1::storage
