// SPDX-License-Identifier: MIT
// What all fixed-size records in Annals' files have in common: a check at the end, and for those
// that begin a file, a preamble that says what the file is and who can read it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <annals/config.hpp>
#include <annals/detail/arithmetic.hpp>
#include <annals/detail/hash.hpp>
#include <annals/error.hpp>
#include <annals/types.hpp>

namespace annals::inline v1::format {

inline constexpr std::uint16_t major_version = 1;  ///< newer: `unsupported_format`
inline constexpr std::uint16_t minor_version = 0;  ///< newer: readable all the same
/// Bits that change what the bytes mean; one that is not among these: `unsupported_format`.
inline constexpr std::uint32_t known_incompatible_features = 0;

inline constexpr std::uint64_t page_bytes = 4096;
/// What a disk writes whole or not at all.
inline constexpr std::uint64_t sector_bytes = 512;

using Magic = std::array<char, 8>;
using Id = std::array<std::byte, 16>;  ///< random; tells logs and topics of the same name apart

/// ```
///  0               8      10      12              16              20              24
/// +---------------+-------+-------+---------------+---------------+---------------+
/// | magic         | major | minor | incompatible  | compatible    | zero          |
/// +---------------+-------+-------+---------------+---------------+---------------+
/// ```
struct Preamble {
    Magic magic{};
    std::uint16_t major = major_version;
    std::uint16_t minor = minor_version;
    std::uint32_t incompatible_features = 0;
    std::uint32_t compatible_features = 0;
    std::uint32_t reserved = 0;
};
static_assert(sizeof(Preamble) == 24 && offsetof(Preamble, incompatible_features) == 12);

/// A trivially copyable struct without padding whose last eight bytes check those before them.
template <class R>
concept CheckedRecord = std::is_trivially_copyable_v<R> && requires(R& record) {
    { record.check } -> std::same_as<std::uint64_t&>;
    requires offsetof(R, check)
    == sizeof(R) - sizeof(std::uint64_t);
    R::check_seed;
};

/// Each kind of record has a seed of its own, so that one never passes for another; `salt` binds a
/// record to its segment.
template <CheckedRecord R>
[[nodiscard]] std::uint64_t check_of(R const& record, std::uint64_t salt = 0) noexcept {
    auto const* bytes = reinterpret_cast<std::byte const*>(&record);
    return detail::hash(bytes, offsetof(R, check), R::check_seed ^ salt);
}

template <CheckedRecord R>
[[nodiscard]] R checked(R record, std::uint64_t salt = 0) noexcept {
    record.check = check_of(record, salt);
    return record;
}

enum class RecordState : std::uint8_t { absent, good, bad };  ///< absent: all zeros

/// Reads the record that lies at the front of `bytes`, which must be long enough.
template <CheckedRecord R>
[[nodiscard]] RecordState read_record(Bytes bytes, R& record, std::uint64_t salt = 0) noexcept {
    record = detail::load<R>(bytes.data());
    if (check_of(record, salt) == record.check) return RecordState::good;
    for (std::byte const byte : bytes.first(sizeof(R))) {
        if (byte != std::byte{0}) return RecordState::bad;
    }
    return RecordState::absent;
}

template <class R>
[[nodiscard]] Bytes bytes_of(R const& record) noexcept {
    return {reinterpret_cast<std::byte const*>(&record), sizeof record};
}

/// Refuses what is not such a file (`otherwise`), and what a newer Annals wrote
/// (`unsupported_format`): its check may lie elsewhere, so this comes before any check.
inline void require_readable(Bytes file, Magic const& magic, std::string const& path,
                             Errc otherwise = Errc::corrupt) {
    if (file.size() < sizeof(Preamble) || std::memcmp(file.data(), magic.data(), magic.size())) {
        detail::raise(otherwise, "not the file that its name says", {.path = path, .place = 0});
    }
    auto const preamble = detail::load<Preamble>(file.data());
    if (preamble.major != major_version) {
        detail::raise(Errc::unsupported_format,
                      "written in format " + std::to_string(preamble.major) +
                          "; this program reads format " + std::to_string(major_version),
                      {.path = path, .place = offsetof(Preamble, major)});
    }
    if ((preamble.incompatible_features & ~known_incompatible_features) != 0) {
        detail::raise(Errc::unsupported_format, "written with features that this program lacks",
                      {.path = path, .place = offsetof(Preamble, incompatible_features)});
    }
}

/// Reads the checked record at `place` of a whole file's bytes, or throws `corrupt` with the place.
template <CheckedRecord R>
[[nodiscard]] R require_record(Bytes file, std::uint64_t place, std::string const& path,
                               std::string_view what) {
    R record;
    if (file.size() < place || file.size() - place < sizeof(R) ||
        read_record(file.subspan(place), record) != RecordState::good) {
        detail::raise(Errc::corrupt, std::string{what} + " fails its check",
                      {.path = path, .place = place});
    }
    return record;
}

}  // namespace annals::inline v1::format
