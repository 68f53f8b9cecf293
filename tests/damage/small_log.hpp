// SPDX-License-Identifier: MIT
// A small log with some of everything in it, what it holds, and how to damage its files.
#pragma once

#include <annals/annals.hpp>
#include <annals/platform/memory.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/lives.hpp"

namespace annals::test {

/// A record as it was sent.
struct Sent {
    std::optional<std::string> key{};
    std::optional<std::string> value{};
    std::string headers{};  ///< "name=value;" for each
    std::int64_t timestamp = 0;
};

inline constexpr std::uint32_t small_log_partitions = 2;
inline std::string const control_path = "topics/t/0/control";

/// What a log must hold. Offsets from `durable` on may be missing, as a tail and in silence.
struct Truth {
    std::array<std::vector<Sent>, small_log_partitions> records{};
    std::array<std::uint64_t, small_log_partitions> durable{};
    std::array<std::optional<std::uint64_t>, small_log_partitions> committed{};
    /// False where the control file is damaged: then where the log begins and how far it was
    /// durable may be unknown, and more may be missing in front or behind.
    std::array<bool, small_log_partitions> is_certain{true, true};
    bool is_group_certain = true;  ///< false: its file may be gone, as if it had never committed
};

inline LogOptions const small_log_options{.segment_bytes = small_segment};
inline std::string const small_log_path = "/log";

/// Makes the log, one record after another.
class SmallLog {
public:
    SmallLog() {
        machine_.advance(std::chrono::hours{1});
        open();
        fill(0, 2);
        fill(1, 1);
        commit();
        for (int kind = 0; kind < 8; ++kind) append_some(kind % 2 == 0 ? 0 : 1, kind);
    }

    [[nodiscard]] Truth const& truth() const noexcept { return truth_; }
    [[nodiscard]] MemoryPlatform const& machine() const noexcept { return machine_; }

    void open() {
        log_.emplace(small_log_path, small_log_options, machine_);
        topic_.emplace(log_->topic<std::string, std::string>(
            "t", {.partitions = small_log_partitions, .sync = Sync::never}));
    }
    void flush() {
        log_->flush();
        note_durable();
    }
    /// Ends its writer's life as it should be ended.
    void close() {
        log_->close();
        note_durable();
    }
    void append_some(std::uint32_t partition, int kind) {
        std::string const text = std::to_string(partition) + "/" + std::to_string(++sent_);
        switch (kind) {
            case 0: return append(partition, {"key " + text, "value " + text});
            case 1: return append(partition, {std::nullopt, "no key " + text});
            case 2: return append(partition, {"gone " + text, std::nullopt});
            case 3: return append(partition, {"", "", "trace=" + text + ";empty=;"});
            case 4: return append_batch(partition, text);
            case 5: return append(partition, {"late " + text, "v", "", -500});
            default: return append(partition, {"large " + text, std::string(7'000, 'L') + text});
        }
    }

private:
    using Topic = BasicTopic<std::string, std::string, MemoryPlatform>;

    /// Until so many segments are complete.
    void fill(std::uint32_t partition, std::uint64_t complete) {
        auto const name = std::to_string(partition);
        auto const path = small_log_path + "/topics/t/" + name;
        for (int kind = 0;; ++kind) {
            append_some(partition, kind % 12);
            auto const directory = machine_.open_directory(path, Access::read);
            if (directory.find_file(format::ordinal_name(complete, ".idx"), Access::read)) return;
        }
    }

    void append(std::uint32_t partition, Sent sent) {
        machine_.advance(std::chrono::milliseconds{1});
        sent.timestamp += machine_.now().time_since_epoch().count();
        std::vector<Header> headers;
        std::string_view rest{sent.headers};
        while (!rest.empty()) {
            auto const name = rest.substr(0, rest.find('='));
            rest.remove_prefix(name.size() + 1);
            auto const value = rest.substr(0, rest.find(';'));
            rest.remove_prefix(value.size() + 1);
            headers.push_back({name, as_bytes(value)});
        }
        auto const bytes = [](auto const& text) {
            return text ? std::optional{as_bytes(*text)} : std::nullopt;
        };
        topic_->partition(partition).append(
            bytes(sent.key), bytes(sent.value),
            {.timestamp = Timestamp{std::chrono::nanoseconds{sent.timestamp}}, .headers = headers});
        truth_.records[partition].push_back(std::move(sent));
    }

    void append_batch(std::uint32_t partition, std::string const& text) {
        machine_.advance(std::chrono::milliseconds{1});
        std::vector<std::string> const values{text + " one", text + " two", text + " three"};
        topic_->producer().send_batch("batch", values, {.partition = partition});
        for (std::string const& value : values) {
            truth_.records[partition].push_back(
                {"batch", value, "", machine_.now().time_since_epoch().count()});
        }
    }

    void commit() {
        auto consumer = topic_->consumer({.group = "g"});
        (void)consumer.poll(std::chrono::nanoseconds{0}, 7);
        consumer.commit();
        for (std::uint32_t id = 0; id < small_log_partitions; ++id) {
            if (auto const at = consumer.committed(id)) truth_.committed[id] = at->value();
        }
    }

    void note_durable() {
        for (std::uint32_t id = 0; id < small_log_partitions; ++id) {
            truth_.durable[id] = truth_.records[id].size();
        }
    }

    MemoryPlatform machine_;
    std::optional<MemoryLog> log_;
    std::optional<Topic> topic_;
    Truth truth_;
    std::uint64_t sent_ = 0;
};

/// A machine with a log on it that some writer has left, in one way or the other.
struct Left {
    MemoryPlatform machine;
    Truth truth;
    bool is_closed = false;
};

[[nodiscard]] inline Left closed() {
    SmallLog log;
    log.close();
    return {log.machine(), log.truth(), true};
}

/// With some records that are durable, and said to be so by a control file that is durable itself,
/// and some that are not.
[[nodiscard]] inline SmallLog abandoned() {
    SmallLog log;
    log.close();
    log.open();
    for (int kind = 0; kind < 8; ++kind) log.append_some(kind % 2 == 0 ? 0 : 1, kind);
    return log;
}

[[nodiscard]] inline Left died() {
    SmallLog const log = abandoned();
    return {log.machine().after_process_death(), log.truth()};
}

[[nodiscard]] inline Left lost_power(std::uint64_t seed) {
    SmallLog const log = abandoned();
    return {log.machine().after_power_loss(seed), log.truth()};
}

/// A directory of the machine by its path in the log: "topics/t/0".
[[nodiscard]] inline MemoryDirectory directory_of(MemoryPlatform const& machine,
                                                  std::string_view path) {
    return machine.open_directory(small_log_path + "/" + std::string{path}, Access::read);
}

/// A path in the log, taken apart.
struct FilePath {
    explicit FilePath(std::string const& path) {
        auto const slash = path.rfind('/');
        directory = slash == std::string::npos ? "" : path.substr(0, slash);
        name = slash == std::string::npos ? path : path.substr(slash + 1);
    }
    std::string directory;
    std::string name;
};

/// Overwrites bytes of a file, which stays the file that it was.
inline void patch(MemoryPlatform const& machine, std::string const& path, std::uint64_t place,
                  std::string_view bytes) {
    FilePath const file{path};
    directory_of(machine, file.directory)
        .open_file(file.name, Access::write)
        .write_at(place, as_bytes(bytes));
}

/// Puts another file in its place; nothing: removes it.
inline void replace(MemoryPlatform const& machine, std::string const& path,
                    std::optional<std::string> const& bytes) {
    FilePath const file{path};
    auto directory = directory_of(machine, file.directory);
    directory.remove_file(file.name);
    if (bytes) (void)make_file(directory, file.name, *bytes);
}

/// All files of the log with their bytes, without directories.
[[nodiscard]] inline std::map<std::string, std::string> files_of(MemoryPlatform const& machine) {
    auto files = dump(directory_of(machine, ""));
    std::erase_if(files, [](auto const& file) { return file.first.ends_with('/'); });
    return files;
}

/// The file's pages, the last one perhaps shorter.
[[nodiscard]] inline std::vector<std::string> pages_of(std::string const& bytes) {
    std::vector<std::string> pages;
    for (std::uint64_t at = 0; at < bytes.size(); at += format::page_bytes) {
        pages.push_back(bytes.substr(at, format::page_bytes));
    }
    return pages;
}

/// What is still certain of a log that must hold `truth` when this file of it is damaged.
inline void allow_for(Truth& truth, std::string const& damaged) {
    for (std::uint32_t id = 0; id < small_log_partitions; ++id) {
        bool const is_control = damaged == "topics/t/" + std::to_string(id) + "/control";
        if (is_control) truth.is_certain[id] = false;
    }
    if (damaged == "groups/g/t") truth.is_group_certain = false;
}

/// One way to damage a log.
struct Damaging {
    std::string file;  ///< which is blamed
    std::string what;
    std::function<void(MemoryPlatform const&)> apply;
};

}  // namespace annals::test
