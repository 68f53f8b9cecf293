// SPDX-License-Identifier: MIT
// Directories of Linux: every name is opened beneath a descriptor and no symbolic link is followed.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/platform/common.hpp>
#include <annals/platform/native_descriptor.hpp>
#include <annals/platform/native_file.hpp>
#include <annals/platform/platform.hpp>

namespace annals::inline v1 {

namespace detail {

/// The kinds by statfs(2)'s magic numbers.
[[nodiscard]] constexpr FileSystemKind file_system_kind(std::uint32_t magic) noexcept {
    switch (magic) {
        case 0x00006969:  // NFS
        case 0x0000517B:  // SMB
        case 0xFF534D42:  // CIFS
        case 0xFE534D42:  // SMB2
        case 0x00C36400:  // Ceph
        case 0x01021997:  // 9P
        case 0x5346414F:  // AFS
        case 0x6B414653:  // AFS of the kernel
        case 0x0BD00BD0:  // Lustre
        case 0x47504653:  // GPFS
            return FileSystemKind::network;
        case 0x9123683E:  // Btrfs
        case 0xCA451A4E:  // bcachefs
        case 0x2FC12FC1:  // ZFS
        case 0xF2F52010:  // F2FS
        case 0x00003434:  // NILFS
            return FileSystemKind::copy_on_write;
        case 0x01021994:  // tmpfs
        case 0x858458F6:  // ramfs
            return FileSystemKind::memory;
        case 0x794C7630: return FileSystemKind::overlay;
        case 0x65735546: return FileSystemKind::fuse;
        default: return FileSystemKind::ordinary;
    }
}

/// Empty where it fails, with the reason in errno. Never a standard stream's number, where those
/// are closed: what the program prints would go into the file.
[[nodiscard]] inline Descriptor open_at(int directory, char const* name, int flags,
                                        unsigned mode = 0) noexcept {
    Descriptor opened{
        retry_interrupted([&] { return ::openat(directory, name, flags | O_CLOEXEC, mode); })};
    if (!opened || opened.number() > STDERR_FILENO) return opened;
    return Descriptor{::fcntl(opened.number(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1)};
}

}  // namespace detail

/// An open directory. Its const members may be called from any threads.
class NativeDirectory {
public:
    using File = NativeFile;

    NativeDirectory(detail::Descriptor descriptor, std::string path) noexcept
        : descriptor_{std::move(descriptor)}, path_{std::move(path)} {}

    [[nodiscard]] std::string const& path() const noexcept { return path_; }

    [[nodiscard]] NativeDirectory open_directory(std::string_view name) const {
        if (auto found = find_directory(name)) return *std::move(found);
        fail("no such directory", name, ENOENT);
    }
    [[nodiscard]] std::optional<NativeDirectory> find_directory(std::string_view name) const;
    NativeDirectory make_directory(std::string_view name);

    [[nodiscard]] File open_file(std::string_view name, Access access) const {
        if (auto found = find_file(name, access)) return *std::move(found);
        fail("no such file", name, ENOENT);
    }
    [[nodiscard]] std::optional<File> find_file(std::string_view name, Access access) const;
    File create_file(std::string_view name);

    void rename(std::string_view from, std::string_view to);
    bool remove_file(std::string_view name) { return remove(name, 0); }
    bool remove_directory(std::string_view name) { return remove(name, AT_REMOVEDIR); }
    [[nodiscard]] std::vector<DirectoryEntry> list() const;

    void sync() {
        if (::fsync(descriptor_.number()) != 0) detail::raise_sync_failed(path_, errno);
    }

    [[nodiscard]] FileSystemKind file_system() const {
        struct statfs status {};
        if (::fstatfs(descriptor_.number(), &status) != 0)
            detail::raise_system("file system not examined", path_, errno);
        return detail::file_system_kind(static_cast<std::uint32_t>(status.f_type));
    }

private:
    [[nodiscard]] std::string path_of(std::string_view name) const {
        return path_ + '/' + std::string{name};
    }
    /// The name with an end that the system can see.
    [[nodiscard]] std::string checked(std::string_view name) const {
        detail::check_component(name, path_);
        return std::string{name};
    }
    [[nodiscard]] EntryKind kind_of(dirent const& entry) const noexcept;
    [[noreturn, gnu::cold]] void fail(std::string_view what, std::string_view name,
                                      int system_code) const {
        detail::raise_system(what, path_of(name), system_code);
    }
    bool remove(std::string_view name, int flags);

    detail::Descriptor descriptor_;
    std::string path_;
};

inline std::optional<NativeDirectory> NativeDirectory::find_directory(std::string_view name) const {
    auto const component = checked(name);
    auto found = detail::open_at(descriptor_.number(), component.c_str(),
                                 O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (found) return NativeDirectory{std::move(found), path_of(name)};
    if (errno == ENOENT) return std::nullopt;
    if (errno == ENOTDIR || errno == ELOOP)
        detail::raise(Errc::corrupt, "not a directory", {.path = path_of(name)});
    fail("directory not opened", name, errno);
}

inline NativeDirectory NativeDirectory::make_directory(std::string_view name) {
    auto const component = checked(name);
    if (::mkdirat(descriptor_.number(), component.c_str(), 0700) != 0 && errno != EEXIST)
        fail("directory not made", name, errno);
    return open_directory(name);
}

inline std::optional<NativeFile> NativeDirectory::find_file(std::string_view name,
                                                            Access access) const {
    // O_NONBLOCK: a FIFO in the file's place must not hold us up until somebody opens its other
    // end.
    int const flags = (access == Access::write ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK;
    auto const component = checked(name);
    auto found = detail::open_at(descriptor_.number(), component.c_str(), flags | O_NOCTTY);
    if (!found && errno == ENOENT) return std::nullopt;
    if (!found && errno != ELOOP && errno != EISDIR && errno != ENXIO)
        fail("file not opened", name, errno);
    struct stat status {};
    if (found && ::fstat(found.number(), &status) != 0) fail("file not examined", name, errno);
    if (!found || !S_ISREG(status.st_mode))
        detail::raise(Errc::corrupt, "not a regular file", {.path = path_of(name)});
    return NativeFile{std::move(found), path_of(name)};
}

inline NativeFile NativeDirectory::create_file(std::string_view name) {
    auto const component = checked(name);
    auto made = detail::open_at(descriptor_.number(), component.c_str(),
                                O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (!made) fail("file not created", name, errno);
    return NativeFile{std::move(made), path_of(name)};
}

inline void NativeDirectory::rename(std::string_view from, std::string_view to) {
    int const number = descriptor_.number();
    auto const old_name = checked(from);
    auto const new_name = checked(to);
    if (::renameat(number, old_name.c_str(), number, new_name.c_str()) != 0)
        fail("not renamed", from, errno);
}

inline bool NativeDirectory::remove(std::string_view name, int flags) {
    auto const component = checked(name);
    if (::unlinkat(descriptor_.number(), component.c_str(), flags) == 0) return true;
    if (errno == ENOENT) return false;
    fail("not removed", name, errno);
}

inline std::vector<DirectoryEntry> NativeDirectory::list() const {
    // An open file of its own: the position in a directory belongs to that, not to the descriptor.
    auto own = detail::open_at(descriptor_.number(), ".", O_RDONLY | O_DIRECTORY);
    std::unique_ptr<DIR, int (*)(DIR*)> const stream{own ? ::fdopendir(own.number()) : nullptr,
                                                     &::closedir};
    if (!stream) detail::raise_system("directory not listed", path_, errno);
    own.release();
    std::vector<DirectoryEntry> entries;
    errno = 0;
    while (dirent const* const entry = ::readdir(stream.get())) {
        std::string_view const name{entry->d_name};
        if (name != "." && name != "..")
            entries.push_back({.name = std::string{name}, .kind = kind_of(*entry)});
        errno = 0;
    }
    if (errno != 0) detail::raise_system("directory not listed", path_, errno);
    return entries;
}

inline EntryKind NativeDirectory::kind_of(dirent const& entry) const noexcept {
    if (entry.d_type == DT_REG) return EntryKind::file;
    if (entry.d_type == DT_DIR) return EntryKind::directory;
    struct stat status {};
    if (entry.d_type != DT_UNKNOWN ||
        ::fstatat(descriptor_.number(), entry.d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return EntryKind::other;
    if (S_ISREG(status.st_mode)) return EntryKind::file;
    return S_ISDIR(status.st_mode) ? EntryKind::directory : EntryKind::other;
}

}  // namespace annals::inline v1
