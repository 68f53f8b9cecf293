// SPDX-License-Identifier: MIT
// Small real file systems to fill up: a tmpfs, and an ext4 on a loop device. Both need root.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "catch.hpp"
#include "platform/machines.hpp"

namespace annals::test {

enum class DiskKind { tmpfs, ext4 };

/// Mounted where only this process and its children see it; gone with the object.
class SmallDisk {
public:
    /// Where it cannot be had, `why_not` says so, and the counted line that a skipped test prints.
    SmallDisk(DiskKind kind, std::string const& size) {
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
            why_not_ = std::string{"no mount namespace: "} + std::strerror(errno);
            return;
        }
        path_ = machine_.path + "/disk";
        std::filesystem::create_directory(path_);
        is_mounted_ = mount(kind, size);
        if (is_mounted_) std::filesystem::create_directory(fillers());
    }
    SmallDisk(SmallDisk const&) = delete;
    SmallDisk& operator=(SmallDisk const&) = delete;
    ~SmallDisk() {
        if (is_mounted_) ::umount2(path_.c_str(), MNT_DETACH);
    }

    [[nodiscard]] explicit operator bool() const noexcept { return is_mounted_; }
    [[nodiscard]] std::string const& why_not() const noexcept { return why_not_; }
    [[nodiscard]] std::string const& path() const noexcept { return path_; }

    /// Takes all the space there is but so many bytes, until `free`.
    void fill(std::uint64_t but = 0) const {
        auto const name = fillers() + "/" + std::to_string(std::rand());
        int const file = ::open(name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        REQUIRE(file >= 0);
        std::vector<char> const block(4096, 'f');
        while (::write(file, block.data(), block.size()) > 0) {
        }
        ::fsync(file);
        auto const size = static_cast<std::uint64_t>(::lseek(file, 0, SEEK_END));
        if (but != 0) {
            (void)!::ftruncate(file, static_cast<off_t>(size - std::min(size, but)));
            ::fsync(file);
        }
        ::close(file);
    }
    void free() const {
        for (auto const& filler : std::filesystem::directory_iterator{fillers()}) {
            std::filesystem::remove(filler);
        }
    }

    static bool runs(std::string const& command) {
        return std::system((command + " > /dev/null 2>&1").c_str()) == 0;
    }

private:
    bool mount(DiskKind kind, std::string const& size) {
        if (kind == DiskKind::tmpfs) {
            auto const options = "size=" + size;
            if (::mount("none", path_.c_str(), "tmpfs", 0, options.c_str()) == 0) return true;
            why_not_ = std::string{"no tmpfs: "} + std::strerror(errno);
            return false;
        }
        auto const image = machine_.path + "/image";
        if (runs("truncate -s " + size + " " + image) &&
            runs("mkfs.ext4 -q -b 4096 -m 0 " + image) &&
            runs("mount -o loop " + image + " " + path_)) {
            return true;
        }
        why_not_ = "no ext4 on a loop device";
        return false;
    }

    /// A directory that stays: a full disk has no block for a new one.
    [[nodiscard]] std::string fillers() const { return path_ + "/fillers"; }

    Machine<NativePlatform> machine_{};
    std::string path_{};
    std::string why_not_{};
    bool is_mounted_ = false;
};

/// What a child process ends with: its exit code, 99 for an exception, or 1000 and the signal that
/// killed it.
template <class Body>
int outcome_in_child(Body const& body) {
    ::pid_t const child = ::fork();
    if (child == 0) {
        try {
            ::_exit(body());
        } catch (std::exception const& error) {
            std::cerr << "in the child: " << error.what() << '\n';
        }
        ::_exit(99);
    }
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child) return -1;
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace annals::test
