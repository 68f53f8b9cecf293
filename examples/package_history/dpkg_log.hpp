// SPDX-License-Identifier: MIT
// dpkg's log, line by line: "2025-06-24 14:36:25 status installed libudev1:amd64 252.38-1~deb12u1".
#pragma once

#include <annals/types.hpp>

#include <chrono>
#include <cstddef>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace dpkg {

inline constexpr std::size_t time_length = 19;  // "2025-06-24 14:36:25"

/// A line of the log: when, and what happened.
struct Line {
    std::string text;
    annals::Timestamp moment{};  ///< what the time in the text means
    [[nodiscard]] std::string_view time() const { return {text.data(), time_length}; }
    [[nodiscard]] std::string_view event() const {
        return std::string_view{text}.substr(time_length + 1);
    }
};

/// What a status line says. The views live as long as the event's text.
struct Status {
    std::string_view state;
    std::string_view package;  ///< as the log names it, with its architecture
    std::string_view version;
};

/// Takes the first word and the space behind it off `text`.
inline std::string_view take_word(std::string_view& text) {
    auto const word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size() < text.size() ? word.size() + 1 : word.size());
    return word;
}

/// "status installed libudev1:amd64 252.38-1~deb12u1"; nothing where the event is another one.
inline std::optional<Status> status_of(std::string_view event) {
    if (take_word(event) != "status") return std::nullopt;
    auto const state = take_word(event);
    auto const package = take_word(event);
    auto const version = take_word(event);
    if (version.empty()) return std::nullopt;
    return Status{state, package, version};
}

/// The package that an event is about. "startup archives unpack" is about none.
inline std::optional<std::string_view> package_of(std::string_view event) {
    if (auto const status = status_of(event)) return status->package;
    auto const action = take_word(event);
    for (auto const* known :
         {"install", "upgrade", "configure", "trigproc", "remove", "purge", "disappear"}) {
        if (action == known) return take_word(event);
    }
    return std::nullopt;
}

/// The time's fields, where it is written as dpkg writes it and there can be such a time.
inline std::optional<std::tm> parse_time(std::string_view text) {
    constexpr std::string_view form = "0000-00-00 00:00:00";
    if (text.size() != form.size()) return std::nullopt;
    for (std::size_t i = 0; i < form.size(); ++i) {
        bool const digit = text[i] >= '0' && text[i] <= '9';
        if (form[i] == '0' ? !digit : text[i] != form[i]) return std::nullopt;
    }
    auto const number = [&](std::size_t from, std::size_t length) {
        int value = 0;
        for (char const c : text.substr(from, length)) value = value * 10 + (c - '0');
        return value;
    };
    std::tm fields{};
    fields.tm_year = number(0, 4) - 1900;
    fields.tm_mon = number(5, 2) - 1;
    fields.tm_mday = number(8, 2);
    fields.tm_hour = number(11, 2);
    fields.tm_min = number(14, 2);
    fields.tm_sec = number(17, 2);
    std::chrono::year_month_day const day{std::chrono::year{number(0, 4)},
                                          std::chrono::month{static_cast<unsigned>(number(5, 2))},
                                          std::chrono::day{static_cast<unsigned>(number(8, 2))}};
    if (!day.ok() || fields.tm_hour > 23 || fields.tm_min > 59 || fields.tm_sec > 60)
        return std::nullopt;
    return fields;
}

/// The text as a line of dpkg's log, if it is one: a time, a space, and an event that is whole.
inline std::optional<Line> parse_line(std::string text) {
    Line line{.text = std::move(text)};
    if (line.text.size() < time_length + 2 || line.text[time_length] != ' ') return std::nullopt;
    if (!parse_time(line.time())) return std::nullopt;
    if (line.event().starts_with("status ") && !status_of(line.event())) return std::nullopt;
    if (package_of(line.event()) == "") return std::nullopt;
    return line;
}

/// Turns the local times of one file, line after line, into moments.
class LocalClock {
public:
    /// In the hour that comes twice when summer time ends, the same text means two moments; taken
    /// is the first that is not before the line above.
    annals::Timestamp moment(std::string_view time) {
        std::tm const fields = *parse_time(time);
        std::chrono::seconds const second{fields.tm_sec};
        // The system's answer is dear, and good for a minute.
        if (time.substr(0, minute_length) != minute_ || begin_ + second < last_) {
            minute_ = time.substr(0, minute_length);
            begin_ = ask(fields) - second;
        }
        return last_ = begin_ + second;
    }

private:
    static constexpr std::size_t minute_length = 16;  // "2025-06-24 14:36"

    [[nodiscard]] annals::Timestamp ask(std::tm const& fields) const {
        std::tm asked = fields;
        asked.tm_isdst = -1;
        std::time_t const found = std::mktime(&asked);
        std::optional<annals::Timestamp> chosen;
        for (std::time_t const candidate : {found - 3600, found, found + 3600}) {
            std::tm shown{};
            localtime_r(&candidate, &shown);
            if (shown.tm_hour != fields.tm_hour || shown.tm_min != fields.tm_min) continue;
            if (!chosen || *chosen < last_) chosen = seconds(candidate);
        }
        return chosen.value_or(seconds(found));  // in an hour that was left out, none shows it
    }

    static annals::Timestamp seconds(std::time_t since_1970) {
        return annals::Timestamp{std::chrono::seconds{since_1970}};
    }

    std::string minute_;
    annals::Timestamp begin_{};
    annals::Timestamp last_ = annals::Timestamp::min();
};

}  // namespace dpkg
