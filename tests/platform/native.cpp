// SPDX-License-Identifier: MIT
// What only the real machine has: links, FIFOs, permissions, other processes, threads.
#include <annals/platform/native.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <thread>

#include "catch.hpp"
#include "platform/machines.hpp"

using namespace annals;
using namespace annals::test;
using namespace std::chrono_literals;

namespace {

using NativeMachine = Machine<NativePlatform>;

/// Runs the body in a forked child and returns its exit code.
template <class Body>
int in_child(Body body) {
    auto const child = ::fork();
    if (child == 0) ::_exit(body());
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// A child that lives, doing nothing, until this object goes.
class IdleChild {
public:
    IdleChild() : id_{::fork()} {
        if (id_ == 0)
            for (;;) ::pause();
    }
    IdleChild(IdleChild const&) = delete;
    IdleChild& operator=(IdleChild const&) = delete;
    ~IdleChild() {
        ::kill(id_, SIGKILL);
        ::waitpid(id_, nullptr, 0);
    }

private:
    pid_t id_;
};

mode_t mode_of(std::string const& path) {
    struct stat status {};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    return status.st_mode & 07777U;
}

}  // namespace

TEST_CASE("files and directories are the owner's alone") {
    auto const mask = ::umask(0);
    NativeMachine machine;
    machine.root.create_file("f");
    machine.root.make_directory("d");
    (void)machine.platform.open_directory(machine.path + "/x/y", Access::write);
    ::umask(mask);
    CHECK(mode_of(machine.path + "/f") == 0600);
    for (auto const* name : {"/d", "/x", "/x/y"}) CHECK(mode_of(machine.path + name) == 0700);
}

TEST_CASE("symbolic links are refused below the log and followed to it") {
    NativeMachine machine;
    auto& root = machine.root;
    make_file(root, "file", "text");
    root.make_directory("directory");
    auto const link = [&](std::string const& target, char const* name) {
        REQUIRE(::symlink(target.c_str(), (machine.path + name).c_str()) == 0);
    };
    link("file", "/to-file");
    link("directory", "/to-directory");
    link("nothing", "/to-nothing");
    CHECK(code_of([&] { (void)root.find_file("to-file", Access::read); }) == Errc::corrupt);
    CHECK(code_of([&] { (void)root.find_file("to-nothing", Access::write); }) == Errc::corrupt);
    CHECK(code_of([&] { (void)root.find_directory("to-directory"); }) == Errc::corrupt);
    CHECK(code_of([&] { root.make_directory("to-directory"); }) == Errc::corrupt);
    CHECK(code_of([&] { root.create_file("to-nothing"); }) == Errc::io_error);
    for (auto const& entry : root.list())
        if (entry.name.starts_with("to-")) CHECK(entry.kind == EntryKind::other);

    auto const& platform = machine.platform;
    (void)platform.open_directory(machine.path + "/to-directory/new", Access::write);
    CHECK(root.open_directory("directory").find_directory("new"));
    CHECK(code_of([&] {
              (void)platform.open_directory(machine.path + "/to-nothing", Access::write);
          }) == Errc::not_found);
    CHECK(root.remove_file("to-file"));
    CHECK(content(root.open_file("file", Access::read)) == "text");
}

TEST_CASE("a FIFO or socket in a file's place is refused without waiting") {
    NativeMachine machine;
    REQUIRE(::mkfifo((machine.path + "/fifo").c_str(), 0600) == 0);
    REQUIRE(::mknod((machine.path + "/socket").c_str(), S_IFSOCK | 0600, 0) == 0);
    for (auto const* name : {"fifo", "socket"})
        for (auto const access : {Access::read, Access::write})
            CHECK(code_of([&] { (void)machine.root.find_file(name, access); }) == Errc::corrupt);
}

TEST_CASE("what the permissions forbid is told") {
    NativeMachine machine;
    machine.root.create_file("f");
    machine.root.make_directory("closed");
    ::chmod((machine.path + "/f").c_str(), 0400);
    ::chmod((machine.path + "/closed").c_str(), 0500);
    int const result = in_child([&] {
        if (::geteuid() == 0) {  // whom nothing is forbidden
            ::chmod(machine.path.c_str(), 0755);
            for (auto const* name : {"/f", "/closed"})
                if (::chown((machine.path + name).c_str(), 65534, 65534) != 0) return 100;
            if (::setgid(65534) != 0 || ::setuid(65534) != 0) return 101;
        }
        auto const denied = Errc::permission_denied;
        auto closed = machine.root.open_directory("closed");
        if (code_of([&] { (void)machine.root.open_file("f", Access::write); }) != denied) return 1;
        if (code_of([&] { closed.create_file("x"); }) != denied) return 2;
        if (code_of([&] { closed.make_directory("x"); }) != denied) return 3;
        if (code_of([&] {
                (void)machine.platform.open_directory(closed.path() + "/x", Access::write);
            }) != denied)
            return 4;
        return 0;
    });
    CHECK(result == 0);
    ::chmod((machine.path + "/closed").c_str(), 0700);
}

TEST_CASE("a full disk, a limit on sizes: no space, and the program goes on") {
    NativeMachine machine;
    auto file = machine.root.create_file("f");
    CHECK(code_of([&] { file.allocate(std::uint64_t{1} << 61, Blocks::reserved); }) ==
          Errc::no_space);
    CHECK(in_child([&] {
              struct rlimit const limit{1'000'000, 1'000'000};
              ::setrlimit(RLIMIT_FSIZE, &limit);
              auto const code =
                  code_of([&] { file.allocate(std::uint64_t{2} << 20, Blocks::reserved); });
              return code == Errc::no_space ? 0 : 1;
          }) == 0);
}

TEST_CASE("allocated blocks are on the disk, zeroed ones not in memory") {
    auto const blocks = GENERATE(Blocks::reserved, Blocks::zeroed);
    constexpr std::size_t size = std::size_t{3} << 20;
    NativeMachine machine;
    if (machine.root.file_system() != FileSystemKind::ordinary) return;
    auto file = machine.root.create_file("f");
    file.allocate(size, blocks);
    struct stat status {};
    ::stat(file.path().c_str(), &status);
    CHECK(static_cast<std::size_t>(status.st_blocks) * 512 >= size);

    // Blocks that are only reserved count as a hole.
    auto const descriptor = detail::open_at(AT_FDCWD, file.path().c_str(), O_RDONLY);
    auto const first_data = ::lseek(descriptor.number(), 0, SEEK_DATA);
    if (blocks == Blocks::zeroed) CHECK(first_data == 0);

    auto const mapping = file.map(Access::read);
    std::vector<unsigned char> resident(size / 4096);
    REQUIRE(::mincore(mapping.data(), size, resident.data()) == 0);
    for (auto const flags : resident) REQUIRE((flags & 1) == 0);

    file.punch(0, std::uint64_t{2} << 20);
    ::stat(file.path().c_str(), &status);
    CHECK(static_cast<std::size_t>(status.st_blocks) * 512 < size);
}

TEST_CASE("a forked child has no writable mapping") {
    NativeMachine machine;
    auto file = make_file(machine.root, "f", "text");
    auto const writable = file.map(Access::write);
    auto const readable = file.map(Access::read);
    CHECK(in_child([&] {
              unsigned char resident = 0;
              if (::mincore(readable.data(), 1, &resident) != 0) return 1;
              return ::mincore(writable.data(), 1, &resident) != 0 && errno == ENOMEM ? 0 : 2;
          }) == 0);
}

TEST_CASE("a lock of another process is seen and goes with its death") {
    NativeMachine machine;
    auto lock = machine.root.create_file("lock");
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    auto const child = ::fork();
    if (child == 0) {
        auto own = machine.root.open_file("lock", Access::write);
        char const locked = own.try_lock() ? 'y' : 'n';
        (void)!::write(ends[1], &locked, 1);
        for (;;) ::pause();
    }
    char locked = '?';
    REQUIRE(::read(ends[0], &locked, 1) == 1);
    CHECK(locked == 'y');
    CHECK(lock.is_locked());
    CHECK_FALSE(lock.try_lock());
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    CHECK_FALSE(lock.is_locked());
    CHECK(lock.try_lock());
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE("a forked child neither keeps its parent's lock nor takes it away") {
    NativeMachine machine;
    machine.root.create_file("lock");
    auto const probe = machine.root.open_file("lock", Access::write);
    SECTION("the holder closes while its child lives") {
        auto holder = std::make_optional(machine.root.open_file("lock", Access::write));
        REQUIRE(holder->try_lock());
        IdleChild const child;
        CHECK(probe.is_locked());
        holder.reset();
        CHECK_FALSE(probe.is_locked());
    }
    SECTION("the holder dies while its child lives") {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        CHECK(in_child([&] {
                  auto holder = machine.root.open_file("lock", Access::write);
                  if (!holder.try_lock()) return 1;
                  auto const grandchild = ::fork();
                  if (grandchild == 0)
                      for (;;) ::pause();
                  return ::write(ends[1], &grandchild, sizeof grandchild) > 0 ? 0 : 2;
              }) == 0);
        pid_t grandchild = 0;
        REQUIRE(::read(ends[0], &grandchild, sizeof grandchild) == sizeof grandchild);
        // The handler of the fork runs in the grandchild at its own pace.
        for (int i = 0; i < 5'000 && probe.is_locked(); ++i) std::this_thread::sleep_for(1ms);
        CHECK_FALSE(probe.is_locked());
        ::kill(grandchild, SIGKILL);
        ::close(ends[0]);
        ::close(ends[1]);
    }
    SECTION("the child destroys its copy of the object") {
        auto holder = std::make_optional(machine.root.open_file("lock", Access::write));
        REQUIRE(holder->try_lock());
        CHECK(in_child([&] { return holder.reset(), 0; }) == 0);
        CHECK(probe.is_locked());
    }
}

TEST_CASE("a waiter on a file's word is woken by another mapping of it") {
    NativeMachine machine;
    auto file = machine.root.create_file("f");
    file.allocate(4096, Blocks::reserved);
    auto const writable = file.map(Access::write);
    auto const readable = machine.root.open_file("f", Access::read).map(Access::read);
    auto const* const seen = reinterpret_cast<std::uint32_t const*>(readable.data());
    auto* const stored = reinterpret_cast<std::uint32_t*>(writable.data());
    std::vector<WaitWord> words(GENERATE(std::size_t{1}, std::size_t{3}));
    for (std::size_t i = 0; i < words.size(); ++i) words[i] = {seen + i, 0};

    auto const& platform = machine.platform;
    auto const begin = platform.steady_now();
    std::thread waker{[&] {
        std::this_thread::sleep_for(20ms);
        auto* const last = stored + words.size() - 1;
        std::atomic_ref{*last}.store(1, std::memory_order_release);
        platform.wake(last);
    }};
    while (__atomic_load_n(words.back().word, __ATOMIC_ACQUIRE) == 0) platform.wait(words, 1h);
    waker.join();
    CHECK(platform.steady_now() - begin < 1min);
}

TEST_CASE("a thread runs its body with all signals blocked") {
    std::unique_ptr<int> result;
    sigset_t mask{};
    NativeThread thread;
    CHECK_FALSE(thread.joinable());
    thread = NativeThread{[&result, &mask, number = std::make_unique<int>(7)]() mutable {
        ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
        result = std::move(number);
    }};
    auto moved = std::move(thread);
    CHECK(moved.joinable());
    moved.join();
    CHECK_FALSE(moved.joinable());
    REQUIRE(result);
    CHECK(*result == 7);
    CHECK(::sigismember(&mask, SIGTERM) == 1);
    ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    CHECK(::sigismember(&mask, SIGTERM) == 0);
}

TEST_CASE("the boot id is the system's") {
    std::string text;
    std::ifstream{"/proc/sys/kernel/random/boot_id"} >> text;
    if (text.empty()) return;
    std::string hexadecimal;
    for (auto const byte : NativePlatform{}.boot_id()) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", std::to_integer<unsigned>(byte));
        hexadecimal += digits;
    }
    std::erase(text, '-');
    CHECK(hexadecimal == text);
}

TEST_CASE("file systems are told apart by their magic numbers") {
    CHECK(detail::file_system_kind(0xEF53) == FileSystemKind::ordinary);      // ext4
    CHECK(detail::file_system_kind(0x58465342) == FileSystemKind::ordinary);  // XFS
    CHECK(detail::file_system_kind(0x6969) == FileSystemKind::network);
    CHECK(detail::file_system_kind(0x9123683E) == FileSystemKind::copy_on_write);
    CHECK(detail::file_system_kind(0x794C7630) == FileSystemKind::overlay);
    CHECK(detail::file_system_kind(0x65735546) == FileSystemKind::fuse);
    auto const proc = NativePlatform{}.open_directory("/proc", Access::read);
    CHECK(proc.file_system() == FileSystemKind::ordinary);
    if (std::filesystem::exists("/dev/shm"))
        CHECK(NativePlatform{}.open_directory("/dev/shm", Access::read).file_system() ==
              FileSystemKind::memory);
}

TEST_CASE("descriptors are not inherited by other programs and are all closed") {
    auto const open_descriptors = [] {
        std::size_t inherited = 0;
        std::size_t all = 0;
        for (auto const& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
            auto const flags = ::fcntl(std::stoi(entry.path().filename()), F_GETFD);
            ++all;
            if ((flags & FD_CLOEXEC) == 0) ++inherited;
        }
        return std::pair{all, inherited};
    };
    auto const before = open_descriptors();
    {
        NativeMachine machine;
        auto const sub = machine.root.make_directory("sub");
        auto file = machine.root.create_file("f");
        REQUIRE(file.try_lock());
        auto const again = machine.root.find_file("f", Access::read);
        (void)machine.root.list();
        (void)code_of([&] { (void)machine.root.find_file("sub", Access::read); });
        auto const during = open_descriptors();
        CHECK(during.first == before.first + 4);
        CHECK(during.second == before.second);
    }
    CHECK(open_descriptors() == before);
}
