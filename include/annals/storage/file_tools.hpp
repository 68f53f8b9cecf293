// SPDX-License-Identifier: MIT
// Small things done with whole files: reading them, and letting a name appear complete or not at
// all.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/platform/platform.hpp>

namespace annals::inline v1::storage {

/// Whether it can name a topic or group: only [A-Za-z0-9._-], 1 to 249 bytes, no leading dot.
[[nodiscard]] inline bool is_name(std::string_view name) noexcept {
    auto const is_allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    };
    bool is_good = !name.empty() && name.size() <= 249 && name.front() != '.';
    for (char const c : name) is_good = is_good && is_allowed(c);
    return is_good;
}

/// Throws `invalid_name` for what cannot name a topic or group.
inline void require_name(std::string_view name, std::string_view what) {
    if (is_name(name)) return;
    std::string shown;
    for (char const c : name.substr(0, 60)) shown.push_back(c >= ' ' && c <= '~' ? c : '?');
    detail::raise(Errc::invalid_name, "\"" + shown + "\" cannot name " + std::string{what} +
                                          ": 1 to 249 of A-Z a-z 0-9 . _ -, no leading dot");
}

/// The directory of exactly that name; nullopt: there is none. Throws `invalid_name` where the file
/// system takes another's name for it, as those do that fold case: both would have one's files.
template <class Directory>
[[nodiscard]] auto find_exactly(Directory const& parent, std::string_view name)
    -> decltype(parent.find_directory(name)) {
    auto found = parent.find_directory(name);
    if (!found) return found;
    for (DirectoryEntry const& entry : parent.list()) {
        if (entry.name == name) return found;
    }
    if (!parent.find_directory(name)) return std::nullopt;  // it went between the two looks
    detail::raise(Errc::invalid_name, "the file system takes this for a name that is there already",
                  {.path = parent.path() + "/" + std::string{name}});
}

/// Names that begin so are unfinished work of a writer; they are swept when the log is opened.
inline constexpr std::string_view unfinished_prefix = ".tmp-";

[[nodiscard]] inline std::string unfinished_name(std::string_view name) {
    return std::string{unfinished_prefix}.append(name);
}

/// Whether this is what `unfinished_name` makes, and no other's.
[[nodiscard]] inline bool is_unfinished_name(std::string_view name) noexcept {
    return name.starts_with(unfinished_prefix) && is_name(name.substr(unfinished_prefix.size()));
}

/// Runs at the end of a scope unless dismissed.
template <class F>
class [[nodiscard]] Rollback {
public:
    explicit Rollback(F undo) : undo_{std::move(undo)} {}
    Rollback(Rollback const&) = delete;
    Rollback& operator=(Rollback const&) = delete;
    ~Rollback() {
        if (armed_) undo_();
    }
    void dismiss() noexcept { armed_ = false; }

private:
    F undo_;
    bool armed_ = true;
};

/// Files of Annals that are read whole are small; a larger one is not what its name says.
inline constexpr std::uint64_t max_small_file_bytes = std::uint64_t{64} << 20;

template <PlatformFile File>
[[nodiscard]] std::vector<std::byte> read_whole(File const& file) {
    std::uint64_t const size = file.size();
    if (size > max_small_file_bytes) {
        detail::raise(Errc::corrupt, "larger than such a file can be", {.path = file.path()});
    }
    std::vector<std::byte> bytes(size);
    bytes.resize(file.read_at(0, bytes));
    return bytes;
}

/// The named file's bytes; nullopt where there is no such file.
template <PlatformDirectory Directory>
[[nodiscard]] std::optional<std::vector<std::byte>> read_file(Directory const& directory,
                                                              std::string_view name) {
    auto const file = directory.find_file(name, Access::read);
    if (!file) return std::nullopt;
    return read_whole(*file);
}

/// Makes a file that appears under `name` with what `fill(file)` writes, or not at all; what had
/// the name before is replaced. Not durable. Throws what the platform throws, and leaves nothing
/// behind.
template <PlatformDirectory Directory, class Fill>
void replace_file(Directory& directory, std::string_view name, Fill const& fill) {
    std::string const unfinished = unfinished_name(name);
    directory.remove_file(unfinished);
    auto file = directory.create_file(unfinished);
    Rollback remove{[&] {
        // Where even this fails the name is swept at the next opening.
        (void)detail::attempt([&] { directory.remove_file(unfinished); });
    }};
    fill(file);
    directory.rename(unfinished, name);
    remove.dismiss();
}

/// The same, and durable: the file before it has its name, and the name.
template <PlatformDirectory Directory, class Fill>
void publish_file(Directory& directory, std::string_view name, Fill const& fill) {
    replace_file(directory, name, [&](auto& file) {
        fill(file);
        file.sync();
    });
    directory.sync();
}

template <PlatformDirectory Directory>
void publish_bytes(Directory& directory, std::string_view name, Bytes bytes) {
    publish_file(directory, name, [&](auto& file) { file.write_at(0, bytes); });
}

/// Publishes `bytes` in place of `old`. Where that throws, the new file may have its name already,
/// so `old` is put back, as far as that can be done.
template <PlatformDirectory Directory>
void publish_change(Directory& directory, std::string_view name, Bytes bytes, Bytes old) {
    auto const error = detail::attempt([&] { publish_bytes(directory, name, bytes); });
    if (!error) return;
    (void)detail::attempt([&] { publish_bytes(directory, name, old); });
    detail::raise_again(*error);
}

/// Removes unfinished files of an earlier writer.
template <PlatformDirectory Directory>
void sweep_unfinished(Directory& directory) {
    for (DirectoryEntry const& entry : directory.list()) {
        if (entry.kind == EntryKind::file && is_unfinished_name(entry.name)) {
            directory.remove_file(entry.name);
        }
    }
}

/// Calls `visit(directory)` for the directory of each group that there is in a log.
template <PlatformDirectory Directory, class Visit>
void for_each_group(Directory const& log, Visit const& visit) {
    auto const groups = log.find_directory("groups");
    if (!groups) return;
    for (DirectoryEntry const& entry : groups->list()) {
        if (entry.kind != EntryKind::directory || !is_name(entry.name)) continue;
        auto group = groups->open_directory(entry.name);
        visit(group);
    }
}

/// Removes a directory of ours with all that is in it; does nothing where there is none.
template <PlatformDirectory Directory>
void remove_tree(Directory& parent, std::string_view name) {
    auto directory = parent.find_directory(name);
    if (!directory) return;
    for (DirectoryEntry const& entry : directory->list()) {
        if (entry.kind == EntryKind::directory) {
            remove_tree(*directory, entry.name);
        } else {
            directory->remove_file(entry.name);
        }
    }
    parent.remove_directory(name);
}

/// Removes the unfinished directory of that name, if there is one. It may be visible and not
/// durable that it has lost another name, and under that one no half of it may ever come back.
template <PlatformDirectory Directory>
void remove_unfinished(Directory& parent, std::string_view unfinished) {
    if (!parent.find_directory(unfinished)) return;
    parent.sync();
    remove_tree(parent, unfinished);
}

}  // namespace annals::inline v1::storage
