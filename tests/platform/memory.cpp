// SPDX-License-Identifier: MIT
// What only the simulated machine can do: die, lose power, fail on request, set its clock.
#include <annals/platform/memory.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <set>
#include <thread>

#include "catch.hpp"
#include "platform/machines.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t page = 4096;

MemoryDirectory root_of(MemoryPlatform const& machine) {
    return machine.open_directory("/log", Access::write);
}

std::string content_of(MemoryPlatform const& machine, std::string_view name) {
    return content(root_of(machine).open_file(name, Access::read));
}

bool exists(MemoryPlatform const& machine, std::string_view name) {
    return root_of(machine).find_file(name, Access::read).has_value();
}

}  // namespace

TEST_CASE("copies of the handle are the same machine, a new one is another") {
    MemoryPlatform const machine;
    MemoryPlatform const same = machine;
    make_file(*std::make_unique<MemoryDirectory>(root_of(machine)), "f", "text");
    CHECK(content_of(same, "f") == "text");
    CHECK_FALSE(exists(MemoryPlatform{}, "f"));
}

TEST_CASE("two machines with one seed do the same") {
    MemoryPlatform const first{42};
    MemoryPlatform const second{42};
    MemoryPlatform const other{43};
    auto const number = first.random();
    CHECK(second.random() == number);
    CHECK(other.random() != number);
    CHECK(first.boot_id() == second.boot_id());
    CHECK(first.boot_id() != other.boot_id());
    CHECK(root_of(first).create_file("f").identity() ==
          root_of(second).create_file("f").identity());
    CHECK(root_of(first).open_file("f", Access::read).identity() !=
          root_of(other).create_file("f").identity());
}

TEST_CASE("the clock stands still but for the test and for waits") {
    MemoryPlatform machine;
    CHECK(machine.now() == std::chrono::sys_days{std::chrono::year{2000} / 1 / 1});
    auto const steady = machine.steady_now();
    Timestamp const time{1'700'000'000s};
    machine.set_time(time);
    CHECK(machine.now() == time);
    CHECK(machine.coarse_now() == time);
    CHECK(machine.steady_now() == steady);
    machine.advance(1h);
    CHECK(machine.now() == time + 1h);
    CHECK(machine.steady_now() == steady + 1h);

    std::uint32_t const word = 5;
    WaitWord const waits[] = {{&word, 5}};
    machine.wait(waits, 2s);
    CHECK(machine.now() == time + 1h + 2s);
    WaitWord const is_over[] = {{&word, 5}, {&word, 4}};
    machine.wait(is_over, 2s);
    CHECK(machine.steady_now() == steady + 1h + 2s);
    CHECK(code_of([&] { machine.wait(waits, std::chrono::nanoseconds::max()); }) ==
          Errc::invalid_argument);
}

TEST_CASE("the death of the process takes nothing that was visible") {
    MemoryPlatform machine{7};
    machine.advance(1h);
    auto root = root_of(machine);
    auto file = make_file(root, "f", "never synced");
    REQUIRE(file.try_lock());
    auto mapping = file.map(Access::write);
    std::memcpy(mapping.data(), "N", 1);
    root.create_file("removed");
    root.sync();
    root.remove_file("removed");

    auto const after = machine.after_process_death();
    std::memcpy(mapping.data(), "X", 1);
    CHECK(content_of(after, "f") == "Never synced");
    CHECK_FALSE(exists(after, "removed"));
    CHECK(after.boot_id() == machine.boot_id());
    CHECK(after.now() == machine.now());
    CHECK(after.steady_now() == machine.steady_now());
    auto found = root_of(after).open_file("f", Access::write);
    CHECK(found.identity() == file.identity());
    CHECK_FALSE(found.is_locked());
    CHECK(found.try_lock());
    CHECK(root_of(after).create_file("new").identity() != file.identity());
    CHECK_FALSE(exists(machine, "new"));
    CHECK(content(file) == "Xever synced");

    // The page cache is still not the disk.
    CHECK(content_of(after.after_power_loss(), "f").empty());
    CHECK(exists(after.after_power_loss(), "removed"));
}

TEST_CASE("power loss takes what was not synced") {
    MemoryPlatform machine;
    auto root = root_of(machine);
    auto file = make_file(root, "f", std::string(3 * page, 'a'));
    file.sync();
    root.sync();
    file.write_at(page, as_bytes("later"));
    file.write_at(3 * page, as_bytes("grown"));
    auto mapping = file.map(Access::write);
    mapping.data()[0] = std::byte{'z'};

    auto const after = machine.after_power_loss();
    CHECK(content_of(after, "f") == std::string(3 * page, 'a'));
    CHECK(after.boot_id() != machine.boot_id());
    CHECK(after.now() == machine.now());
    CHECK(root_of(after).open_file("f", Access::read).identity() == file.identity());
    CHECK(after.after_power_loss().boot_id() != after.boot_id());

    mapping.sync();
    CHECK(content_of(machine.after_power_loss(), "f") == content(file));
}

TEST_CASE("a file whose name was synced but not its content is left with size 0") {
    MemoryPlatform machine;
    auto root = root_of(machine);
    make_file(root, "f", "text").allocate(10'000, Blocks::zeroed);
    root.sync();
    CHECK(content_of(machine.after_power_loss(), "f").empty());
}

TEST_CASE("names are durable once their directory was synced") {
    MemoryPlatform machine;
    auto root = root_of(machine);
    make_file(root, "f", "synced").sync();
    CHECK_FALSE(exists(machine.after_power_loss(), "f"));
    root.sync();
    CHECK(content_of(machine.after_power_loss(), "f") == "synced");

    SECTION("a rename falls back") {
        make_file(root, ".tmp-f", "new").sync();
        root.rename(".tmp-f", "f");
        CHECK(content_of(machine.after_power_loss(), "f") == "synced");
        root.sync();
        CHECK(content_of(machine.after_power_loss(), "f") == "new");
        CHECK_FALSE(exists(machine.after_power_loss(), ".tmp-f"));
    }
    SECTION("an unlink comes back") {
        root.remove_file("f");
        CHECK(content_of(machine.after_power_loss(), "f") == "synced");
        root.sync();
        CHECK_FALSE(exists(machine.after_power_loss(), "f"));
    }
    SECTION("a directory is as durable as its parent") {
        auto sub = root.make_directory("sub");
        make_file(sub, "x", "1").sync();
        sub.sync();
        CHECK_FALSE(root_of(machine.after_power_loss()).find_directory("sub"));
        root.sync();
        auto const left = root_of(machine.after_power_loss()).open_directory("sub");
        CHECK(content(left.open_file("x", Access::read)) == "1");
    }
}

TEST_CASE("seeded power loss takes each page or leaves it, alike for one seed") {
    MemoryPlatform machine;
    auto root = root_of(machine);
    auto file = make_file(root, "f", std::string(3 * page, 'a'));
    file.sync();
    root.sync();
    file.write_at(0, as_bytes(std::string(page, 'b')));
    file.write_at(2 * page, as_bytes(std::string(2 * page, 'b')));

    std::set<std::string> outcomes;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        auto const text = content_of(machine.after_power_loss(seed), "f");
        CHECK(content_of(machine.after_power_loss(seed), "f") == text);
        std::string pages;
        for (std::size_t i = 0; i < text.size(); i += page) {
            CHECK(text.substr(i, page) == std::string(page, text[i]));
            pages += text[i] == '\0' ? '0' : text[i];
        }
        outcomes.insert(pages);
    }
    CHECK(outcomes == std::set<std::string>{"aaa", "aab", "baa", "bab", "aaa0", "aaab", "aab0",
                                            "aabb", "baa0", "baab", "bab0", "babb"});
}

TEST_CASE("seeded power loss takes each change of a directory or leaves it") {
    MemoryPlatform machine;
    auto root = root_of(machine);
    make_file(root, "old", "old").sync();
    make_file(root, ".tmp", "new").sync();
    root.sync();
    root.rename(".tmp", "old");
    root.create_file("extra");

    std::set<std::string> outcomes;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        auto const after = machine.after_power_loss(seed);
        std::string names;
        for (auto const& entry : root_of(after).list()) names += entry.name + ' ';
        outcomes.insert(names + content_of(after, "old"));
    }
    CHECK(outcomes ==
          std::set<std::string>{".tmp old old", ".tmp extra old old", "old new", "extra old new"});
}

TEST_CASE("seeded power loss never leaves two names for one file") {
    MemoryPlatform machine;
    auto root = root_of(machine);
    make_file(root, "a", "text").sync();
    root.sync();
    root.rename("a", "b");
    root.rename("b", "c");
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        auto const after = machine.after_power_loss(seed);
        CHECK(root_of(after).list().size() == 1);
    }
}

TEST_CASE("a copy of a copy dies as the first did") {
    MemoryPlatform machine;
    auto root = root_of(machine);
    make_file(root, "a", "text").sync();
    root.sync();
    root.rename("a", "b");
    auto const after = machine.after_process_death();
    CHECK(content_of(after, "b") == "text");
    CHECK(content_of(after.after_power_loss(), "a") == "text");
    CHECK_FALSE(exists(after.after_power_loss(), "b"));
    root_of(after).sync();
    CHECK(exists(after.after_power_loss(), "b"));
    CHECK(exists(machine.after_power_loss(), "a"));
}

TEST_CASE("a full disk refuses growth with nothing allocated, and gives back what is removed") {
    MemoryPlatform machine;
    auto root = root_of(machine);
    make_file(root, "big", std::string(5'000, 'x'));
    auto file = root.create_file("f");
    machine.set_free_space(10'000);
    file.allocate(8'000, Blocks::reserved);
    CHECK(code_of([&] { file.allocate(12'000, Blocks::reserved); }) == Errc::no_space);
    CHECK(file.size() == 8'000);
    CHECK(code_of([&] { file.write_at(10'000, as_bytes("x")); }) == Errc::no_space);
    CHECK(file.size() == 8'000);
    file.write_at(0, as_bytes("within"));
    file.write_at(9'999, as_bytes("x"));

    CHECK(root.remove_file("big"));
    file.allocate(15'000, Blocks::reserved);
    CHECK(code_of([&] { file.allocate(15'001, Blocks::reserved); }) == Errc::no_space);
    root.create_file("empty");
    root.rename("empty", "f");
    auto other = root.create_file("other");
    auto const copy = machine.after_process_death();
    other.allocate(15'000, Blocks::reserved);
    CHECK(code_of([&] { other.allocate(15'001, Blocks::reserved); }) == Errc::no_space);
    machine.clear_free_space();
    other.allocate(15'001, Blocks::reserved);

    auto copied = root_of(copy).open_file("other", Access::write);
    copied.allocate(15'000, Blocks::reserved);
    CHECK(code_of([&] { copied.allocate(15'001, Blocks::reserved); }) == Errc::no_space);
}

TEST_CASE("an operation fails once, at the time it was told, with the number it was told") {
    MemoryPlatform machine;
    auto root = root_of(machine);
    auto file = make_file(root, "f", "text");
    machine.fail_next(Operation::write, ENOSPC, 1);
    file.write_at(0, as_bytes("1"));
    CHECK(code_of([&] { file.write_at(0, as_bytes("2")); }) == Errc::no_space);
    file.write_at(1, as_bytes("3"));
    CHECK(content(file) == "13xt");

    auto const fails = [&](Operation operation, int number, auto call) {
        machine.fail_next(operation, number);
        try {
            call();
        } catch (Error const& error) {
            CHECK(error.system_code() == number);
            CHECK(error.path().starts_with("/log"));
            call();
            return error.code();
        }
        return Errc::ok;
    };
    CHECK(fails(Operation::open, EMFILE, [&] { (void)root.find_file("f", Access::read); }) ==
          Errc::io_error);
    CHECK(fails(Operation::open, EACCES, [&] { (void)root_of(machine); }) ==
          Errc::permission_denied);
    CHECK(fails(Operation::create, ENOSPC, [&] { root.create_file("new"); }) == Errc::no_space);
    CHECK(fails(Operation::make_directory, EDQUOT, [&] { root.make_directory("d"); }) ==
          Errc::no_space);
    CHECK(fails(Operation::allocate, ENOSPC, [&] { file.allocate(9, Blocks::zeroed); }) ==
          Errc::no_space);
    CHECK(fails(Operation::read, EIO, [&] { (void)content(file); }) == Errc::io_error);
    CHECK(fails(Operation::punch, EIO, [&] { file.punch(8, 1); }) == Errc::io_error);
    auto other = root.create_file("other");
    CHECK(fails(Operation::start_writeback, EIO, [&] { other.start_writeback(0, 9); }) ==
          Errc::sync_failed);
    CHECK(fails(Operation::map, ENOMEM, [&] { (void)file.map(Access::read); }) == Errc::io_error);
    CHECK(fails(Operation::list, EIO, [&] { (void)root.list(); }) == Errc::io_error);
    CHECK(fails(Operation::rename, EIO, [&] { root.rename("f", "f"); }) == Errc::io_error);
    CHECK(fails(Operation::remove, EIO, [&] { root.remove_file("new"); }) == Errc::io_error);
    CHECK(fails(Operation::directory_sync, EIO, [&] { root.sync(); }) == Errc::sync_failed);

    machine.fail_next(Operation::create, EIO);
    machine.clear_failures();
    root.create_file("unhindered");
}

TEST_CASE("after a failed sync or write-back later syncs of the file succeed and keep nothing") {
    auto const failing = GENERATE(Operation::sync, Operation::start_writeback);
    MemoryPlatform machine;
    auto root = root_of(machine);
    auto file = make_file(root, "f", "kept");
    file.sync();
    root.sync();
    file.write_at(0, as_bytes("lost"));
    auto mapping = file.map(Access::write);
    machine.fail_next(failing, EIO);
    CHECK(code_of([&] {
              file.start_writeback(0, 4);
              mapping.sync();
          }) == Errc::sync_failed);
    mapping.sync();
    file.sync();
    CHECK(content(file) == "lost");
    CHECK(content_of(machine.after_process_death(), "f") == "lost");
    CHECK(content_of(machine.after_power_loss(), "f") == "kept");
    for (std::uint64_t seed = 0; seed < 20; ++seed)
        CHECK(content_of(machine.after_power_loss(seed), "f") == "kept");
}

TEST_CASE("a failed sync of a directory can be tried again") {
    MemoryPlatform machine;
    auto root = root_of(machine);
    root.create_file("f");
    machine.fail_next(Operation::directory_sync, EIO);
    CHECK(code_of([&] { root.sync(); }) == Errc::sync_failed);
    CHECK_FALSE(exists(machine.after_power_loss(), "f"));
    root.sync();
    CHECK(exists(machine.after_power_loss(), "f"));
}

TEST_CASE("a mapped file does not grow, and grows once it is no longer mapped") {
    MemoryPlatform const machine;
    auto root = root_of(machine);
    auto file = make_file(root, "f", "text");
    {
        auto const mapping = file.map(Access::read);
        CHECK(code_of([&] { file.allocate(5'000, Blocks::reserved); }) == Errc::io_error);
        CHECK(file.size() == 4);
    }
    file.allocate(5'000, Blocks::reserved);
    CHECK(content(file).substr(0, 4) == "text");
}

TEST_CASE("a hook sees each store of its thread and may copy the machine") {
    MemoryPlatform const machine;
    auto root = root_of(machine);
    auto file = root.create_file("f");
    file.allocate(8, Blocks::reserved);
    auto const mapping = file.map(Access::write);
    auto const store = [&](std::size_t place, char c) {
        mapping.data()[place] = static_cast<std::byte>(c);
        MemoryPlatform::store_point(mapping.data() + place, 1);
    };
    std::vector<std::string> states;
    store(0, 'a');
    {
        MemoryPlatform::StoreHook const hook{[&](std::byte const* address, std::size_t size) {
            CHECK(address >= mapping.data());
            CHECK(size == 1);
            states.push_back(content_of(machine.after_process_death(), "f").substr(0, 3));
            MemoryPlatform::store_point(address, size);  // the hook's own: not told
        }};
        store(1, 'b');
        {
            MemoryPlatform::StoreHook const inner{[](std::byte const*, std::size_t) {}};
            store(1, 'x');
        }
        store(2, 'c');
    }
    store(0, 'd');
    CHECK(states == std::vector<std::string>{std::string{"ab\0", 3}, "axc"});
}

TEST_CASE("a machine can be copied, read and synced while another thread stores") {
    MemoryPlatform const machine;
    auto root = root_of(machine);
    auto file = root.create_file("f");
    file.allocate(page, Blocks::reserved);
    root.sync();
    auto const mapping = file.map(Access::write);
    std::atomic<bool> done{false};
    std::thread storing{[&] {
        auto* const words = reinterpret_cast<std::uint64_t*>(mapping.data());
        for (std::uint64_t i = 0; !done.load(); ++i)
            words[i % 512] = i % 255 * 0x0101'0101'0101'0101;
    }};
    for (int i = 0; i < 200; ++i) {
        file.sync();
        for (auto const& text : {content_of(machine.after_process_death(), "f"),
                                 content_of(machine.after_power_loss(), "f"), content(file)}) {
            REQUIRE(text.size() == page);
            // Each word is one byte repeated: half of one store is never seen with half of another.
            std::array<std::uint64_t, page / 8> words{};
            std::memcpy(words.data(), text.data(), page);
            CHECK(std::ranges::count_if(words, [](std::uint64_t word) {
                      return word % 0x0101'0101'0101'0101 != 0;
                  }) == 0);
        }
    }
    done = true;
    storing.join();
}

TEST_CASE("there are no threads to start") {
    CHECK_FALSE(MemoryPlatform::has_threads);
    CHECK(code_of([] { MemoryPlatform::Thread thread{[] {}}; }) == Errc::invalid_argument);
    MemoryPlatform::Thread thread;
    CHECK_FALSE(thread.joinable());
}
