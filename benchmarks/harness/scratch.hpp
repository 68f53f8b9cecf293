// SPDX-License-Identifier: MIT
// Where the suite works, and how it leaves nothing behind: folders that are removed with their
// object, and an interruption that is an exception.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>

namespace bench {

/// Thrown where the user has asked the program to stop; everything in use cleans up behind itself.
struct Interrupted : std::runtime_error {
    Interrupted() : std::runtime_error{"interrupted"} {}
};

/// From now on SIGINT, SIGTERM and SIGHUP set a flag; the second one ends the program as usual.
void catch_interruptions();
[[nodiscard]] bool is_interrupted() noexcept;
void throw_if_interrupted();

/// A folder that goes with this object, and all that is in it.
class Folder {
public:
    /// Makes `path`, which must not exist.
    explicit Folder(std::filesystem::path path);
    Folder(Folder const&) = delete;
    Folder& operator=(Folder const&) = delete;
    ~Folder();

    /// A new folder below `parent`, with a name that nobody has.
    [[nodiscard]] static std::filesystem::path unused_name(std::filesystem::path const& parent);

    [[nodiscard]] std::filesystem::path const& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace bench
