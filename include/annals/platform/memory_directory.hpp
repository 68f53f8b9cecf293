// SPDX-License-Identifier: MIT
// Directories of the simulated machine. There are no symbolic links on it.
#pragma once

#include <cerrno>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/platform/common.hpp>
#include <annals/platform/memory_file.hpp>
#include <annals/platform/memory_machine.hpp>
#include <annals/platform/platform.hpp>

namespace annals::inline v1 {

/// An open directory. Its const members may be called from any threads.
class MemoryDirectory {
public:
    using File = MemoryFile;

    MemoryDirectory(std::shared_ptr<detail::MemoryMachine> machine,
                    std::shared_ptr<detail::MemoryDirectoryNode> node, std::string path)
        : machine_{std::move(machine)}, node_{std::move(node)}, path_{std::move(path)} {}
    MemoryDirectory(MemoryDirectory&&) noexcept = default;
    MemoryDirectory& operator=(MemoryDirectory&&) noexcept = default;

    [[nodiscard]] std::string const& path() const noexcept { return path_; }

    [[nodiscard]] MemoryDirectory open_directory(std::string_view name) const {
        if (auto found = find_directory(name)) return *std::move(found);
        detail::raise_system("no such directory", path_of(name), ENOENT);
    }
    [[nodiscard]] std::optional<MemoryDirectory> find_directory(std::string_view name) const;
    MemoryDirectory make_directory(std::string_view name);

    [[nodiscard]] File open_file(std::string_view name, Access access) const {
        if (auto found = find_file(name, access)) return *std::move(found);
        detail::raise_system("no such file", path_of(name), ENOENT);
    }
    [[nodiscard]] std::optional<File> find_file(std::string_view name, Access access) const;
    File create_file(std::string_view name);

    void rename(std::string_view from, std::string_view to);
    bool remove_file(std::string_view name);
    bool remove_directory(std::string_view name);
    [[nodiscard]] std::vector<DirectoryEntry> list() const;

    void sync() {
        std::lock_guard const lock{machine_->mutex};
        int const code = machine_->failing(Operation::directory_sync);
        if (code != 0) detail::raise_sync_failed(path_, code);
        node_->make_durable();
    }

    [[nodiscard]] FileSystemKind file_system() const noexcept { return FileSystemKind::ordinary; }

private:
    [[nodiscard]] std::string path_of(std::string_view name) const {
        return path_ + '/' + std::string{name};
    }
    [[noreturn]] void fail(std::string_view what, std::string_view name, int system_code) const {
        detail::raise_system(what, path_of(name), system_code);
    }
    [[nodiscard]] std::unique_lock<std::mutex> locked() const {
        return std::unique_lock{machine_->mutex};
    }
    [[nodiscard]] detail::MemoryEntry find(std::string_view name) const {
        detail::check_component(name, path_);
        return node_->find(name);
    }
    /// A name can be given only in a directory that has one itself.
    void check_linked(std::string_view name) const {
        if (!node_->linked) fail("directory removed", name, ENOENT);
    }

    std::shared_ptr<detail::MemoryMachine> machine_;
    std::shared_ptr<detail::MemoryDirectoryNode> node_;
    std::string path_;
};

inline std::optional<MemoryDirectory> MemoryDirectory::find_directory(std::string_view name) const {
    auto const lock = locked();
    auto const found = find(name);
    if (!found) return std::nullopt;
    if (!found.directory) detail::raise(Errc::corrupt, "not a directory", {.path = path_of(name)});
    machine_->check(Operation::open, path_of(name));
    return MemoryDirectory{machine_, found.directory, path_of(name)};
}

inline MemoryDirectory MemoryDirectory::make_directory(std::string_view name) {
    if (auto found = find_directory(name)) return *std::move(found);
    auto const lock = locked();
    check_linked(name);
    machine_->check(Operation::make_directory, path_of(name));
    auto made = machine_->make_directory();
    node_->change({.name = std::string{name}, .entry = {.directory = made}});
    return {machine_, std::move(made), path_of(name)};
}

inline std::optional<MemoryFile> MemoryDirectory::find_file(std::string_view name,
                                                            Access access) const {
    auto const lock = locked();
    auto const found = find(name);
    if (!found) return std::nullopt;
    if (!found.file) detail::raise(Errc::corrupt, "not a regular file", {.path = path_of(name)});
    machine_->check(Operation::open, path_of(name));
    return File{machine_, found.file, path_of(name), access};
}

inline MemoryFile MemoryDirectory::create_file(std::string_view name) {
    auto const lock = locked();
    if (find(name)) fail("file not created", name, EEXIST);
    check_linked(name);
    machine_->check(Operation::create, path_of(name));
    auto made = machine_->make_file();
    node_->change({.name = std::string{name}, .entry = {.file = made}});
    return {machine_, std::move(made), path_of(name), Access::write};
}

inline void MemoryDirectory::rename(std::string_view from, std::string_view to) {
    auto const lock = locked();
    auto const moved = find(from);
    auto const replaced = find(to);
    if (!moved) fail("not renamed", from, ENOENT);
    machine_->check(Operation::rename, path_of(from));
    if (moved == replaced) return;
    if (moved.file && replaced.directory) fail("not renamed", from, EISDIR);
    if (moved.directory && replaced.file) fail("not renamed", from, ENOTDIR);
    if (replaced.directory && !replaced.directory->entries.empty())
        fail("not renamed", from, ENOTEMPTY);
    machine_->unlink(replaced);
    node_->change({.name = std::string{to}, .entry = moved, .old_name = std::string{from}});
}

inline bool MemoryDirectory::remove_file(std::string_view name) {
    auto const lock = locked();
    auto const found = find(name);
    if (!found) return false;
    if (!found.file) fail("not removed", name, EISDIR);
    machine_->check(Operation::remove, path_of(name));
    machine_->unlink(found);
    node_->change({.name = std::string{name}});
    return true;
}

inline bool MemoryDirectory::remove_directory(std::string_view name) {
    auto const lock = locked();
    auto const found = find(name);
    if (!found) return false;
    if (!found.directory) fail("not removed", name, ENOTDIR);
    if (!found.directory->entries.empty()) fail("not removed", name, ENOTEMPTY);
    machine_->check(Operation::remove, path_of(name));
    machine_->unlink(found);
    node_->change({.name = std::string{name}});
    return true;
}

inline std::vector<DirectoryEntry> MemoryDirectory::list() const {
    auto const lock = locked();
    machine_->check(Operation::list, path_);
    std::vector<DirectoryEntry> entries;
    for (auto const& [name, entry] : node_->entries)
        entries.push_back(
            {.name = name, .kind = entry.file ? EntryKind::file : EntryKind::directory});
    return entries;
}

}  // namespace annals::inline v1
