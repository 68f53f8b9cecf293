// SPDX-License-Identifier: MIT
#include "harness/scratch.hpp"

#include <signal.h>
#include <unistd.h>

#include <csignal>
#include <system_error>

namespace bench {
namespace {

std::sig_atomic_t volatile interruption = 0;

}  // namespace

void catch_interruptions() {
    struct sigaction action {};
    action.sa_handler = [](int) { interruption = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    for (int const signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

bool is_interrupted() noexcept { return interruption != 0; }

void throw_if_interrupted() {
    if (is_interrupted()) throw Interrupted{};
}

Folder::Folder(std::filesystem::path path) : path_{std::move(path)} {
    if (!std::filesystem::create_directory(path_)) {
        throw std::runtime_error{path_.string() + " is there already"};
    }
}

Folder::~Folder() {
    std::error_code ignored;  // a destructor has nobody to tell
    std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path Folder::unused_name(std::filesystem::path const& parent) {
    std::string const stem = "annals-bench-" + std::to_string(::getpid());
    std::filesystem::path path = parent / stem;
    for (int i = 1; std::filesystem::exists(path); ++i) {
        path = parent / (stem + '-' + std::to_string(i));
    }
    return path;
}

}  // namespace bench
