// SPDX-License-Identifier: MIT
// A machine of either platform with an empty directory on it, and what calls throw.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <annals/platform/memory.hpp>
#include <annals/platform/native.hpp>

namespace annals::test {

/// Nothing to keep for a simulated machine; a folder that is removed at the end for the real one.
template <class P>
struct Machine {
    P platform{};
    std::string path = "/a/root";
    typename P::Directory root = platform.open_directory(path, Access::write);
};

template <>
struct Machine<NativePlatform> {
    NativePlatform platform{};
    std::string path = make_folder();
    NativeDirectory root = platform.open_directory(path, Access::write);

    Machine() = default;
    Machine(Machine const&) = delete;
    Machine& operator=(Machine const&) = delete;
    ~Machine() { std::filesystem::remove_all(path); }

private:
    static std::string make_folder() {
        std::string pattern = std::filesystem::temp_directory_path() / "annals-XXXXXX";
        return ::mkdtemp(pattern.data());
    }
};

/// The code of what the call throws; ok where it throws nothing.
template <class Call>
Errc code_of(Call call) {
    try {
        call();
    } catch (Error const& error) {
        return error.code();
    }
    return Errc::ok;
}

/// The whole of a file, as text.
template <class File>
std::string content(File const& file) {
    std::string text(file.size(), '?');
    auto const count = file.read_at(0, std::as_writable_bytes(std::span{text}));
    return text.substr(0, count);
}

template <class Directory>
auto make_file(Directory& directory, std::string_view name, std::string_view text) {
    auto file = directory.create_file(name);
    file.write_at(0, as_bytes(text));
    return file;
}

}  // namespace annals::test
