// SPDX-License-Identifier: MIT
// What the platforms share: error numbers as codes of Annals, the rule for names of directory
// entries, ranges cut to what there is.
#pragma once

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

#include <annals/config.hpp>
#include <annals/detail/arithmetic.hpp>
#include <annals/error.hpp>

namespace annals::inline v1::detail {

[[nodiscard]] constexpr Errc errc_of(int system_code) noexcept {
    switch (system_code) {
        case ENOENT: return Errc::not_found;
        case EACCES:
        case EPERM:
        case EROFS: return Errc::permission_denied;
        case ENOSPC:
        case EDQUOT:
        case EFBIG: return Errc::no_space;
        default: return Errc::io_error;
    }
}

/// Throws what the error number stands for.
[[noreturn, gnu::cold]] inline void raise_system(std::string_view what, std::string const& path,
                                                 int system_code) {
    raise(errc_of(system_code), what, {.path = path, .system_code = system_code});
}

/// Throws sync_failed whatever the number: how much became durable is open.
[[noreturn, gnu::cold]] inline void raise_sync_failed(std::string const& path, int system_code) {
    raise(Errc::sync_failed, "not synced", {.path = path, .system_code = system_code});
}

/// Throws invalid_argument unless `name` is one component: what is opened by it lies in the
/// directory itself, neither above nor below.
inline void check_component(std::string_view name, std::string const& directory) {
    using namespace std::string_view_literals;
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of("/\0"sv) != std::string_view::npos)
        raise(Errc::invalid_argument, "not the name of a directory entry",
              {.path = directory + '/' + std::string{name}});
}

/// Where [place, place + length) ends within [0, size).
[[nodiscard]] constexpr std::uint64_t end_within(std::uint64_t size, std::uint64_t place,
                                                 std::uint64_t length) noexcept {
    auto const end = add_saturating(place, length);
    return end < size ? end : size;
}

}  // namespace annals::inline v1::detail
