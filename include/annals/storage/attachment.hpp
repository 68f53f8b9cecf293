// SPDX-License-Identifier: MIT
// The log's lock file, as one who does not hold it sees it.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <annals/config.hpp>
#include <annals/options.hpp>
#include <annals/platform/platform.hpp>

namespace annals::inline v1::storage {

/// Never unlinked, never timed out: the kernel releases it when its holder dies.
inline constexpr std::string_view lock_name = "lock";

/// A reading process's view of the writer. Needs no write permission and disturbs nobody. Any
/// thread may call it.
template <Platform P>
class Attachment {
public:
    using Directory = typename P::Directory;

    Attachment(std::shared_ptr<Directory const> log, AfterDeath rule)
        : log_{std::move(log)}, lock_{log_->find_file(lock_name, Access::read)}, rule_{rule} {}

    [[nodiscard]] bool is_writer_alive() const {
        if (lock_) return lock_->is_locked();
        // A copied log may come without: its first writer makes it.
        auto const made_since = log_->find_file(lock_name, Access::read);
        return made_since && made_since->is_locked();
    }
    [[nodiscard]] AfterDeath rule() const noexcept { return rule_; }

private:
    std::shared_ptr<Directory const> log_;
    std::optional<typename Directory::File> lock_;
    AfterDeath rule_;
};

}  // namespace annals::inline v1::storage
