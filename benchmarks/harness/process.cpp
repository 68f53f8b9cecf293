// SPDX-License-Identifier: MIT
#include "harness/process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

extern char** environ;

namespace bench {
namespace {

[[nodiscard]] std::string read_to_end(int descriptor) {
    std::string text;
    char buffer[4096];
    for (;;) {
        auto const got = ::read(descriptor, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return text;
        text.append(buffer, static_cast<std::size_t>(got));
    }
}

}  // namespace

Ended run_program(std::vector<std::string> const& command) {
    std::vector<char*> words;
    for (std::string const& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);

    int pipe[2];
    if (::pipe2(pipe, O_CLOEXEC) != 0) {
        throw std::system_error{errno, std::generic_category(), "pipe"};
    }
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
    pid_t child = 0;
    int const error = ::posix_spawnp(&child, words[0], &actions, nullptr, words.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(pipe[1]);
    Ended ended;
    if (error == 0) ended.output = read_to_end(pipe[0]);
    ::close(pipe[0]);
    if (error != 0) throw std::system_error{error, std::generic_category(), command[0]};
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    ended.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return ended;
}

Ended run_child(std::vector<std::string> const& arguments) {
    std::vector<std::string> command{"/proc/self/exe", "--child"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return run_program(command);
}

void die() {
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();
}

}  // namespace bench
