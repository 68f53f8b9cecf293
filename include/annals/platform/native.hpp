// SPDX-License-Identifier: MIT
// The platform of production: Linux.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <annals/config.hpp>
#include <annals/detail/chrono.hpp>
#include <annals/platform/common.hpp>
#include <annals/platform/native_descriptor.hpp>
#include <annals/platform/native_directory.hpp>
#include <annals/platform/native_file.hpp>
#include <annals/platform/native_process.hpp>
#include <annals/platform/native_thread.hpp>
#include <annals/platform/platform.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {

/// The machine that the program runs on. Holds nothing; may be used from any threads.
class NativePlatform {
public:
    using Directory = NativeDirectory;
    using Mutex = std::mutex;
    using Thread = NativeThread;
    template <class T>
    using Atomic = std::atomic<T>;
    template <class T>
    using AtomicRef = std::atomic_ref<T>;

    static constexpr bool has_threads = true;

    static constexpr void store_point(std::byte const*, std::size_t) noexcept {}

    /// Opens the directory, following the symbolic links of the path. With Access::write what is
    /// missing of it is made (0700), and is durable when the call returns.
    [[nodiscard]] Directory open_directory(std::string const& path, Access access) const;

    [[nodiscard]] Timestamp now() const noexcept {
        return Timestamp{detail::read_clock(CLOCK_REALTIME)};
    }
    [[nodiscard]] Timestamp coarse_now() const noexcept {
        return Timestamp{detail::read_clock(CLOCK_REALTIME_COARSE)};
    }
    [[nodiscard]] std::chrono::nanoseconds steady_now() const noexcept {
        return detail::read_clock(CLOCK_MONOTONIC);
    }
    [[nodiscard]] std::uint64_t random() const;
    [[nodiscard]] BootId boot_id() const;
    [[nodiscard]] std::uint32_t process() const noexcept { return detail::process_number(); }

    void relax(unsigned attempt) const noexcept {
        if (attempt < yielding_attempt) return detail::pause_processor();
        if (attempt < 2 * yielding_attempt) return static_cast<void>(::sched_yield());
        detail::sleep_for(std::chrono::microseconds{50});
    }
    void wait(std::span<WaitWord const> words, std::chrono::nanoseconds timeout) const noexcept {
        detail::wait_for_words(words, timeout);
    }
    void wake(std::uint32_t const* word) const noexcept {
        ::syscall(SYS_futex, word, detail::futex_wake, INT_MAX, nullptr, nullptr, 0);
    }
};

namespace detail {

[[noreturn, gnu::cold]] inline void raise_not_opened(std::string const& path, int system_code) {
    if (system_code == ENOTDIR) raise(Errc::not_a_log, "not a directory", {.path = path});
    raise_system("directory not opened", path, system_code);
}

/// Makes durable the name of the directory that `parent`, which ends with "..", is the parent of.
inline void sync_name(int directory, std::string const& parent) {
    auto const opened = open_at(directory, parent.c_str(), O_RDONLY | O_DIRECTORY);
    // What we may pass through but not read is not ours to sync.
    if (!opened && errno == EACCES) return;
    if (opened && ::fsync(opened.number()) == 0) return;
    // A file system that is read only, where another is mounted, has nothing to make durable.
    bool const has_no_sync = opened && (errno == EINVAL || errno == EROFS);
    if (!has_no_sync) raise_sync_failed(parent, errno);
}

/// Makes what is missing of the path, one component after the other. Each name but the last is
/// durable before it gets an entry.
inline void make_path(std::string const& path) {
    auto current = open_at(AT_FDCWD, path.front() == '/' ? "/" : ".", O_PATH | O_DIRECTORY);
    if (!current) raise_not_opened(path, errno);
    std::string_view rest{path};
    while (!rest.empty()) {
        std::string const name{rest.substr(0, rest.find('/'))};
        rest.remove_prefix(name.size() < rest.size() ? name.size() + 1 : name.size());
        if (name.empty()) continue;
        auto next = open_at(current.number(), name.c_str(), O_PATH | O_DIRECTORY);
        if (!next && errno == ENOENT) {
            // Also where another made this one: he may have died before its name was durable.
            sync_name(current.number(), "..");
            if (::mkdirat(current.number(), name.c_str(), 0700) != 0 && errno != EEXIST)
                raise_system("directory not made", path, errno);
            next = open_at(current.number(), name.c_str(), O_PATH | O_DIRECTORY);
        }
        if (!next) raise_not_opened(path, errno);
        current = std::move(next);
    }
}

}  // namespace detail

inline NativeDirectory NativePlatform::open_directory(std::string const& path,
                                                      Access access) const {
    if (path.empty() || path.find('\0') != std::string::npos)
        detail::raise(Errc::invalid_argument, "not a path", {.path = path});
    auto const open = [&] {
        return detail::open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY);
    };
    auto found = open();
    if (!found && errno == ENOENT && access == Access::write) {
        detail::make_path(path);
        found = open();
    }
    if (!found) detail::raise_not_opened(path, errno);
    Directory directory{std::move(found), path};
    // An empty one may be new, made by us or by another who died before its name was durable.
    if (access == Access::write && directory.list().empty())
        detail::sync_name(AT_FDCWD, path + "/..");
    return directory;
}

inline std::uint64_t NativePlatform::random() const {
    std::uint64_t value = 0;
    if (::getentropy(&value, sizeof value) != 0) {
        detail::raise_system("no random number", "getentropy", errno);
    }
    return value;
}

inline BootId NativePlatform::boot_id() const {
    BootId id{};
    constexpr char const* path = "/proc/sys/kernel/random/boot_id";
    auto const file = detail::open_at(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW);
    // Who cannot ask now must not go on as one who is never told: a death would lose more.
    if (!file && errno != ENOENT && errno != EACCES)
        detail::raise_system("no boot id", path, errno);
    std::array<char, 36> text{};  // 8-4-4-4-12 hexadecimal digits
    if (::pread(file.number(), text.data(), text.size(), 0) != std::ssize(text)) return id;
    std::size_t digits = 0;
    for (char const c : text) {
        if (c == '-') continue;
        auto const digit = c <= '9' ? c - '0' : c - 'a' + 10;
        id[digits / 2 % id.size()] = id[digits / 2 % id.size()] << 4 | std::byte(digit);
        ++digits;
    }
    return id;
}

static_assert(Platform<NativePlatform>);

}  // namespace annals::inline v1
