// SPDX-License-Identifier: MIT
// Files and mappings of the simulated machine.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <annals/config.hpp>
#include <annals/platform/memory_machine.hpp>
#include <annals/platform/platform.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {

namespace detail {

/// Where the operation is to fail, what the file has not made durable is lost with it.
inline void check_writing(MemoryMachine& machine, Operation operation, MemoryFileNode& file,
                          std::string const& path) {
    int const code = machine.failing(operation);
    if (code == 0) return;
    file.writeback_lost = true;
    raise_sync_failed(path, code);
}

/// File::sync and Mapping::sync: both make the whole file durable.
inline void sync_file(MemoryMachine& machine, MemoryFileNode& file, std::string const& path) {
    std::lock_guard const lock{machine.mutex};
    check_writing(machine, Operation::sync, file, path);
    file.make_durable();
}

}  // namespace detail

/// Shows the file's bytes in place. Empty for a file of size 0 and when moved from.
class MemoryMapping {
public:
    MemoryMapping() noexcept = default;
    MemoryMapping(std::shared_ptr<detail::MemoryMachine> machine,
                  std::shared_ptr<detail::MemoryFileNode> file, std::string path)
        : machine_{std::move(machine)},
          file_{std::move(file)},
          pages_{file_->current.pages()},
          size_{file_->current.size()},
          path_{std::move(path)} {}
    MemoryMapping(MemoryMapping&&) noexcept = default;
    MemoryMapping& operator=(MemoryMapping&&) noexcept = default;

    [[nodiscard]] std::byte* data() const noexcept { return pages_.get(); }
    [[nodiscard]] std::uint64_t size() const noexcept { return pages_ ? size_ : 0; }

    void populate(std::uint64_t, std::uint64_t) noexcept {}
    void release(std::uint64_t, std::uint64_t) noexcept {}
    void sync() {
        if (pages_) detail::sync_file(*machine_, *file_, path_);
    }

private:
    std::shared_ptr<detail::MemoryMachine> machine_;
    std::shared_ptr<detail::MemoryFileNode> file_;
    std::shared_ptr<std::byte> pages_;
    std::uint64_t size_ = 0;
    std::string path_;
};

/// An open file. Its const members may be called from any threads.
class MemoryFile {
public:
    using Mapping = MemoryMapping;

    MemoryFile(std::shared_ptr<detail::MemoryMachine> machine,
               std::shared_ptr<detail::MemoryFileNode> node, std::string path, Access access)
        : machine_{std::move(machine)},
          node_{std::move(node)},
          path_{std::move(path)},
          access_{access} {}
    MemoryFile(MemoryFile&&) noexcept = default;
    MemoryFile& operator=(MemoryFile&&) noexcept = default;

    [[nodiscard]] std::string const& path() const noexcept { return path_; }
    [[nodiscard]] std::uint64_t size() const {
        std::lock_guard const lock{machine_->mutex};
        return node_->current.size();
    }
    [[nodiscard]] FileIdentity identity() const noexcept {
        return {.device = machine_->seed, .inode = node_->inode, .mount = 1};
    }

    [[nodiscard]] std::size_t read_at(std::uint64_t place, MutableBytes out) const {
        std::lock_guard const lock{machine_->mutex};
        machine_->check(Operation::read, path_);
        auto const end = detail::end_within(node_->current.size(), place, out.size());
        if (place >= end) return 0;
        detail::copy_live(out.data(), node_->current.data() + place, end - place);
        return end - place;
    }
    void write_at(std::uint64_t place, Bytes bytes) {
        std::lock_guard const lock{machine_->mutex};
        check_change(Operation::write);
        if (bytes.empty()) return;
        machine_->grow(*node_, detail::add_saturating(place, bytes.size()), path_);
        detail::copy_live(node_->current.data() + place, bytes.data(), bytes.size());
    }
    void allocate(std::uint64_t size, Blocks) {
        std::lock_guard const lock{machine_->mutex};
        check_change(Operation::allocate);
        machine_->grow(*node_, size, path_);
    }
    void punch(std::uint64_t place, std::uint64_t length) {
        std::lock_guard const lock{machine_->mutex};
        check_change(Operation::punch);
        auto const end = detail::end_within(node_->current.size(), place, length);
        if (place < end) std::memset(node_->current.data() + place, 0, end - place);
    }
    void start_writeback(std::uint64_t, std::uint64_t) {
        std::lock_guard const lock{machine_->mutex};
        detail::check_writing(*machine_, Operation::start_writeback, *node_, path_);
    }
    void write_back(std::uint64_t place, std::uint64_t length) { start_writeback(place, length); }
    void sync() { detail::sync_file(*machine_, *node_, path_); }

    [[nodiscard]] Mapping map(Access access) const {
        std::lock_guard const lock{machine_->mutex};
        machine_->check(Operation::map, path_);
        if (access == Access::write && access_ == Access::read)
            detail::raise_system("not mapped", path_, EACCES);
        return {machine_, node_, path_};
    }

    [[nodiscard]] bool try_lock() {
        std::lock_guard const lock{machine_->mutex};
        if (access_ == Access::read) detail::raise_system("not locked", path_, EBADF);
        if (!node_->lock.expired()) return lock_ != nullptr;
        lock_ = std::make_shared<char>();
        node_->lock = lock_;
        return true;
    }
    [[nodiscard]] bool is_locked() const {
        std::lock_guard const lock{machine_->mutex};
        return !node_->lock.expired() && !lock_;
    }

private:
    void check_change(Operation operation) {
        if (access_ == Access::read) detail::raise_system("opened for reading", path_, EBADF);
        machine_->check(operation, path_);
    }

    std::shared_ptr<detail::MemoryMachine> machine_;
    std::shared_ptr<detail::MemoryFileNode> node_;
    std::string path_;
    Access access_;
    std::shared_ptr<void> lock_{};  // the only one, so the lock goes with this object
};

}  // namespace annals::inline v1
