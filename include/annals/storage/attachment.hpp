// SPDX-License-Identifier: MIT
// The log's lock file, as one who does not hold it sees it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include <annals/config.hpp>
#include <annals/options.hpp>
#include <annals/platform/platform.hpp>
#include <annals/storage/writer_life.hpp>

namespace annals::inline v1::storage {

/// A reading process's view of the writer. Needs no write permission and disturbs nobody. Any
/// thread may call it.
template <Platform P>
class Attachment {
public:
    using Directory = typename P::Directory;

    Attachment(std::shared_ptr<Directory const> log, AfterDeath rule)
        : log_{std::move(log)}, lock_{log_->find_file(lock_name, Access::read)}, rule_{rule} {}

    /// When the life of the writer that holds the lock began; nullopt: nobody holds it, or has not
    /// begun to write; 0: it does not say.
    [[nodiscard]] std::optional<std::int64_t> living() const {
        if (lock_) return life_in(*lock_);
        // A copied log may come without: its first writer makes it.
        auto const made_since = log_->find_file(lock_name, Access::read);
        return made_since ? life_in(*made_since) : std::nullopt;
    }
    [[nodiscard]] AfterDeath rule() const noexcept { return rule_; }

private:
    using File = typename Directory::File;

    [[nodiscard]] static std::optional<std::int64_t> life_in(File const& lock) {
        if (!lock.is_locked()) return std::nullopt;
        format::LifeRecord const life = read_life(lock);
        return life.ended == 0 ? std::optional{life.started} : std::nullopt;
    }

    std::shared_ptr<Directory const> log_;
    std::optional<File> lock_;
    AfterDeath rule_;
};

}  // namespace annals::inline v1::storage
