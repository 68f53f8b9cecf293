// SPDX-License-Identifier: MIT
// What Annals asks of the world, as one concept. Everything that has an effect or is not determined
// by its arguments goes through a platform, so the whole library runs on a simulated machine in
// tests, at no cost in production.
#pragma once

#include <array>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <annals/config.hpp>
#include <annals/detail/chrono.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {

/// Whether a file or directory is opened to look at it or to change it.
enum class Access : std::uint8_t { read, write };

/// How a file's blocks are made: reserved only, or written with zeros, so that a later sync need
/// not convert them.
enum class Blocks : std::uint8_t { reserved, zeroed };

/// What a name in a directory stands for. A symbolic link is never followed and counts as `other`.
enum class EntryKind : std::uint8_t { file, directory, other };

struct DirectoryEntry {
    std::string name;
    EntryKind kind = EntryKind::other;
};

/// Which file this is, whatever its name. A copy is another file.
struct FileIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t mount = 0;  ///< 0: the system does not tell
    [[nodiscard]] friend bool operator==(FileIdentity const&, FileIdentity const&) = default;
};

/// Changes with every start of the machine. All zeros: the system does not tell, and so it equals
/// no other.
using BootId = std::array<std::byte, 16>;

/// What the promises must be weakened for, aloud.
enum class FileSystemKind : std::uint8_t {
    ordinary,
    memory,
    network,
    copy_on_write,
    overlay,
    fuse
};

/// From this attempt on `relax` lets other threads run, which before only paused.
inline constexpr unsigned yielding_attempt = 64;

/// A 32-bit word that may lie in a read-only mapping, and the value it had when its reader found
/// nothing to read.
struct WaitWord {
    std::uint32_t const* word = nullptr;
    std::uint32_t expected = 0;
};

/// Memory that shows a file. Unmapped when destroyed.
template <class M>
concept PlatformMapping = std::movable<M> &&
    requires(M& mapping, M const& constant, std::uint64_t n) {
    {
        constant.data()
        } -> std::same_as<std::byte*>;  // stores are allowed where it was mapped with Access::write
    { constant.size() } -> std::same_as<std::uint64_t>;
    {mapping.populate(n, n)};  // (place, length): makes stores there cheap; never fails
    {mapping.release(n, n)};   // (place, length): nobody will store there soon; never fails
    {mapping.sync()};          // stores so far are durable, or throws sync_failed
};

/// An open file. Closed when destroyed. Every error names the file's path.
template <class F>
concept PlatformFile = std::movable<F> &&
    requires(F& file, F const& constant, std::uint64_t n, MutableBytes out, Bytes in, Access access,
             Blocks blocks) {
    typename F::Mapping;
    requires PlatformMapping<typename F::Mapping>;
    { constant.path() } -> std::convertible_to<std::string const&>;
    { constant.size() } -> std::same_as<std::uint64_t>;
    { constant.identity() } -> std::same_as<FileIdentity>;
    {
        constant.read_at(n, out)
        } -> std::same_as<std::size_t>;  // (place, out): bytes read; fewer only at the end
    {file.write_at(n, in)};              // (place, bytes): all of them, or throws
    {file.allocate(n, blocks)};          // blocks up to n, and at least that size; throws no_space
    {file.punch(n, n)};  // (place, length): reads as zeros, gives the blocks back if it can
    {file.start_writeback(n, n)};  // (place, length): asks the kernel to begin writing; no promise
    {file.write_back(n, n)};       // (place, length): waits until that is written; no promise
    {file.sync()};                 // data and size are durable, or throws sync_failed
    { constant.map(access) } -> std::same_as<typename F::Mapping>;  // the whole file
    {
        file.try_lock()
        } -> std::same_as<bool>;  // exclusive, until this object goes or the process dies
    {
        constant.is_locked()
        } -> std::same_as<bool>;  // by another open file, of this process or another
};

/// An open directory. Names are single components, else invalid_argument; no symbolic link is
/// followed. What has the name but is of another kind (a link, a FIFO) is corrupt.
template <class D>
concept PlatformDirectory = std::movable<D> &&
    requires(D& directory, D const& constant, std::string_view name, Access access) {
    typename D::File;
    requires PlatformFile<typename D::File>;
    { constant.path() } -> std::convertible_to<std::string const&>;
    { constant.open_directory(name) } -> std::same_as<D>;                 // throws not_found
    { constant.find_directory(name) } -> std::same_as<std::optional<D>>;  // nullopt: no such name
    { directory.make_directory(name) } -> std::same_as<D>;  // made (0700) where missing, and opened
    { constant.open_file(name, access) } -> std::same_as<typename D::File>;  // throws not_found
    { constant.find_file(name, access) } -> std::same_as<std::optional<typename D::File>>;
    {
        directory.create_file(name)
        } -> std::same_as<typename D::File>;  // new (0600), for writing; throws where it exists
    {directory.rename(name, name)};           // replaces what has the new name
    { directory.remove_file(name) } -> std::same_as<bool>;       // false: there was none
    { directory.remove_directory(name) } -> std::same_as<bool>;  // must be empty
    {
        constant.list()
        } -> std::same_as<std::vector<DirectoryEntry>>;  // without . and ..; in no order
    {directory.sync()};  // its names are durable, or throws sync_failed
    { constant.file_system() } -> std::same_as<FileSystemKind>;
};

/// The whole platform: a small handle whose copies are the same machine.
template <class P>
concept Platform = std::copyable<P> &&
    requires(P& platform, P const& constant, std::string const& path, Access access,
             std::span<WaitWord const> words, std::chrono::nanoseconds duration,
             std::uint32_t const* word, unsigned attempt, std::byte const* address,
             std::size_t size) {
    typename P::Directory;
    requires PlatformDirectory<typename P::Directory>;
    typename P::Mutex;                                // lock, unlock, try_lock
    typename P::Thread;                               // Thread{callable} starts it; join()
    typename P::template Atomic<std::uint64_t>;       // as std::atomic
    typename P::template AtomicRef<std::uint64_t>;    // as std::atomic_ref
    { P::has_threads } -> std::convertible_to<bool>;  // whether a keeper can run
    // Told of every store into a mapping that recovery may have to make sense of, after it was
    // made. Static, so that whatever stores needs no handle.
    { P::store_point(address, size) }
    noexcept;
    {
        constant.open_directory(path, access)
        } -> std::same_as<typename P::Directory>;          // made with Access::write
    { constant.now() } -> std::same_as<Timestamp>;         // the system clock
    { constant.coarse_now() } -> std::same_as<Timestamp>;  // its last tick
    {
        constant.steady_now()
        } -> std::same_as<std::chrono::nanoseconds>;  // a clock that is never set
    { constant.random() } -> std::same_as<std::uint64_t>;
    { constant.boot_id() } -> std::same_as<BootId>;
    { constant.process() } -> std::same_as<std::uint32_t>;  // another number in a forked child
    // Spinning for another thread's few instructions: pauses, then yields, then sleeps a little.
    {constant.relax(attempt)};
    // Sleeps until one of the words differs or is woken, or the time is over; may return early.
    {constant.wait(words, duration)};
    {constant.wake(word)};  // all sleepers on it, of all processes
};

}  // namespace annals::inline v1
