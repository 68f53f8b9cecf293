// SPDX-License-Identifier: MIT
// Another process of a test: a forked child that talks with its parent.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <utility>

namespace annals::test {

/// A process that runs `body(child)` and ends. The two talk in single bytes; it dies with its
/// owner.
class Child {
public:
    template <class Body>
    explicit Child(Body body) {
        int down[2];
        int up[2];
        if (::pipe(down) != 0 || ::pipe(up) != 0) std::abort();
        process_ = ::fork();
        if (process_ < 0) std::abort();
        bool const is_child = process_ == 0;
        in_ = is_child ? down[0] : up[0];
        out_ = is_child ? up[1] : down[1];
        ::close(is_child ? down[1] : down[0]);
        ::close(is_child ? up[0] : up[1]);
        if (!is_child) return;
        int code = 9;
        try {
            body(*this);
            code = 0;
        } catch (std::exception const& error) {
            std::fprintf(stderr, "child: %s\n", error.what());
        }
        ::_exit(code);
    }
    Child(Child const&) = delete;
    Child& operator=(Child const&) = delete;
    ~Child() {
        if (process_ > 0) kill();
        ::close(in_);
        ::close(out_);
    }

    void say() const {
        if (::write(out_, "x", 1) != 1) std::abort();
    }
    void hear() const {
        char byte = 0;
        if (::read(in_, &byte, 1) != 1) throw std::runtime_error{"the other process is gone"};
    }
    void ask() const {
        say();
        hear();
    }
    /// Its exit code.
    int join() {
        int status = 0;
        ::waitpid(std::exchange(process_, 0), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    void kill() {
        ::kill(process_, SIGKILL);
        (void)join();
    }

private:
    pid_t process_ = 0;
    int in_ = -1;
    int out_ = -1;
};

/// Ends a child's body with a failure unless it holds.
inline void require(bool holds, char const* what) {
    if (!holds) throw std::runtime_error{what};
}

}  // namespace annals::test
