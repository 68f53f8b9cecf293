// SPDX-License-Identifier: MIT
// Following a live log from a second process: one process writes, the other attaches read-only,
// takes no lock, and sleeps until there is something to read.
#include <annals/annals.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>

using namespace std::chrono_literals;

constexpr char const* log_directory = "follow-log";

void write() {
    annals::Log log{log_directory};
    auto producer = log.topic<std::string, std::string>("measurements").producer();
    for (int i = 1; i <= 5; ++i) {
        producer.send("station-1", std::to_string(10 + i) + " degrees");
        std::this_thread::sleep_for(20ms);
    }
    producer.send("station-1", "end");
}

// The reader may well be the first to start: then there is no log yet, or no topic in it.
template <class Attempt>
auto wait_for(Attempt attempt) {
    while (true) {
        try {
            return attempt();
        } catch (annals::Error const& error) {
            if (error.code() != annals::Errc::not_found) throw;
            std::this_thread::sleep_for(5ms);
        }
    }
}

void follow() {
    auto log = wait_for([] { return annals::Log{log_directory, {.read_only = true}}; });
    auto topic = wait_for([&] { return log.topic<std::string, std::string>("measurements"); });

    // Without a group it only follows: where it is stays its own business, nothing is committed.
    auto consumer = topic.consumer({.start = annals::Start::earliest});
    while (true) {
        // Sleeps at most a minute; the writing process wakes it within a millisecond or so.
        for (auto const& record : consumer.poll(1min)) {
            if (record.value() == std::string_view{"end"}) return;
            std::cout << record.key() << ": " << record.value() << '\n';
        }
    }
}

int main() {
    // A log must not be used across fork(), so each process opens it on its own, after the fork.
    pid_t const child = fork();
    if (child < 0) return 1;
    if (child == 0) {
        write();
        return 0;
    }
    follow();
    int status = 0;
    waitpid(child, &status, 0);
    std::cout << (status == 0 ? "the writer ended well\n" : "the writer failed\n");
    return status == 0 ? 0 : 1;
}
