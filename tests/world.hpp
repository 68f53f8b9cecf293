// SPDX-License-Identifier: MIT
// A machine with a log on it, and the few things that tests of the interface do over and over.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <annals/annals.hpp>
#include <annals/platform/memory.hpp>

#include "catch.hpp"
#include "platform/machines.hpp"

template <>
struct Catch::StringMaker<annals::Errc> {
    static std::string convert(annals::Errc code) { return std::string{annals::to_string(code)}; }
};
template <>
struct Catch::StringMaker<annals::Offset> {
    static std::string convert(annals::Offset offset) { return std::to_string(offset.value()); }
};

namespace annals::test {

/// A directory for one log, on either platform; opened as often as the test likes.
template <class P>
struct World {
    Machine<P> machine{};
    std::string path = machine.path + "/log";

    [[nodiscard]] BasicLog<P> open(LogOptions options = {}) {
        return BasicLog<P>{path, std::move(options), machine.platform};
    }
    [[nodiscard]] BasicLog<P> attach() { return open({.read_only = true}); }

    /// A directory of the log: `directory("topics", "t", "0")`.
    template <class... Names>
    [[nodiscard]] typename P::Directory directory(Names... names) {
        auto current = machine.platform.open_directory(path, Access::write);
        ((current = current.open_directory(names)), ...);
        return current;
    }
};

/// What the call throws.
template <class Call>
[[nodiscard]] std::optional<Error> error_of(Call call) {
    try {
        call();
    } catch (Error const& error) {
        return error;
    }
    return std::nullopt;
}

/// The values of a range of records.
template <class Range>
[[nodiscard]] auto values_of(Range const& range) {
    using Value = std::remove_cvref_t<decltype((*range.begin()).value())>;
    using Kept = std::conditional_t<std::is_same_v<Value, std::string_view>, std::string, Value>;
    std::vector<Kept> values;
    for (auto const& record : range) values.emplace_back(record.value());
    return values;
}

/// Where `text` lies in the file; it must lie there.
template <class File>
[[nodiscard]] std::uint64_t place_of(File const& file, std::string_view text) {
    auto const found = content(file).find(text);
    if (found == std::string::npos) throw std::runtime_error{"not in the file"};
    return found;
}

/// Damages one byte.
template <class File>
void flip(File&& file, std::uint64_t place) {
    std::byte byte{};
    (void)file.read_at(place, MutableBytes{&byte, 1});
    byte ^= std::byte{0x40};
    file.write_at(place, Bytes{&byte, 1});
}

/// All names in the directory, ascending.
template <class Directory>
[[nodiscard]] std::vector<std::string> names_in(Directory const& directory) {
    std::vector<std::string> names;
    for (auto const& entry : directory.list()) names.push_back(entry.name);
    std::sort(names.begin(), names.end());
    return names;
}

[[nodiscard]] inline bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

}  // namespace annals::test
