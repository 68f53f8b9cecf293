// SPDX-License-Identifier: MIT
#include <annals/storage/file_tools.hpp>

#include <cctype>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;

namespace {

/// A directory of a file system that takes names which differ in case for one.
class FoldingDirectory : public MemoryDirectory {
public:
    explicit FoldingDirectory(MemoryDirectory directory) : MemoryDirectory{std::move(directory)} {}

    [[nodiscard]] std::optional<MemoryDirectory> find_directory(std::string_view name) const {
        for (DirectoryEntry const& entry : list()) {
            if (folded(entry.name) == folded(name)) {
                return MemoryDirectory::find_directory(entry.name);
            }
        }
        return std::nullopt;
    }

private:
    static std::string folded(std::string_view name) {
        std::string text{name};
        for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        return text;
    }
};

}  // namespace

TEST_CASE("a directory is found by its own name, and not by one that the file system folds to it") {
    Machine<MemoryPlatform> machine;
    (void)machine.root.make_directory("Orders");
    FoldingDirectory const directory{machine.platform.open_directory(machine.path, Access::read)};
    REQUIRE(directory.find_directory("orders"));
    CHECK(storage::find_exactly(directory, "Orders"));
    CHECK_FALSE(storage::find_exactly(directory, "payments"));
    CHECK(code_of([&] { (void)storage::find_exactly(directory, "orders"); }) == Errc::invalid_name);
}
