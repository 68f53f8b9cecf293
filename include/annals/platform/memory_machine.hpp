// SPDX-License-Identifier: MIT
// The simulated machine behind MemoryPlatform: files and directories with what is visible of them
// now and what would be left after power loss, a clock, injected failures.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/detail/arithmetic.hpp>
#include <annals/platform/common.hpp>
#include <annals/platform/platform.hpp>

namespace annals::inline v1 {

/// The operations that a MemoryPlatform can be told to fail.
enum class Operation : std::uint8_t {
    open,            ///< of a file or directory, where it exists
    create,          ///< of a file
    make_directory,  ///< where it is missing
    allocate,
    read,
    write,
    punch,
    start_writeback,
    sync,  ///< of a file or mapping; what was stored in the file is never made durable any more
    map,
    rename,
    remove,  ///< of a file or directory, where it exists
    list,
    directory_sync,
};

namespace detail {

inline constexpr std::size_t memory_page = 4096;

/// memcpy for bytes that other threads may be storing to, as the kernel's own copies do unseen by
/// the thread sanitizer. Words that are aligned in both places are copied whole.
__attribute__((no_sanitize("thread"), noinline)) inline void copy_live(std::byte* to,
                                                                       std::byte const* from,
                                                                       std::size_t size) noexcept {
    using Word [[gnu::may_alias, gnu::aligned(1)]] = std::uint64_t;
    std::size_t i = 0;
    for (; i + sizeof(Word) <= size; i += sizeof(Word))
        *reinterpret_cast<Word volatile*>(to + i) =
            *reinterpret_cast<Word const volatile*>(from + i);
    for (; i < size; ++i)
        *static_cast<std::byte volatile*>(to + i) =
            *static_cast<std::byte const volatile*>(from + i);
}

/// SplitMix64 (Steele, Lea, Flood 2014): the state's next number.
[[nodiscard]] constexpr std::uint64_t next_random(std::uint64_t& state) noexcept {
    state += 0x9E3779B97F4A7C15;
    auto z = state;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
}

/// A file's content: zero-filled pages that never move while anybody else shares them.
class MemoryImage {
public:
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] std::byte* data() const noexcept { return pages_.get(); }
    [[nodiscard]] std::shared_ptr<std::byte> const& pages() const noexcept { return pages_; }

    void grow(std::uint64_t size, std::string const& path) {
        if (size <= size_) return;
        if (size > capacity_) {
            if (pages_.use_count() > 1)
                raise(Errc::io_error, "a mapped file cannot grow in memory", {.path = path});
            auto const capacity = align_up(size, memory_page);
            auto larger = make_pages(capacity);
            if (size_ != 0) std::memcpy(larger.get(), data(), size_);
            pages_ = std::move(larger);
            capacity_ = capacity;
        }
        size_ = size;
    }

    [[nodiscard]] MemoryImage copy() const {
        MemoryImage image;
        image.grow(size_, {});
        copy_live(image.data(), data(), size_);
        return image;
    }

private:
    [[nodiscard]] static std::shared_ptr<std::byte> make_pages(std::size_t size) {
        constexpr std::align_val_t alignment{memory_page};
        auto* const pages = static_cast<std::byte*>(::operator new(size, alignment));
        std::memset(pages, 0, size);
        return {pages, [](std::byte* p) { ::operator delete (p, std::align_val_t{memory_page}); }};
    }

    std::shared_ptr<std::byte> pages_;
    std::uint64_t capacity_ = 0;
    std::uint64_t size_ = 0;
};

struct MemoryFileNode {
    std::uint64_t inode = 0;
    MemoryImage current{};
    MemoryImage durable{};
    bool linked = true;  ///< false: without a name, and its space given back
    /// A sync or write-back has failed: as on Linux the next one returns success over lost pages.
    bool writeback_lost = false;
    std::weak_ptr<void> lock{};  ///< lives as long as the open file that holds it

    void make_durable() {
        if (writeback_lost) return;
        durable.grow(current.size(), {});
        copy_live(durable.data(), current.data(), current.size());
    }
};

struct MemoryDirectoryNode;

/// What a name stands for: one of the two, or nothing.
struct MemoryEntry {
    std::shared_ptr<MemoryFileNode> file{};
    std::shared_ptr<MemoryDirectoryNode> directory{};

    [[nodiscard]] explicit operator bool() const noexcept { return file || directory; }
    [[nodiscard]] friend bool operator==(MemoryEntry const&, MemoryEntry const&) = default;
};

using MemoryEntries = std::map<std::string, MemoryEntry, std::less<>>;

/// A change of a directory that is not durable yet: `name` comes to stand for `entry`, or for
/// nothing; in a rename `old_name` vanishes in the same step.
struct MemoryChange {
    std::string name;
    MemoryEntry entry{};
    std::string old_name{};

    void apply(MemoryEntries& entries) const {
        if (!old_name.empty()) entries.erase(old_name);
        if (entry)
            entries.insert_or_assign(name, entry);
        else
            entries.erase(name);
    }
};

struct MemoryDirectoryNode {
    std::uint64_t inode = 0;
    MemoryEntries entries{};
    MemoryEntries durable{};
    std::vector<MemoryChange> unsynced{};
    bool linked = true;

    [[nodiscard]] MemoryEntry find(std::string_view name) const {
        auto const found = entries.find(name);
        return found == entries.end() ? MemoryEntry{} : found->second;
    }
    void change(MemoryChange change) {
        change.apply(entries);
        unsynced.push_back(std::move(change));
    }
    void make_durable() {
        durable = entries;
        unsynced.clear();
    }
};

/// The state that all handles of one machine share. Everything but the constants and the bytes of
/// mapped files is read and changed with the mutex held.
struct MemoryMachine {
    struct Failure {
        Operation operation;
        int system_code;
        unsigned after;
    };

    std::mutex mutex{};
    std::uint64_t seed = 0;
    std::uint64_t random_state = 0;
    std::uint64_t boots = 1;
    std::uint64_t last_inode = 1;
    Timestamp system_time{};
    std::chrono::nanoseconds steady_time{};
    std::shared_ptr<MemoryDirectoryNode> root =
        std::make_shared<MemoryDirectoryNode>(MemoryDirectoryNode{.inode = 1});
    std::uint64_t used_bytes = 0;  ///< the sizes of all files that have a name
    std::optional<std::uint64_t> limit_bytes{};
    std::vector<Failure> failures{};

    void advance(std::chrono::nanoseconds duration) {
        system_time += duration;
        steady_time += duration;
    }

    /// The error number with which this operation is to fail, or 0.
    [[nodiscard]] int failing(Operation operation) {
        int system_code = 0;
        std::erase_if(failures, [&](Failure& failure) {
            if (failure.operation != operation || failure.after-- != 0) return false;
            system_code = failure.system_code;
            return true;
        });
        return system_code;
    }
    void check(Operation operation, std::string const& path) {
        if (int const code = failing(operation)) raise_system("told to fail", path, code);
    }

    [[nodiscard]] std::shared_ptr<MemoryFileNode> make_file() {
        auto file = std::make_shared<MemoryFileNode>();
        file->inode = ++last_inode;
        return file;
    }
    [[nodiscard]] std::shared_ptr<MemoryDirectoryNode> make_directory() {
        auto directory = std::make_shared<MemoryDirectoryNode>();
        directory->inode = ++last_inode;
        return directory;
    }

    void grow(MemoryFileNode& file, std::uint64_t size, std::string const& path) {
        auto const old_size = file.current.size();
        if (size <= old_size) return;
        auto const used = used_bytes + (file.linked ? size - old_size : 0);
        if (limit_bytes && used > *limit_bytes) raise_system("no space left", path, ENOSPC);
        file.current.grow(size, path);
        used_bytes = used;
    }
    void unlink(MemoryEntry const& entry) {
        if (entry.directory) entry.directory->linked = false;
        if (!entry.file) return;
        entry.file->linked = false;
        used_bytes -= entry.file->current.size();
    }
};

}  // namespace detail
}  // namespace annals::inline v1
