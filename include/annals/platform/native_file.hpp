// SPDX-License-Identifier: MIT
// Files and mappings of Linux: descriptors, whole transfers, blocks, syncs, locks.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <annals/config.hpp>
#include <annals/platform/common.hpp>
#include <annals/platform/native_descriptor.hpp>
#include <annals/platform/native_process.hpp>
#include <annals/platform/platform.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {

/// Memory that shows a whole file. Empty for a file of size 0 and when moved from.
class NativeMapping {
public:
    NativeMapping() noexcept = default;
    NativeMapping(void* data, std::uint64_t size, std::string path, Access access) noexcept
        : data_{static_cast<std::byte*>(data)},
          size_{size},
          path_{std::move(path)},
          access_{access} {}

    NativeMapping(NativeMapping&& other) noexcept
        : data_{std::exchange(other.data_, nullptr)},
          size_{std::exchange(other.size_, 0)},
          path_{std::move(other.path_)},
          access_{other.access_},
          process_{other.process_} {}
    NativeMapping& operator=(NativeMapping other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        path_.swap(other.path_);
        std::swap(access_, other.access_);
        std::swap(process_, other.process_);
        return *this;
    }
    ~NativeMapping() {
        if (data_ != nullptr && is_here()) ::munmap(data_, size_);
    }

    [[nodiscard]] std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

    /// Makes the pages of [place, place + length) writable now, so that stores there do not fault
    /// (Linux 5.14; without effect before). Costs about 1 us a page.
    void populate(std::uint64_t place, std::uint64_t length) noexcept {
        advise(place, length, populate_write);
    }

    /// Takes the pages of [place, place + length) out of the process's page table; what was stored
    /// there stays in the file, and whoever comes back finds it with a fault. Before the kernel
    /// writes a page it protects it, and each one that it finds mapped then costs every processor
    /// that runs this process an interrupt; taken out together they cost one.
    void release(std::uint64_t place, std::uint64_t length) noexcept {
        advise(place, length, MADV_DONTNEED);
    }

    void sync() {
        if (data_ != nullptr && ::msync(data_, size_, MS_SYNC) != 0)
            detail::raise_sync_failed(path_, errno);
    }

private:
    // Some machines have larger pages; madvise() refuses there, which its callers may ignore.
    static constexpr std::uint64_t page_bytes = 4096;
    static constexpr int populate_write = 23;  // MADV_POPULATE_WRITE, absent from older headers

    void advise(std::uint64_t place, std::uint64_t length, int advice) noexcept {
        auto const end = detail::end_within(size_, place, length);
        auto const begin = place & ~(page_bytes - 1);
        if (begin < end) ::madvise(data_ + begin, end - begin, advice);
    }

    /// A forked child has no writable mapping of its parent, and by now perhaps something else in
    /// that place.
    [[nodiscard]] bool is_here() const noexcept {
        return access_ == Access::read || process_ == detail::process_number();
    }

    std::byte* data_ = nullptr;
    std::uint64_t size_ = 0;
    std::string path_;
    Access access_ = Access::read;
    std::uint32_t process_ = detail::process_number();
};

/// An open regular file. Its const members may be called from any threads.
class NativeFile {
public:
    using Mapping = NativeMapping;

    NativeFile(detail::Descriptor descriptor, std::string path) noexcept
        : descriptor_{std::move(descriptor)}, path_{std::move(path)} {}

    [[nodiscard]] std::string const& path() const noexcept { return path_; }
    [[nodiscard]] std::uint64_t size() const {
        return static_cast<std::uint64_t>(status().st_size);
    }
    [[nodiscard]] FileIdentity identity() const;

    [[nodiscard]] std::size_t read_at(std::uint64_t place, MutableBytes out) const;
    void write_at(std::uint64_t place, Bytes bytes);
    void allocate(std::uint64_t size, Blocks blocks);
    void punch(std::uint64_t place, std::uint64_t length);
    void start_writeback(std::uint64_t place, std::uint64_t length) {
        sync_range(place, length, SYNC_FILE_RANGE_WRITE);
    }
    void write_back(std::uint64_t place, std::uint64_t length) {
        sync_range(
            place, length,
            SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    }

    // A sync is not tried again even after EINTR: the error that the first one met may have been
    // taken by it, and the second then returns success over lost pages.
    void sync() {
        if (::fdatasync(descriptor_.number()) != 0) detail::raise_sync_failed(path_, errno);
    }

    [[nodiscard]] Mapping map(Access access) const;

    [[nodiscard]] bool try_lock() { return descriptor_.try_lock(path_); }
    [[nodiscard]] bool is_locked() const { return descriptor_.is_locked(path_); }

private:
    [[nodiscard]] struct stat status() const {
        struct stat status {};
        if (::fstat(descriptor_.number(), &status) != 0) fail("not examined");
        return status;
    }
    void write_zeros(std::uint64_t begin, std::uint64_t end);
    void sync_range(std::uint64_t place, std::uint64_t length, unsigned how);
    void check_size_limit(std::uint64_t size) const;
    [[noreturn, gnu::cold]] void fail(std::string_view what) const {
        detail::raise_system(what, path_, errno);
    }

    detail::Descriptor descriptor_;
    std::string path_;
};

inline FileIdentity NativeFile::identity() const {
    auto const known = status();
    FileIdentity identity{.device = known.st_dev, .inode = known.st_ino, .mount = 0};
    struct statx more {};
    if (::statx(descriptor_.number(), "", AT_EMPTY_PATH, STATX_MNT_ID, &more) == 0 &&
        (more.stx_mask & STATX_MNT_ID) != 0)
        identity.mount = more.stx_mnt_id;
    return identity;
}

inline std::size_t NativeFile::read_at(std::uint64_t place, MutableBytes out) const {
    std::size_t done = 0;
    while (done < out.size()) {
        auto const count = detail::retry_interrupted([&] {
            return ::pread(descriptor_.number(), out.data() + done, out.size() - done,
                           static_cast<off_t>(place + done));
        });
        if (count < 0) fail("not read");
        if (count == 0) break;
        done += static_cast<std::size_t>(count);
    }
    return done;
}

inline void NativeFile::write_at(std::uint64_t place, Bytes bytes) {
    while (!bytes.empty()) {
        auto const count = detail::retry_interrupted([&] {
            return ::pwrite(descriptor_.number(), bytes.data(), bytes.size(),
                            static_cast<off_t>(place));
        });
        if (count < 0) fail("not written");
        place += static_cast<std::uint64_t>(count);
        bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
}

/// Also where the file is that large already: a copy of it may have got holes for zeros.
inline void NativeFile::allocate(std::uint64_t size, Blocks blocks) {
    auto const old_size = this->size();
    if (size > old_size) check_size_limit(size);
    // Not posix_fallocate: where the file system cannot, glibc's takes a sparse file for enough.
    auto const result = detail::retry_interrupted(
        [&] { return ::fallocate(descriptor_.number(), 0, 0, static_cast<off_t>(size)); });
    bool const unsupported = result != 0 && errno == EOPNOTSUPP;
    if (result != 0 && !unsupported) fail("blocks not allocated");
    if (unsupported || blocks == Blocks::zeroed) write_zeros(old_size, size);
}

/// Beyond RLIMIT_FSIZE the kernel sends SIGXFSZ, which ends the program.
inline void NativeFile::check_size_limit(std::uint64_t size) const {
    struct rlimit limit {};
    if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && size > limit.rlim_cur)
        detail::raise_system("blocks not allocated", path_, EFBIG);
}

/// A MiB at a time, written out and dropped from the page cache: a large folio left there would be
/// written whole for every small sync.
inline void NativeFile::write_zeros(std::uint64_t begin, std::uint64_t end) {
    constexpr std::uint64_t step = std::uint64_t{1} << 20;
    auto const zeros = std::make_unique<std::byte[]>(step);
    while (begin < end) {
        auto const count = detail::end_within(end, begin, step - begin % step) - begin;
        write_at(begin, {zeros.get(), count});
        if (::fdatasync(descriptor_.number()) != 0) {
            if (detail::errc_of(errno) == Errc::no_space) fail("blocks not allocated");
            detail::raise_sync_failed(path_, errno);
        }
        ::posix_fadvise(descriptor_.number(), static_cast<off_t>(begin), static_cast<off_t>(count),
                        POSIX_FADV_DONTNEED);
        begin += count;
    }
}

inline void NativeFile::punch(std::uint64_t place, std::uint64_t length) {
    auto const end = detail::end_within(size(), place, length);
    if (place >= end) return;
    auto const result = detail::retry_interrupted([&] {
        return ::fallocate(descriptor_.number(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                           static_cast<off_t>(place), static_cast<off_t>(end - place));
    });
    if (result == 0) return;
    if (errno != EOPNOTSUPP) fail("hole not punched");
    write_zeros(place, end);
}

inline void NativeFile::sync_range(std::uint64_t place, std::uint64_t length, unsigned how) {
    if (length == 0) return;  // which the kernel would take for "to the end"
    auto const result = ::sync_file_range(descriptor_.number(), static_cast<off64_t>(place),
                                          static_cast<off64_t>(length), how);
    if (result != 0 && errno != ENOSYS) detail::raise_sync_failed(path_, errno);
}

inline NativeFile::Mapping NativeFile::map(Access access) const {
    auto const size = this->size();
    if (size == 0) return {};
    int const protection = access == Access::write ? PROT_READ | PROT_WRITE : PROT_READ;
    void* const data = ::mmap(nullptr, size, protection, MAP_SHARED, descriptor_.number(), 0);
    if (data == MAP_FAILED) fail("not mapped");
    Mapping mapping{data, size, path_, access};
    // A forked child that went on writing would be a second writer.
    if (access == Access::write && ::madvise(data, size, MADV_DONTFORK) != 0) fail("not mapped");
    return mapping;
}

}  // namespace annals::inline v1
