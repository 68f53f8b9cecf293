// SPDX-License-Identifier: MIT
// What is done where descriptors or mappings run out: those that sealed segments still hold are
// given back first.
#pragma once

#include <cerrno>
#include <mutex>
#include <vector>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/platform/platform.hpp>

namespace annals::inline v1::storage {

/// Whether the process or the machine has no more descriptors, mappings or memory to give.
[[nodiscard]] inline bool is_exhaustion(Error const& error) noexcept {
    int const code = error.system_code();
    return code == EMFILE || code == ENFILE || code == ENOMEM;
}

/// Knows all writers of a log. Any thread may call it that holds no lock of a partition.
template <Platform P, class Writer>
class Relief {
public:
    void add(Writer& writer) {
        std::lock_guard const lock{mutex_};
        writers_.push_back(&writer);
    }
    void remove(Writer& writer) {
        std::lock_guard const lock{mutex_};
        std::erase(writers_, &writer);
    }

    /// Syncs and completes all sealed segments of the log, then does the work. One thread at a time
    /// is here, so that what was given back to one is not taken by another. Throws what the work
    /// throws.
    template <class Work>
    void before(Work const& work) {
        std::lock_guard const lock{mutex_};
        for (Writer* const each : writers_) {
            // What fails here concerns that writer, which remembers it.
            (void)detail::attempt([&] { each->complete_rolled(); });
        }
        work();
    }

private:
    typename P::Mutex mutex_;
    std::vector<Writer*> writers_;
};

}  // namespace annals::inline v1::storage
