// SPDX-License-Identifier: MIT
// A reader that attaches while senders use up the segments that were made in advance.
#include <annals/annals.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <annals/platform/memory.hpp>

#include "../storage/lives.hpp"
#include "../world.hpp"

using namespace annals;
using namespace annals::test;

namespace {

/// Calls `before_look` before a file is looked for to be read.
class WatchedDirectory {
public:
    using File = MemoryFile;

    inline static std::function<void(std::string_view)> before_look;

    WatchedDirectory(MemoryDirectory directory) : directory_{std::move(directory)} {}  // NOLINT

    std::string const& path() const noexcept { return directory_.path(); }
    WatchedDirectory open_directory(std::string_view name) const {
        return directory_.open_directory(name);
    }
    std::optional<WatchedDirectory> find_directory(std::string_view name) const {
        auto found = directory_.find_directory(name);
        return found ? std::optional<WatchedDirectory>{std::move(*found)} : std::nullopt;
    }
    WatchedDirectory make_directory(std::string_view name) {
        return directory_.make_directory(name);
    }
    File open_file(std::string_view name, Access access) const {
        return directory_.open_file(name, access);
    }
    std::optional<File> find_file(std::string_view name, Access access) const {
        if (auto const call = std::exchange(before_look, nullptr)) {
            if (access == Access::read) call(name);
            before_look = call;
        }
        return directory_.find_file(name, access);
    }
    File create_file(std::string_view name) { return directory_.create_file(name); }
    void rename(std::string_view from, std::string_view to) { directory_.rename(from, to); }
    bool remove_file(std::string_view name) { return directory_.remove_file(name); }
    bool remove_directory(std::string_view name) { return directory_.remove_directory(name); }
    std::vector<DirectoryEntry> list() const { return directory_.list(); }
    void sync() { directory_.sync(); }
    FileSystemKind file_system() const noexcept { return directory_.file_system(); }

private:
    MemoryDirectory directory_;
};

class WatchedPlatform : public MemoryPlatform {
public:
    using Directory = WatchedDirectory;
    using MemoryPlatform::MemoryPlatform;

    Directory open_directory(std::string const& path, Access access) const {
        return MemoryPlatform::open_directory(path, access);
    }
};

}  // namespace

TEST_CASE("a reader that attaches while two spares are used up sees every segment") {
    auto const sent_before = GENERATE("00000001.seg", "00000002.seg", "00000003.seg");
    World<WatchedPlatform> world;
    storage::LogState<WatchedPlatform> log{
        world.path, {.segment_bytes = small_segment, .keeper = false}, world.machine.platform};
    auto const state =
        log.open_topic("t", {codec_name<Bytes>(), codec_name<Bytes>(), {.sync = Sync::never}});
    BasicTopic<Bytes, Bytes, WatchedPlatform> const topic{state, Access::write};
    append_to(topic, 3);
    for (int n = 0; n < 2; ++n) state->partition(0)->writer().make_spare_where_due(true);

    bool has_sent = false;
    WatchedDirectory::before_look = [&](std::string_view name) {
        if (name == sent_before && !std::exchange(has_sent, true)) append_to(topic, 16);
    };
    auto reader = world.attach();
    auto const seen = reader.topic<Bytes, Bytes>("t");
    WatchedDirectory::before_look = nullptr;
    REQUIRE(has_sent);
    auto cursor = seen.partition(0).cursor();
    std::uint64_t expected = 0;
    while (auto const record = cursor.next()) {
        REQUIRE(record->offset() == Offset{expected});
        ++expected;
    }
    CHECK(expected == 19);
}
