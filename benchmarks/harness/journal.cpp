// SPDX-License-Identifier: MIT
#include "harness/journal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <exception>
#include <system_error>
#include <vector>

#include "harness/process.hpp"

namespace bench {
namespace {

/// Zeros, written and synced: the image's blocks are the file's own before anything is measured, as
/// a disk's are.
void write_zeros(std::filesystem::path const& path, std::uint64_t bytes) {
    int const file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    std::vector<char> const zeros(std::size_t{1} << 20);
    bool is_good = file >= 0;
    for (std::uint64_t done = 0; is_good && done < bytes; done += zeros.size()) {
        is_good = ::write(file, zeros.data(), zeros.size()) == static_cast<ssize_t>(zeros.size());
        if (is_interrupted()) break;
    }
    is_good = is_good && ::fsync(file) == 0;
    int const error = errno;
    if (file >= 0) ::close(file);
    throw_if_interrupted();
    if (!is_good) throw std::system_error{error, std::generic_category(), path.string()};
}

void run_or_throw(std::vector<std::string> const& command) {
    int const code = run_program(command).exit_code;
    if (code != 0) {
        throw std::runtime_error{command[0] + " ended with " + std::to_string(code)};
    }
}

}  // namespace

JournalMount::JournalMount(std::filesystem::path const& below)
    : image_{below / "journal.img"}, point_{below / "journal"} {}

std::unique_ptr<JournalMount> JournalMount::make(std::filesystem::path const& below,
                                                 std::uint64_t bytes, std::string& why_not) {
    if (::geteuid() != 0) {
        why_not = "only root can mount it";
        return nullptr;
    }
    try {
        std::unique_ptr<JournalMount> made{new JournalMount{below}};
        write_zeros(made->image_, bytes);
        run_or_throw({"mkfs.ext4", "-q", "-F", "-b", "4096", made->image_.string()});
        run_or_throw({"mount", "-o", "loop", made->image_.string(), made->path().string()});
        made->is_mounted_ = true;
        return made;
    } catch (Interrupted const&) {
        throw;
    } catch (std::exception const& error) {
        why_not = error.what();
        return nullptr;
    }
}

JournalMount::~JournalMount() {
    // Whatever still has a file open in it, the mount and its loop device go as soon as they can.
    if (is_mounted_) (void)run_program({"umount", "--lazy", path().string()});
    std::error_code ignored;
    std::filesystem::remove(image_, ignored);
}

}  // namespace bench
