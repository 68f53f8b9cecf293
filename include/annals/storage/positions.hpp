// SPDX-License-Identifier: MIT
// What a group of consumers has committed in one topic, and the file that keeps it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/format/positions.hpp>
#include <annals/storage/file_tools.hpp>

namespace annals::inline v1::storage {

/// The committed positions of a group. Written by the writing process alone, and always as a whole:
/// a commit survives the process at once, and power loss when it has returned. One thread at a
/// time.
template <Platform P>
class Positions {
public:
    using Directory = typename P::Directory;

    /// Reads what is there. Throws `corrupt`, `unsupported_format` and `invalid_name`.
    Positions(std::shared_ptr<Directory const> log, std::string group, std::string topic,
              format::Id const& topic_id, std::uint32_t partitions)
        : log_{std::move(log)},
          group_{std::move(group)},
          topic_{std::move(topic)},
          topic_id_{topic_id},
          positions_(partitions) {
        auto const groups = log_->find_directory("groups");
        auto const directory = groups ? find_exactly(*groups, group_) : std::nullopt;
        if (!directory) return;
        if (auto const file = read_file(*directory, topic_)) {
            auto found = format::decode_positions(*file, topic_id_, partitions,
                                                  directory->path() + "/" + topic_);
            if (found) positions_ = std::move(*found);
        }
    }

    [[nodiscard]] format::Position const& operator[](std::uint32_t partition) const noexcept {
        return positions_[partition];
    }

    /// Replaces the positions by `changed`; durable when it returns. Throws, and keeps the old
    /// ones.
    void commit(std::vector<format::Position> changed) {
        auto groups = log_->open_directory("groups");
        auto directory = groups.make_directory(group_);
        if (!is_group_durable_) {
            (void)find_exactly(groups, group_);  // throws where it is another group's
            groups.sync();
            is_group_durable_ = true;
        }
        publish_change(directory, topic_, format::encode_positions(topic_id_, changed),
                       format::encode_positions(topic_id_, positions_));
        positions_ = std::move(changed);
    }

    [[nodiscard]] std::vector<format::Position> const& all() const noexcept { return positions_; }

private:
    std::shared_ptr<Directory const> log_;
    std::string group_;
    std::string topic_;
    format::Id topic_id_;
    std::vector<format::Position> positions_;
    bool is_group_durable_ = false;  ///< its directory's name, as far as this object knows
};

/// Which groups of a topic have a live consumer in this process. Any thread may call it.
template <Platform P>
class LiveGroups {
public:
    /// False: somebody has it.
    [[nodiscard]] bool enter(std::string const& group) {
        std::lock_guard const lock{mutex_};
        for (std::string const& each : groups_) {
            if (each == group) return false;
        }
        groups_.push_back(group);
        return true;
    }

    void leave(std::string const& group) {
        std::lock_guard const lock{mutex_};
        std::erase(groups_, group);
    }

private:
    typename P::Mutex mutex_;
    std::vector<std::string> groups_;
};

}  // namespace annals::inline v1::storage
