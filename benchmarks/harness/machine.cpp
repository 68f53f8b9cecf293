// SPDX-License-Identifier: MIT
#include "harness/machine.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace bench {
namespace {

namespace fs = std::filesystem;

/// The rest of the first line that begins with `name`, without the colon and blanks.
[[nodiscard]] std::string field(fs::path const& file, std::string const& name) {
    std::ifstream in{file};
    for (std::string line; std::getline(in, line);) {
        if (line.compare(0, name.size(), name) != 0) continue;
        std::size_t const begin = line.find_first_not_of(": \t", name.size());
        return begin == std::string::npos ? "" : line.substr(begin);
    }
    return "";
}

/// A number, its unit ignored; 0 where there is none.
[[nodiscard]] std::uint64_t number(std::string const& text) {
    std::uint64_t value = 0;
    std::istringstream{text} >> value;
    return value;
}

[[nodiscard]] std::string first_line(fs::path const& file) {
    std::ifstream in{file};
    std::string line;
    std::getline(in, line);
    return line;
}

/// Type, options and device of the mount that `directory` lies on, as the kernel lists them.
[[nodiscard]] std::string describe_mount(fs::path const& directory) {
    struct stat status {};
    if (::stat(directory.c_str(), &status) != 0) return "?";
    std::string const device = fmt::format("{}:{}", major(status.st_dev), minor(status.st_dev));
    std::ifstream in{"/proc/self/mountinfo"};
    std::string found = "?";
    for (std::string line; std::getline(in, line);) {
        std::istringstream words{line};
        std::string id, parent, number, root, point, options, word, type, source, super;
        words >> id >> parent >> number >> root >> point >> options;
        while (words >> word && word != "-") {
        }
        words >> type >> source >> super;
        if (number == device) found = fmt::format("{} on {} ({})", type, source, super);
    }
    std::string const block = fs::path{"/sys/dev/block"} / device;
    std::error_code ignored;
    fs::path const name = fs::canonical(block, ignored).filename();
    if (found.compare(0, 5, "ext4 ") != 0 || name.empty()) return found;
    bool const has_journal = fs::exists(fs::path{"/proc/fs/jbd2"} / (name.string() + "-8"));
    return found + (has_journal ? ", with a journal" : ", without a journal");
}

[[nodiscard]] int open_or_throw(fs::path const& path, int flags) {
    int const descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
    if (descriptor < 0) {
        throw std::system_error{errno, std::generic_category(), "open " + path.string()};
    }
    return descriptor;
}

template <class Visit>
void for_each_file(fs::path const& directory, Visit const& visit) {
    for (auto const& entry : fs::recursive_directory_iterator{directory}) {
        if (entry.is_regular_file()) visit(entry.path());
    }
}

}  // namespace

std::string describe_machine(fs::path const& directory) {
    struct utsname name {};
    ::uname(&name);
    return fmt::format("{}, {} cores, {:.0f} GiB of memory, load {}\n{} {}\n{}\n",
                       field("/proc/cpuinfo", "model name"), std::thread::hardware_concurrency(),
                       static_cast<double>(number(field("/proc/meminfo", "MemTotal"))) / (1 << 20),
                       first_line("/proc/loadavg"), name.sysname, name.release,
                       describe_mount(directory));
}

std::uint64_t dirty_limit_bytes() {
    std::uint64_t const bytes = number(first_line("/proc/sys/vm/dirty_bytes"));
    if (bytes != 0) return bytes;
    std::uint64_t const share = number(first_line("/proc/sys/vm/dirty_ratio"));
    return number(field("/proc/meminfo", "MemAvailable")) * 1024 / 100 * share;
}

std::uint64_t free_bytes(fs::path const& directory) { return fs::space(directory).available; }

void sync_file_system(fs::path const& directory) {
    int const descriptor = open_or_throw(directory, O_RDONLY | O_DIRECTORY);
    (void)::syncfs(descriptor);
    ::close(descriptor);
}

void settle(fs::path const& directory, std::uint64_t bytes) {
    sync_file_system(directory);
    constexpr int protection = PROT_READ | PROT_WRITE;
    void* const at = ::mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return;
    for (std::uint64_t i = 0; i < bytes; i += 4096) static_cast<char volatile*>(at)[i] = 0;
    ::munmap(at, bytes);
}

void drop_cached(fs::path const& directory, Forget what) {
    for_each_file(directory, [](fs::path const& path) {
        int const descriptor = open_or_throw(path, O_RDONLY);
        (void)::fdatasync(descriptor);
        (void)::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
        ::close(descriptor);
    });
    if (what == Forget::everything && ::geteuid() == 0) {
        std::ofstream{"/proc/sys/vm/drop_caches"} << "3\n";
    }
}

std::uint64_t device_bytes_written(fs::path const& directory) {
    struct stat status {};
    if (::stat(directory.c_str(), &status) != 0) return 0;
    std::ifstream in{
        fmt::format("/sys/dev/block/{}:{}/stat", major(status.st_dev), minor(status.st_dev))};
    std::uint64_t sectors = 0;  // the seventh number: Documentation/block/stat.rst
    for (int i = 0; i < 7; ++i) {
        if (!(in >> sectors)) return 0;
    }
    return sectors * 512;
}

std::uint64_t process_bytes_read() { return number(field("/proc/self/io", "read_bytes")); }

std::uint64_t bytes_on_disk(fs::path const& directory) {
    std::uint64_t bytes = 0;
    for_each_file(directory, [&](fs::path const& path) {
        struct stat status {};
        if (::stat(path.c_str(), &status) == 0) {
            bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
        }
    });
    return bytes;
}

Memory process_memory() {
    fs::path const rollup = "/proc/self/smaps_rollup";
    return {number(field(rollup, "Rss")) * 1024, number(field(rollup, "Anonymous")) * 1024};
}

}  // namespace bench
