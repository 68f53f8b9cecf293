// SPDX-License-Identifier: MIT
// A file system as users have it: ext4 with a journal, in an image that is mounted as a loop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "harness/scratch.hpp"

namespace bench {

/// Mounted as long as this object lives. Needs root, loop devices and mkfs.ext4.
class JournalMount {
public:
    /// nullptr, and why, where it cannot be had.
    [[nodiscard]] static std::unique_ptr<JournalMount> make(std::filesystem::path const& below,
                                                            std::uint64_t bytes,
                                                            std::string& why_not);
    JournalMount(JournalMount const&) = delete;
    JournalMount& operator=(JournalMount const&) = delete;
    ~JournalMount();

    /// An empty folder in it.
    [[nodiscard]] std::filesystem::path path() const { return point_.path(); }

private:
    explicit JournalMount(std::filesystem::path const& below);

    std::filesystem::path image_;
    Folder point_;
    bool is_mounted_ = false;
};

}  // namespace bench
