// SPDX-License-Identifier: MIT
// The directory of a log: telling it from others, making it, and its lock.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <annals/config.hpp>
#include <annals/detail/chrono.hpp>
#include <annals/error.hpp>
#include <annals/format/meta.hpp>
#include <annals/platform/platform.hpp>
#include <annals/storage/attachment.hpp>
#include <annals/storage/file_tools.hpp>

namespace annals::inline v1::storage {

template <Platform P>
[[nodiscard]] format::Id random_id(P const& platform) {
    std::uint64_t const words[2] = {platform.random(), platform.random()};
    format::Id id;
    std::memcpy(id.data(), words, id.size());
    return id;
}

/// Whether the directory holds a log; false: it is empty, or a log was just being made. Throws
/// `not_a_log` where it holds something else, `corrupt`, `unsupported_format`.
template <PlatformDirectory Directory>
[[nodiscard]] bool holds_log(Directory const& directory) {
    std::string const meta_path = directory.path() + "/" + std::string{format::log_meta_name};
    // Looked through first: another process may be just making the log, the description before all
    // that these entries must not be without.
    auto const entries = directory.list();
    if (auto const file = read_file(directory, format::log_meta_name)) {
        format::require_readable(*file, format::log_magic, meta_path);
        (void)format::require_record<format::LogMeta>(*file, 0, meta_path, "the log's description");
        return true;
    }
    for (DirectoryEntry const& entry : entries) {
        if (entry.name == "topics" || entry.name == "groups") {
            detail::raise(Errc::corrupt, "the log's description is missing", {.path = meta_path});
        }
        bool const is_expected = entry.name == lock_name ||
                                 entry.name == unfinished_name(format::log_meta_name) ||
                                 entry.name == "lost+found";  // of a disk mounted here
        if (!is_expected) {
            detail::raise(Errc::not_a_log, "the directory holds something else",
                          {.path = directory.path()});
        }
    }
    return false;
}

/// Makes what a log needs and the directory lacks. For who holds the lock. What an earlier writer
/// made may be visible and not durable, so the names are synced in any case.
template <PlatformDirectory Directory, Platform P>
void make_log(Directory& directory, P const& platform) {
    directory.remove_file(unfinished_name(format::log_meta_name));
    if (!holds_log(directory)) {
        auto const meta = format::checked(format::LogMeta{.log_id = random_id(platform)});
        publish_bytes(directory, format::log_meta_name, format::bytes_of(meta));
    }
    (void)directory.make_directory("topics");
    (void)directory.make_directory("groups");
    directory.sync();
}

/// Takes the lock, and waits for another writer to let go of it for at most `timeout`. It is the
/// caller's until the file object goes, or the process dies. Throws `locked`.
template <PlatformDirectory Directory, Platform P>
[[nodiscard]] typename Directory::File take_lock(Directory& directory, P const& platform,
                                                 std::chrono::nanoseconds timeout) {
    auto lock = directory.find_file(lock_name, Access::write);
    if (!lock) {
        // Two writers may race to make it; whoever comes second finds it.
        auto const error = detail::attempt([&] { (void)directory.create_file(lock_name); });
        if (error && error->system_code() != EEXIST) detail::raise_again(*error);
        lock = directory.open_file(lock_name, Access::write);
    }
    constexpr std::chrono::nanoseconds pause{std::chrono::milliseconds{5}};
    auto const start = platform.steady_now();
    while (!lock->try_lock()) {
        if (platform.steady_now() - start >= timeout) {
            detail::raise(Errc::locked, "another writer has the log", {.path = lock->path()});
        }
        platform.wait({}, pause);
    }
    return std::move(*lock);
}

}  // namespace annals::inline v1::storage
