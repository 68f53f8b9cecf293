// SPDX-License-Identifier: MIT
// A descriptor that is closed with its object, and the complaint of a system call that failed.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

namespace bench {

[[noreturn]] inline void throw_errno(std::string const& what) {
    throw std::system_error{errno, std::generic_category(), what};
}

class File {
public:
    File(std::filesystem::path const& path, int flags)
        : descriptor_{::open(path.c_str(), flags | O_CLOEXEC, 0600)} {
        if (descriptor_ < 0) throw_errno("open " + path.string());
    }
    File(File const&) = delete;
    File& operator=(File const&) = delete;
    ~File() { ::close(descriptor_); }

    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
    [[nodiscard]] std::uint64_t size() const {
        struct stat status {};
        if (::fstat(descriptor_, &status) != 0) throw_errno("fstat");
        return static_cast<std::uint64_t>(status.st_size);
    }

private:
    int descriptor_;
};

}  // namespace bench
