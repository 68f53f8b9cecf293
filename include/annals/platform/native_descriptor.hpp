// SPDX-License-Identifier: MIT
// Descriptors of Linux, the locks on them that the kernel releases when their process dies, and the
// calls that signals interrupt.
#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/platform/common.hpp>

namespace annals::inline v1::detail {

/// Calls again for as long as a signal interrupts.
template <class Call>
auto retry_interrupted(Call call) {
    for (;;) {
        auto const result = call();
        if (result != -1 || errno != EINTR) return result;
    }
}

/// The descriptors of this process that hold a lock. A forked child shares the open files behind
/// them and would keep its parent's lock beyond the parent's death, so there they are replaced at
/// once. They are not closed: the numbers still belong to objects that will.
class LockedDescriptors {
public:
    /// The only one. Never destroyed: forks and descriptors may come after the static objects.
    [[nodiscard]] static LockedDescriptors& instance() {
        static LockedDescriptors& registry = *new LockedDescriptors;
        return registry;
    }

    void add(int number) {
        std::lock_guard const lock{mutex_};
        numbers_.push_back(number);
    }
    void remove(int number) {
        std::lock_guard const lock{mutex_};
        std::erase(numbers_, number);
    }

private:
    LockedDescriptors() {
        ::pthread_atfork([] { instance().mutex_.lock(); }, [] { instance().mutex_.unlock(); },
                         [] { instance().replace_in_child(); });
    }

    // Closed first: there may be no descriptor left but that one. And what comes in its place needs
    // no file system, for the process may see none.
    void replace_in_child() noexcept {
        for (int const number : numbers_) {
            ::close(number);
            int const nothing = ::memfd_create("nothing", MFD_CLOEXEC);
            if (nothing < 0 || nothing == number) continue;
            ::dup3(nothing, number, O_CLOEXEC);
            ::close(nothing);
        }
        numbers_.clear();
        mutex_.unlock();
    }

    std::mutex mutex_;
    std::vector<int> numbers_;
};

/// An open descriptor, and the lock that it may hold; closed and released when destroyed.
class Descriptor {
public:
    Descriptor() noexcept = default;
    explicit Descriptor(int number) noexcept : number_{number} {}
    Descriptor(Descriptor&& other) noexcept
        : number_{std::exchange(other.number_, -1)}, locked_{std::exchange(other.locked_, false)} {}
    Descriptor& operator=(Descriptor other) noexcept {
        std::swap(number_, other.number_);
        std::swap(locked_, other.locked_);
        return *this;
    }
    ~Descriptor() {
        if (locked_) unlock();
        // Not retried: Linux has closed the descriptor even where it says EINTR.
        if (number_ >= 0) ::close(number_);
    }

    [[nodiscard]] int number() const noexcept { return number_; }
    [[nodiscard]] explicit operator bool() const noexcept { return number_ >= 0; }
    /// Gives the number away; the caller closes it.
    int release() noexcept { return std::exchange(number_, -1); }

    /// Locks the whole file for this open file alone; false where another has a lock on it.
    [[nodiscard]] bool try_lock(std::string const& path) {
        if (locked_) return true;
        struct flock request = whole_file(F_WRLCK);
        // Listed before it is locked: another thread may fork at any time.
        LockedDescriptors::instance().add(number_);
        locked_ = retry_interrupted([&] { return ::fcntl(number_, F_OFD_SETLK, &request); }) == 0;
        if (locked_) return true;
        int const reason = errno;
        LockedDescriptors::instance().remove(number_);
        if (reason == EAGAIN || reason == EACCES) return false;
        raise_system("not locked", path, reason);
    }

    /// Whether another open file has such a lock.
    [[nodiscard]] bool is_locked(std::string const& path) const {
        // What would conflict with a reader's lock is a writer's only.
        struct flock request = whole_file(F_RDLCK);
        if (::fcntl(number_, F_OFD_GETLK, &request) != 0)
            raise_system("lock not examined", path, errno);
        return request.l_type != F_UNLCK;
    }

private:
    [[nodiscard]] static struct flock whole_file(int type) noexcept {
        struct flock request {};  // from 0, and length 0: to the end, however far it grows
        request.l_type = static_cast<short>(type);
        request.l_whence = SEEK_SET;
        return request;
    }

    // Closing alone would leave the lock to a child that was forked and has not replaced it yet.
    void unlock() noexcept {
        LockedDescriptors::instance().remove(number_);
        struct flock request = whole_file(F_UNLCK);
        ::fcntl(number_, F_OFD_SETLK, &request);
    }

    int number_ = -1;
    bool locked_ = false;
};

}  // namespace annals::inline v1::detail
