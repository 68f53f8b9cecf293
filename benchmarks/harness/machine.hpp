// SPDX-License-Identifier: MIT
// What the suite asks of the machine: what it is, what it has written and read, and to forget what
// it has cached.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace bench {

/// The processor, memory, kernel, load, and the file system of `directory`: one line each.
[[nodiscard]] std::string describe_machine(std::filesystem::path const& directory);

/// How many bytes may be dirty before the kernel makes writers wait.
[[nodiscard]] std::uint64_t dirty_limit_bytes();

/// How many bytes the file system of `directory` can still take.
[[nodiscard]] std::uint64_t free_bytes(std::filesystem::path const& directory);

/// Writes what is dirty of the file system of `directory` and waits for it.
void sync_file_system(std::filesystem::path const& directory);

/// Makes the machine ready for a run that stores `bytes` in `directory`: what others have left
/// dirty there is written, and as much memory is touched and freed again. On a virtual machine the
/// host takes back what was free for some seconds, and a page then costs whoever needs it first ten
/// times as much.
void settle(std::filesystem::path const& directory, std::uint64_t bytes);

/// Writes the files below `directory` and drops them from the page cache; at full size, as root,
/// also everything else that the kernel has cached. What is mapped stays: close it first.
enum class Forget { files, everything };
void drop_cached(std::filesystem::path const& directory, Forget what);

/// What the device below `directory` has written since it was made, by anyone; 0: no device there.
[[nodiscard]] std::uint64_t device_bytes_written(std::filesystem::path const& directory);

/// What this process has read from storage, whatever for: calls, page faults, read-ahead.
[[nodiscard]] std::uint64_t process_bytes_read();

/// The blocks that everything below `directory` occupies.
[[nodiscard]] std::uint64_t bytes_on_disk(std::filesystem::path const& directory);

/// Memory of this process: all that is resident, and what no file stands behind.
struct Memory {
    std::uint64_t resident = 0;
    std::uint64_t anonymous = 0;
};
[[nodiscard]] Memory process_memory();

}  // namespace bench
