// SPDX-License-Identifier: MIT
// Formatters for fmt, for those who want them; the only header that includes it. Nothing else in
// Annals includes this one.
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/record.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {

/// A timestamp to be shown in UTC, as ISO 8601 with nanoseconds:
///
///     fmt::print("{}", annals::utc(record.timestamp()));  // 2023-11-14T22:13:20.000000000Z
///
/// `Timestamp` itself is a type of the standard library: how fmt shows it is fmt's to say
/// (<fmt/chrono.h>), and must be the same in all files of a program.
struct Utc {
    Timestamp timestamp;
};

[[nodiscard]] constexpr Utc utc(Timestamp timestamp) noexcept { return {timestamp}; }

namespace detail {

/// "2023-11-14T22:13:20.000000000Z". The calendar is H. Hinnant's civil_from_days ("chrono-
/// compatible low-level date algorithms", 2013), which holds for days before 1970 too.
inline std::string text_of(Utc utc) {
    constexpr std::int64_t nanoseconds_a_day = 86'400'000'000'000;
    std::int64_t const count = utc.timestamp.time_since_epoch().count();
    std::int64_t days = count / nanoseconds_a_day;
    std::int64_t time = count % nanoseconds_a_day;
    if (time < 0) {
        time += nanoseconds_a_day;
        --days;
    }
    constexpr std::int64_t days_an_era = 146'097;  // 400 years, beginning on March 1st
    days += 719'468;                               // from 0000-03-01 to 1970-01-01
    std::int64_t const era = (days >= 0 ? days : days - days_an_era + 1) / days_an_era;
    std::int64_t const in_era = days - era * days_an_era;
    std::int64_t const year_of_era =
        (in_era - in_era / 1'460 + in_era / 36'524 - in_era / 146'096) / 365;
    std::int64_t const in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    std::int64_t const from_march = (5 * in_year + 2) / 153;
    std::int64_t const day = in_year - (153 * from_march + 2) / 5 + 1;
    std::int64_t const month = from_march < 10 ? from_march + 3 : from_march - 9;
    std::int64_t const year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
    std::int64_t const seconds = time / 1'000'000'000;
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", year, month, day,
                       seconds / 3'600, seconds / 60 % 60, seconds % 60, time % 1'000'000'000);
}

inline std::string text_of(Offset offset) { return std::to_string(offset.value()); }

inline std::string_view text_of(Errc code) { return to_string(code); }

inline std::string_view text_of(Error const& error) { return error.what(); }

/// Partition and offset, as in "3@17".
inline std::string text_of(RecordMetadata const& sent) {
    return fmt::format("{}@{} {}", sent.partition, sent.offset.value(),
                       text_of(utc(sent.timestamp)));
}

inline std::string text_of(BatchMetadata const& sent) {
    return fmt::format("{}@[{}, {}) {}", sent.partition, sent.first.value(),
                       sent.first.value() + sent.count, text_of(utc(sent.timestamp)));
}

/// What the record is, not what it holds: "3@17 2023-11-14T22:13:20.000000000Z key: 5 bytes, value:
/// 100 bytes".
inline std::string text_of(RecordView const& record) {
    auto const size = [](bool is_present, std::size_t bytes) {
        return is_present ? fmt::format("{} bytes", bytes) : std::string{"none"};
    };
    return fmt::format(
        "{}@{} {} key: {}, value: {}", record.partition(), record.offset().value(),
        text_of(utc(record.timestamp())),
        size(record.has_key(), record.has_key() ? record.RecordView::key().size() : 0),
        size(record.has_value(), record.has_value() ? record.RecordView::value().size() : 0));
}

/// Fill, width, alignment and precision as for text.
template <class T>
struct TextFormatter : fmt::formatter<std::string_view> {
    template <class Context>
    auto format(T const& value, Context& context) const {
        return fmt::formatter<std::string_view>::format(text_of(value), context);
    }
};

}  // namespace detail
}  // namespace annals::inline v1

template <>
struct fmt::formatter<annals::Offset> : annals::detail::TextFormatter<annals::Offset> {};
template <>
struct fmt::formatter<annals::Utc> : annals::detail::TextFormatter<annals::Utc> {};
template <>
struct fmt::formatter<annals::Errc> : annals::detail::TextFormatter<annals::Errc> {};
template <>
struct fmt::formatter<annals::Error> : annals::detail::TextFormatter<annals::Error> {};
template <>
struct fmt::formatter<annals::RecordMetadata>
    : annals::detail::TextFormatter<annals::RecordMetadata> {};
template <>
struct fmt::formatter<annals::BatchMetadata>
    : annals::detail::TextFormatter<annals::BatchMetadata> {};
/// Typed records too.
template <std::derived_from<annals::RecordView> Record>
struct fmt::formatter<Record, char> : annals::detail::TextFormatter<annals::RecordView> {};
