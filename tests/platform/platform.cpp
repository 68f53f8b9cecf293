// SPDX-License-Identifier: MIT
// What both platforms must do alike: the meaning of every operation of the concept.
#include <annals/platform/platform.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "catch.hpp"
#include "platform/machines.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;
using namespace std::string_view_literals;

#define BOTH_PLATFORMS NativePlatform, MemoryPlatform

TEMPLATE_TEST_CASE("a new file is empty and keeps what is written", "", BOTH_PLATFORMS) {
    Machine<TestType> machine;
    auto file = machine.root.create_file("f");
    CHECK(file.size() == 0);
    CHECK(file.path() == machine.path + "/f");
    file.write_at(0, as_bytes("hello"));
    file.write_at(3, as_bytes("p!"));
    file.sync();
    CHECK(content(machine.root.open_file("f", Access::read)) == "help!");
}

TEMPLATE_TEST_CASE("a read beyond the end is short", "", BOTH_PLATFORMS) {
    Machine<TestType> machine;
    auto const file = make_file(machine.root, "f", "hello");
    std::array<std::byte, 8> out{};
    CHECK(file.read_at(0, out) == 5);
    CHECK(file.read_at(3, out) == 2);
    CHECK(out[0] == std::byte{'l'});
    CHECK(file.read_at(5, out) == 0);
    CHECK(file.read_at(1000, out) == 0);
    CHECK(file.read_at(0, {}) == 0);
}

TEMPLATE_TEST_CASE("a write beyond the end leaves zeros before it", "", BOTH_PLATFORMS) {
    Machine<TestType> machine;
    auto file = machine.root.create_file("f");
    file.write_at(3, as_bytes("x"));
    CHECK(content(file) == std::string("\0\0\0x", 4));
    file.write_at(100, {});
    CHECK(file.size() == 4);
}

TEMPLATE_TEST_CASE("allocation makes zeros up to the size and keeps what was there", "",
                   BOTH_PLATFORMS) {
    auto const blocks = GENERATE(Blocks::reserved, Blocks::zeroed);
    constexpr std::uint64_t size = (std::uint64_t{2} << 20) + 4096;
    Machine<TestType> machine;
    auto file = make_file(machine.root, "f", "head");
    file.allocate(size, blocks);
    auto const text = content(file);
    CHECK(text.size() == size);
    CHECK(text.substr(0, 4) == "head");
    CHECK(text.find_first_not_of('\0', 4) == std::string::npos);
    file.allocate(10, blocks);
    CHECK(file.size() == size);
}

TEMPLATE_TEST_CASE("a mapping shows the file and the file shows its stores", "", BOTH_PLATFORMS) {
    Machine<TestType> machine;
    auto file = make_file(machine.root, "f", "....");
    file.allocate(10'000, Blocks::reserved);
    auto writable = file.map(Access::write);
    auto const readable = machine.root.open_file("f", Access::read).map(Access::read);
    REQUIRE(writable.size() == 10'000);
    REQUIRE(readable.size() == 10'000);
    CHECK(reinterpret_cast<std::uintptr_t>(writable.data()) % 4096 == 0);

    writable.populate(0, 10'000);
    writable.populate(5'000, std::numeric_limits<std::uint64_t>::max());
    writable.populate(20'000, 1);
    writable.data()[5'000] = std::byte{7};
    writable.release(0, std::numeric_limits<std::uint64_t>::max());
    writable.release(20'000, 1);
    CHECK(writable.data()[5'000] == std::byte{7});
    std::memcpy(writable.data() + 9'000, "store", 5);
    file.write_at(0, as_bytes("write"));
    CHECK(std::memcmp(readable.data() + 9'000, "store", 5) == 0);
    CHECK(std::memcmp(readable.data(), "write", 5) == 0);
    CHECK(content(file).substr(9'000, 5) == "store");
    file.start_writeback(0, 10'000);
    file.write_back(0, 10'000);
    file.write_back(5'000, 0);
    writable.sync();
}

TEMPLATE_TEST_CASE("a mapping outlives its file, its name, and a move", "", BOTH_PLATFORMS) {
    Machine<TestType> machine;
    auto mapping = [&] {
        auto file = make_file(machine.root, "f", "still here");
        return file.map(Access::write);
    }();
    CHECK(machine.root.remove_file("f"));
    auto moved = std::move(mapping);
    CHECK(mapping.data() == nullptr);  // NOLINT(bugprone-use-after-move): that it is empty
    CHECK(mapping.size() == 0);        // NOLINT(bugprone-use-after-move)
    mapping.sync();                    // NOLINT(bugprone-use-after-move)
    CHECK(std::memcmp(moved.data(), "still here", 10) == 0);
    moved.sync();
    mapping = std::move(moved);
    CHECK(mapping.size() == 10);
}

TEMPLATE_TEST_CASE("a file of size 0 has an empty mapping", "", BOTH_PLATFORMS) {
    Machine<TestType> machine;
    auto mapping = machine.root.create_file("f").map(Access::write);
    CHECK(mapping.size() == 0);
    mapping.populate(0, 1);
    mapping.sync();
}

TEMPLATE_TEST_CASE("what is punched reads as zeros and the size stays", "", BOTH_PLATFORMS) {
    Machine<TestType> machine;
    auto file = make_file(machine.root, "f", std::string(12'288, 'x'));
    file.punch(4'000, 5'000);
    auto const text = content(file);
    REQUIRE(text.size() == 12'288);
    CHECK(text.substr(0, 4'000) == std::string(4'000, 'x'));
    CHECK(text.substr(4'000, 5'000) == std::string(5'000, '\0'));
    CHECK(text.substr(9'000) == std::string(3'288, 'x'));
    file.punch(12'000, std::numeric_limits<std::uint64_t>::max());
    CHECK(content(file).substr(12'000) == std::string(288, '\0'));
    file.punch(50'000, 1);
    CHECK(file.size() == 12'288);
}

TEMPLATE_TEST_CASE("a file opened for reading refuses changes", "", BOTH_PLATFORMS) {
    Machine<TestType> machine;
    make_file(machine.root, "f", "text");
    auto file = machine.root.open_file("f", Access::read);
    CHECK(code_of([&] { file.write_at(0, as_bytes("x")); }) == Errc::io_error);
    CHECK(code_of([&] { file.allocate(100, Blocks::reserved); }) == Errc::io_error);
    CHECK(code_of([&] { file.punch(0, 1); }) == Errc::io_error);
    CHECK(code_of([&] { (void)file.try_lock(); }) == Errc::io_error);
    CHECK(code_of([&] { (void)file.map(Access::write); }) == Errc::permission_denied);
    CHECK(content(file) == "text");
}

TEMPLATE_TEST_CASE("a file keeps its identity through a rename and a copy has another", "",
                   BOTH_PLATFORMS) {
    Machine<TestType> machine;
    auto const before = machine.root.create_file("f").identity();
    auto const other = machine.root.create_file("g").identity();
    machine.root.rename("f", "h");
    CHECK(machine.root.open_file("h", Access::read).identity() == before);
    CHECK(other != before);
    CHECK(other.device == before.device);
}

TEMPLATE_TEST_CASE("a lock excludes other open files until its file goes", "", BOTH_PLATFORMS) {
    Machine<TestType> machine;
    auto first = std::make_optional(machine.root.create_file("lock"));
    auto second = machine.root.open_file("lock", Access::write);
    auto const reader = machine.root.open_file("lock", Access::read);
    CHECK_FALSE(reader.is_locked());
    CHECK(first->try_lock());
    CHECK(first->try_lock());
    CHECK_FALSE(first->is_locked());
    CHECK_FALSE(second.try_lock());
    CHECK(second.is_locked());
    CHECK(reader.is_locked());

    auto moved = std::move(*first);
    first.reset();
    CHECK_FALSE(second.try_lock());
    moved = machine.root.create_file("other");
    CHECK_FALSE(reader.is_locked());
    CHECK(second.try_lock());
    CHECK(reader.is_locked());
}

TEMPLATE_TEST_CASE("names come and go as files and directories", "", BOTH_PLATFORMS) {
    Machine<TestType> machine;
    auto& root = machine.root;
    auto sub = root.make_directory("sub");
    CHECK(sub.path() == machine.path + "/sub");
    make_file(sub, "inner", "1");
    CHECK(content(root.make_directory("sub").open_file("inner", Access::read)) == "1");
    root.create_file("f");
    sub.sync();
    root.sync();

    auto entries = root.list();
    std::ranges::sort(entries, {}, &DirectoryEntry::name);
    REQUIRE(entries.size() == 2);
    CHECK(entries[0].name == "f");
    CHECK(entries[0].kind == EntryKind::file);
    CHECK(entries[1].name == "sub");
    CHECK(entries[1].kind == EntryKind::directory);
    CHECK(root.list().size() == 2);

    CHECK(code_of([&] { root.remove_directory("sub"); }) == Errc::io_error);
    CHECK(code_of([&] { root.remove_directory("f"); }) == Errc::io_error);
    CHECK(code_of([&] { root.remove_file("sub"); }) == Errc::io_error);
    CHECK(sub.remove_file("inner"));
    CHECK_FALSE(sub.remove_file("inner"));
    CHECK(root.remove_directory("sub"));
    CHECK_FALSE(root.remove_directory("sub"));
    CHECK(code_of([&] { sub.create_file("late"); }) == Errc::not_found);
    CHECK(root.remove_file("f"));
    CHECK(root.list().empty());
}

TEMPLATE_TEST_CASE("what is missing is not found", "", BOTH_PLATFORMS) {
    Machine<TestType> machine;
    auto& root = machine.root;
    CHECK_FALSE(root.find_file("f", Access::read));
    CHECK_FALSE(root.find_directory("d"));
    CHECK(code_of([&] { (void)root.open_file("f", Access::write); }) == Errc::not_found);
    CHECK(code_of([&] { (void)root.open_directory("d"); }) == Errc::not_found);
    CHECK(code_of([&] { root.rename("f", "g"); }) == Errc::not_found);
    auto const missing = machine.path + "/no/such";
    CHECK(code_of([&] { (void)machine.platform.open_directory(missing, Access::read); }) ==
          Errc::not_found);
    try {
        (void)root.open_file("f", Access::read);
    } catch (Error const& error) {
        CHECK(error.path() == machine.path + "/f");
        CHECK(error.system_code() == ENOENT);
    }
}

TEMPLATE_TEST_CASE("what is of another kind is told", "", BOTH_PLATFORMS) {
    Machine<TestType> machine;
    auto& root = machine.root;
    root.create_file("f");
    root.make_directory("d");
    CHECK(code_of([&] { root.create_file("f"); }) == Errc::io_error);
    CHECK(code_of([&] { root.create_file("d"); }) == Errc::io_error);
    CHECK(code_of([&] { (void)root.find_file("d", Access::read); }) == Errc::corrupt);
    CHECK(code_of([&] { (void)root.find_file("d", Access::write); }) == Errc::corrupt);
    CHECK(code_of([&] { (void)root.find_directory("f"); }) == Errc::corrupt);
    CHECK(code_of([&] { root.make_directory("f"); }) == Errc::corrupt);
    for (auto const* path : {"/f", "/f/below"})
        CHECK(code_of([&] {
                  (void)machine.platform.open_directory(machine.path + path, Access::write);
              }) == Errc::not_a_log);
}

TEMPLATE_TEST_CASE("a name that is not one component is refused", "", BOTH_PLATFORMS) {
    Machine<TestType> machine;
    auto& root = machine.root;
    root.make_directory("a");
    root.create_file("good");
    for (auto const name : {""sv, "."sv, ".."sv, "a/b"sv, "/"sv, "a\0b"sv}) {
        CHECK(code_of([&] { (void)root.find_file(name, Access::read); }) == Errc::invalid_argument);
        CHECK(code_of([&] { (void)root.open_file(name, Access::read); }) == Errc::invalid_argument);
        CHECK(code_of([&] { root.create_file(name); }) == Errc::invalid_argument);
        CHECK(code_of([&] { (void)root.find_directory(name); }) == Errc::invalid_argument);
        CHECK(code_of([&] { (void)root.open_directory(name); }) == Errc::invalid_argument);
        CHECK(code_of([&] { root.make_directory(name); }) == Errc::invalid_argument);
        CHECK(code_of([&] { root.remove_file(name); }) == Errc::invalid_argument);
        CHECK(code_of([&] { root.remove_directory(name); }) == Errc::invalid_argument);
        CHECK(code_of([&] { root.rename(name, "x"); }) == Errc::invalid_argument);
        CHECK(code_of([&] { root.rename("good", name); }) == Errc::invalid_argument);
    }
    CHECK(root.list().size() == 2);
}

TEMPLATE_TEST_CASE("a rename replaces what has the new name", "", BOTH_PLATFORMS) {
    Machine<TestType> machine;
    auto& root = machine.root;
    auto const old = make_file(root, "f", "old");
    make_file(root, ".tmp-f", "new");
    root.rename(".tmp-f", "f");
    CHECK(content(root.open_file("f", Access::read)) == "new");
    CHECK(content(old) == "old");
    CHECK(root.list().size() == 1);

    auto full = root.make_directory("full");
    full.create_file("x");
    root.make_directory("empty");
    CHECK(code_of([&] { root.rename("empty", "full"); }) == Errc::io_error);
    CHECK(code_of([&] { root.rename("f", "full"); }) == Errc::io_error);
    CHECK(code_of([&] { root.rename("full", "f"); }) == Errc::io_error);
    root.rename("full", "full");
    root.rename("full", "empty");
    CHECK(root.open_directory("empty").find_file("x", Access::read));
    CHECK(root.list().size() == 2);
}

TEMPLATE_TEST_CASE("the missing directories of a path are made for writing only", "",
                   BOTH_PLATFORMS) {
    Machine<TestType> machine;
    auto const& platform = machine.platform;
    auto const deep = machine.path + "//deep/./er/../er/";
    CHECK(code_of([&] { (void)platform.open_directory(deep, Access::read); }) == Errc::not_found);
    platform.open_directory(deep, Access::write).create_file("f");
    CHECK(machine.root.open_directory("deep").open_directory("er").find_file("f", Access::read));
    CHECK(platform.open_directory(machine.path + "/deep", Access::read).list().size() == 1);
    CHECK(code_of([&] { (void)platform.open_directory("", Access::write); }) ==
          Errc::invalid_argument);
}

TEMPLATE_TEST_CASE("clocks go on, random numbers differ, a boot has one id", "", BOTH_PLATFORMS) {
    Machine<TestType> machine;
    auto const& platform = machine.platform;
    auto const now = platform.now();
    auto const steady = platform.steady_now();
    platform.wait({}, 2ms);
    CHECK(platform.now() >= now + 1ms);
    CHECK(platform.steady_now() >= steady + 1ms);
    CHECK(platform.coarse_now() <= platform.now());
    CHECK(platform.random() != platform.random());
    CHECK(platform.boot_id() == platform.boot_id());
    CHECK(platform.boot_id() != BootId{});
    for (unsigned attempt = 0; attempt < 130; ++attempt) platform.relax(attempt);
}

TEMPLATE_TEST_CASE("a wait is over at once when one word differs, else after its time", "",
                   BOTH_PLATFORMS) {
    TestType const platform;
    std::uint32_t const changed = 7;
    std::uint32_t const same = 1;
    auto const count = GENERATE(std::size_t{1}, std::size_t{2}, std::size_t{128}, std::size_t{129});
    std::vector<WaitWord> words(count, WaitWord{&same, 1});
    auto const waited = [&](std::chrono::nanoseconds timeout) {
        auto const begin = platform.steady_now();
        platform.wait(words, timeout);
        return platform.steady_now() - begin;
    };
    CHECK(waited(-1s) < 1s);
    CHECK(waited(0s) < 1s);
    auto const slept = waited(20ms);
    if (count <= 128) CHECK(slept >= 20ms);
    words.back() = {&changed, 1};
    CHECK(waited(std::chrono::hours{1}) < 1min);
    CHECK(waited(std::chrono::nanoseconds::max()) < 1min);
    platform.wake(&same);
}
