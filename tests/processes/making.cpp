// SPDX-License-Identifier: MIT
// Who opens a log while another process is just making it.
#include <annals/storage/log_directory.hpp>

#include <atomic>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;

namespace {

/// Another process comes right after the first file was looked for.
class Overtaken : public MemoryDirectory {
public:
    explicit Overtaken(MemoryDirectory directory) : MemoryDirectory{std::move(directory)} {}

    [[nodiscard]] Overtaken open_directory(std::string_view name) const {
        return Overtaken{MemoryDirectory::open_directory(name)};
    }
    [[nodiscard]] std::optional<Overtaken> find_directory(std::string_view name) const {
        auto found = MemoryDirectory::find_directory(name);
        if (!found) return std::nullopt;
        return Overtaken{*std::move(found)};
    }
    Overtaken make_directory(std::string_view name) {
        return Overtaken{MemoryDirectory::make_directory(name)};
    }
    [[nodiscard]] std::optional<MemoryFile> find_file(std::string_view name, Access access) const {
        auto found = MemoryDirectory::find_file(name, access);
        if (meanwhile) std::exchange(meanwhile, nullptr)();
        return found;
    }

    mutable std::function<void()> meanwhile{};
};
static_assert(PlatformDirectory<Overtaken>);

}  // namespace

TEST_CASE("a log that is made while it is looked for is there or not there, and nothing else") {
    World<MemoryPlatform> world;
    auto& platform = world.machine.platform;
    Overtaken directory{platform.open_directory(world.path, Access::write)};
    directory.meanwhile = [&] {
        auto other = platform.open_directory(world.path, Access::write);
        storage::make_log(other, platform);
    };
    CHECK(code_of([&] { (void)storage::holds_log(directory); }) == Errc::ok);
}

TEST_CASE("a reader that waits for a log to appear is told not_found until it does") {
    std::atomic<unsigned> wrong{0};
    std::atomic<unsigned> reported{0};
    for (int round = 0; round < 500; ++round) {
        World<NativePlatform> world;
        std::atomic<bool> is_looking{false};
        std::jthread const reader{[&] {
            for (;;) {
                auto const code = code_of([&] { (void)world.attach(); });
                is_looking = true;
                if (code == Errc::ok) return;
                if (code == Errc::not_found) continue;
                ++wrong;
                reported = static_cast<unsigned>(code);
            }
        }};
        while (!is_looking) std::this_thread::yield();
        auto const log = world.open({.keeper = false});
    }
    CAPTURE(to_string(static_cast<Errc>(reported.load())));
    CHECK(wrong == 0);
}
