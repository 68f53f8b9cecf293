// SPDX-License-Identifier: MIT
// Directories in which somebody else has had a hand: other kinds of files under the log's names,
// odd names, links, permissions.
#include <annals/annals.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "catch.hpp"
#include "world.hpp"

using namespace annals;
using namespace annals::test;
namespace fs = std::filesystem;

namespace {

/// Opening a FIFO must not wait for its other end: a test that hangs ends with SIGALRM.
struct Patience {
    Patience() { ::alarm(60); }
    ~Patience() { ::alarm(0); }
};

std::string read(fs::path const& path) {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

/// A closed log of the real platform with one complete segment and one that is not.
struct NativeLog : World<NativePlatform> {
    Patience patience{};
    std::vector<std::string> values{};

    NativeLog() { make(path); }

    void make(std::string const& where) {
        Log log{where, options()};
        auto topic = log.topic<std::string, std::string>("t");
        auto producer = topic.producer();
        for (int i = 0; i < 10; ++i) {
            values.push_back(std::string(7'500, static_cast<char>('a' + i)));
            producer.send("k", values.back());
        }
        auto consumer = topic.consumer({.group = "g"});
        (void)consumer.poll(std::chrono::nanoseconds{0}, 3);
        consumer.commit();
    }

    [[nodiscard]] static LogOptions options() {
        return {.segment_bytes = 64 << 10, .keeper = false};
    }

    /// Uses everything that the log has; what it throws.
    [[nodiscard]] std::optional<Error> use(LogOptions const& with, std::string const& at) const {
        return error_of([&] {
            Log log{at, with};
            auto topic = log.topic<std::string, std::string>("t");
            auto const found = values_of(topic.replay());
            REQUIRE(found.size() >= 10);
            for (std::size_t i = 0; i < 10; ++i) CHECK(found[i] == values[i]);
            auto const committed = topic.consumer({.group = "g"}).committed(0);
            CHECK(committed == Offset{3});
            if (!with.read_only) topic.producer().send("more", "more");
            log.close();
        });
    }
    [[nodiscard]] std::optional<Error> read_it() const { return use({.read_only = true}, path); }
    [[nodiscard]] std::optional<Error> write_it() const { return use(options(), path); }

    /// Every file and directory of the log, below its own directory.
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> found;
        for (auto const& entry : fs::recursive_directory_iterator{path}) {
            found.push_back(fs::relative(entry.path(), path));
        }
        return found;
    }
};

void make_fifo(fs::path const& at) { REQUIRE(::mkfifo(at.c_str(), 0600) == 0); }

void make_socket(fs::path const& at) {
    // The address has little room for a path.
    auto const here = fs::current_path();
    fs::current_path(at.parent_path());
    int const number = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    at.filename().string().copy(address.sun_path, sizeof address.sun_path - 1);
    CHECK(::bind(number, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    ::close(number);
    fs::current_path(here);
}

struct Intruder {
    std::string name;
    std::function<void(fs::path const& at, fs::path const& was)> put;
};

std::vector<Intruder> const intruders{
    {"a symbolic link to it", [](auto& at, auto& was) { fs::create_symlink(was, at); }},
    {"a dangling link", [](auto& at, auto&) { fs::create_symlink("/nowhere/at/all", at); }},
    {"a link to itself", [](auto& at, auto&) { fs::create_symlink(at.filename(), at); }},
    {"a link to a device", [](auto& at, auto&) { fs::create_symlink("/dev/zero", at); }},
    {"a FIFO", [](auto& at, auto&) { make_fifo(at); }},
    {"a socket", [](auto& at, auto&) { make_socket(at); }},
    {"a directory, or a file for one", [](auto& at, auto& was) {
         if (fs::is_directory(was)) {
             std::ofstream{at} << "a file";
         } else {
             fs::create_directory(at);
         }
     }}};

/// Runs the call as a user without rights, where this one has them all; what it returns. nullopt:
/// that cannot be done here.
std::optional<std::string> without_rights(fs::path const& owned,
                                          std::function<std::string()> const& call) {
    if (::geteuid() != 0) return call();
    constexpr unsigned nobody = 65'534;
    for (auto const& entry : fs::recursive_directory_iterator{owned}) {
        if (::lchown(entry.path().c_str(), nobody, nobody) != 0) return std::nullopt;
    }
    if (::lchown(owned.c_str(), nobody, nobody) != 0) return std::nullopt;
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    pid_t const child = ::fork();
    if (child == 0) {
        bool const is_changed = ::setgid(nobody) == 0 && ::setuid(nobody) == 0;
        std::string const text = is_changed ? call() : "";
        bool const is_told = ::write(ends[1], text.data(), text.size()) >= 0;
        ::_exit(is_changed && is_told ? 0 : 1);
    }
    ::close(ends[1]);
    std::string text(4'096, '\0');
    auto const count = ::read(ends[0], text.data(), text.size());
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (status != 0) return std::nullopt;
    return text.substr(0, static_cast<std::size_t>(count));
}

std::string told(std::optional<Error> const& error) { return error ? error->what() : "nothing"; }

}  // namespace

TEST_CASE("whatever has the name of a file or directory of the log, it is told and not followed") {
    for (Intruder const& intruder : intruders) {
        NativeLog const original;
        for (std::string const& name : original.names()) {
            INFO(intruder.name << " as " << name);
            NativeLog const log;
            fs::path const at = log.path + "/" + name;
            fs::path const was = log.machine.path + "/was";
            fs::rename(at, was);
            auto const before = fs::is_regular_file(was) ? read(was) : "";
            intruder.put(at, was);
            for (bool const is_writer : {false, true}) {
                auto const error = is_writer ? log.write_it() : log.read_it();
                if (name.ends_with(".idx")) {
                    CHECK_FALSE(error);  // made anew where it is not what it should be
                    continue;
                }
                REQUIRE(error);
                CHECK(error->code() == Errc::corrupt);
                CHECK(error->path() == at);
                CHECK(contains(error->what(), "not a "));
            }
            if (fs::is_regular_file(was)) CHECK(read(was) == before);
        }
    }
}

TEST_CASE("another name for a file of the log harms nobody") {
    NativeLog const log;
    fs::create_directory(log.machine.path + "/links");
    int number = 0;
    for (std::string const& name : log.names()) {
        fs::path const path = log.path + "/" + name;
        if (!fs::is_regular_file(path)) continue;
        fs::create_hard_link(path, log.machine.path + "/links/" + std::to_string(++number));
    }
    CHECK_FALSE(log.read_it());
    CHECK_FALSE(log.write_it());
}

TEST_CASE("a file of the log under another file's name is told") {
    NativeLog const log;
    std::string const folder = log.path + "/topics/t/0/";
    SECTION("a segment as another segment") {
        fs::remove(folder + "00000001.seg");
        fs::create_hard_link(folder + "00000002.seg", folder + "00000001.seg");
    }
    SECTION("a segment as one more") {
        fs::create_hard_link(folder + "00000002.seg", folder + "00000003.seg");
    }
    auto const error = log.read_it();
    REQUIRE(error);
    CHECK(error->code() == Errc::corrupt);
    CHECK(contains(error->what(), "another's name"));
    CHECK(log.write_it());
}

TEST_CASE("the description of another log does as well") {
    NativeLog const log;
    { Log const other{log.machine.path + "/other"}; }
    fs::copy_file(log.machine.path + "/other/log.meta", log.path + "/log.meta",
                  fs::copy_options::overwrite_existing);
    CHECK_FALSE(log.read_it());
    CHECK_FALSE(log.write_it());
}

TEST_CASE("what is not the log's is left alone, whatever its name") {
    NativeLog const log;
    std::vector<std::string> const odd{"notes.txt",    "with space",    "new\nline",
                                       ".hidden",      ".tmp-",         ".tmp-a b",
                                       ".tmp-.x",      "1.seg",         "00000000.seg",
                                       "00000009.SEG", "00000009.seg~", "99999999999999999999.seg",
                                       "\xC3\xA4",     "control.old",   "-rf"};
    std::vector<std::string> made;
    for (std::string const directory :
         {"", "topics", "topics/t", "topics/t/0", "groups", "groups/g"}) {
        for (std::string const& name : odd) {
            made.push_back(log.path + "/" + directory + "/" + name);
            std::ofstream{made.back()} << "not ours";
        }
    }
    for (std::string const directory : {"topics", "groups"}) {
        for (std::string const name :
             {"lost+found", "new\nline and more", ".tmp-a b c", ".snapshot"}) {
            auto const inner = log.path + "/" + directory + "/" + name;
            fs::create_directory(inner);
            made.push_back(inner + "/.tmp-inner");
            std::ofstream{made.back()} << "not ours";
        }
    }
    CHECK_FALSE(log.read_it());
    CHECK_FALSE(log.write_it());
    {
        Log const opened{log.path, NativeLog::options()};
        CHECK(opened.topics() == std::vector<std::string>{"t"});
        CHECK(opened.recovery().notes.empty());
    }
    for (std::string const& path : made) {
        INFO(path);
        CHECK(read(path) == "not ours");
    }
}

TEST_CASE("what an earlier writer left unfinished is swept, and nothing through a link") {
    NativeLog const log;
    fs::path const treasure = log.machine.path + "/treasure";
    fs::create_directory(treasure);
    std::ofstream{treasure / "gold"} << "gold";
    fs::create_directory(log.path + "/topics/.tmp-half");
    fs::create_directory_symlink(treasure, log.path + "/topics/.tmp-half/0");
    fs::create_symlink(treasure / "gold", log.path + "/topics/.tmp-half/topic.meta");
    std::ofstream{log.path + "/topics/t/0/.tmp-control"} << "half";
    std::ofstream{log.path + "/groups/g/.tmp-t"} << "half";
    CHECK_FALSE(log.write_it());
    CHECK_FALSE(fs::exists(log.path + "/topics/.tmp-half"));
    CHECK_FALSE(fs::exists(log.path + "/topics/t/0/.tmp-control"));
    CHECK_FALSE(fs::exists(log.path + "/groups/g/.tmp-t"));
    CHECK(read(treasure / "gold") == "gold");
}

TEST_CASE("a directory with anything else in it does not become a log") {
    Machine<NativePlatform> const machine;
    std::string const name = GENERATE("file", ".hidden", ".tmp-somebodys", "new\nline");
    std::ofstream{machine.path + "/" + name} << "x";
    auto const error = error_of([&] { Log{machine.path}; });
    REQUIRE(error);
    CHECK(error->code() == Errc::not_a_log);
    CHECK(read(machine.path + "/" + name) == "x");
    CHECK(names_in(machine.root) == std::vector<std::string>{name});
}

TEST_CASE("a path that leads nowhere is told") {
    Machine<NativePlatform> const machine;
    std::ofstream{machine.path + "/file"} << "x";
    make_fifo(machine.path + "/fifo");
    fs::create_symlink("loop", machine.path + "/loop");
    Patience const patience;
    struct Case {
        std::string path;
        Errc code;
    };
    std::string deep = machine.path;
    for (int i = 0; i < 40; ++i) deep += "/" + std::string(200, 'd');
    for (auto const& [path, code] :
         std::vector<Case>{{machine.path + "/file", Errc::not_a_log},
                           {machine.path + "/file/below", Errc::not_a_log},
                           {machine.path + "/fifo", Errc::not_a_log},
                           {machine.path + "/fifo/below", Errc::not_a_log},
                           {machine.path + "/loop", Errc::io_error},
                           {machine.path + "/" + std::string(256, 'n'), Errc::io_error},
                           {deep, Errc::io_error},
                           {"", Errc::invalid_argument},
                           {std::string{"a\0b", 3}, Errc::invalid_argument}}) {
        INFO(path);
        for (bool const read_only : {false, true}) {
            auto const error = error_of([&] { Log(path, {.read_only = read_only}); });
            REQUIRE(error);
            CHECK(error->code() == code);
            CHECK(error->path() == path);
        }
    }
}

TEST_CASE("a path may hold any characters, and what is told of it stays on its line") {
    Machine<NativePlatform> const machine;
    std::string const path = machine.path + "/new\nline \x1B[31m\xC3\xA4 and space";
    {
        Log log{path};
        log.topic<std::string, std::string>("t").producer().send("k", "v");
    }
    CHECK(values_of(Log{path}.topic<std::string, std::string>("t").replay()) ==
          std::vector<std::string>{"v"});
    fs::resize_file(path + "/log.meta", 3);
    auto const error = error_of([&] { Log{path}; });
    REQUIRE(error);
    CHECK(error->path() == path + "/log.meta");
    std::string const text = error->what();
    CHECK(text.find('\n') == std::string::npos);
    CHECK(text.find('\x1B') == std::string::npos);
    CHECK(contains(text, "\xC3\xA4 and space"));
}

TEST_CASE("in a place where everybody may write, the log's own files are its owner's") {
    Machine<NativePlatform> const machine;
    fs::permissions(machine.path, fs::perms::all);
    auto const mask = ::umask(0);
    NativeLog log;
    log.make(machine.path + "/log");
    ::umask(mask);
    for (auto const& entry : fs::recursive_directory_iterator{machine.path + "/log"}) {
        INFO(entry.path());
        auto const expected = entry.is_directory() ? 0700 : 0600;
        CHECK(static_cast<int>(entry.status().permissions()) == expected);
    }
    fs::permissions(log.path, fs::perms::all);
    for (auto const& entry : fs::recursive_directory_iterator{log.path}) {
        fs::permissions(entry.path(), fs::perms::all);
    }
    CHECK_FALSE(log.read_it());
    CHECK_FALSE(log.write_it());
}

TEST_CASE("what may not be read is told as that") {
    NativeLog const original;
    for (std::string const& name : original.names()) {
        INFO(name);
        NativeLog const log;
        std::string const path = log.path + "/" + name;
        fs::permissions(path, fs::perms::none);
        for (bool const is_writer : {false, true}) {
            auto const text = without_rights(
                log.machine.path, [&] { return told(is_writer ? log.write_it() : log.read_it()); });
            if (!text) {
                WARN("skipped: cannot become another user");
                return;
            }
            if (name.ends_with(".idx")) {
                CHECK(*text == "nothing");
            } else {
                CHECK(contains(*text, "permission_denied"));
                CHECK(contains(*text, path));
            }
        }
    }
}

TEST_CASE("who may read and not write reads, and is refused as a writer") {
    NativeLog const log;
    for (auto const& entry : fs::recursive_directory_iterator{log.path}) {
        fs::permissions(entry.path(), entry.is_directory()
                                          ? fs::perms::owner_read | fs::perms::owner_exec
                                          : fs::perms::owner_read);
    }
    auto const reading = without_rights(log.machine.path, [&] { return told(log.read_it()); });
    auto const writing = without_rights(log.machine.path, [&] { return told(log.write_it()); });
    for (auto const& entry : fs::recursive_directory_iterator{log.path}) {
        fs::permissions(entry.path(), fs::perms::owner_all);
    }
    if (!reading || !writing) {
        WARN("skipped: cannot become another user");
        return;
    }
    CHECK(*reading == "nothing");
    CHECK(contains(*writing, "permission_denied"));
}
