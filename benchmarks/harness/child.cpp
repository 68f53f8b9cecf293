// SPDX-License-Identifier: MIT
#include "harness/child.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "harness/appending.hpp"
#include "harness/machine.hpp"
#include "harness/process.hpp"
#include "subjects/store.hpp"

namespace bench {
namespace {

/// SUBJECT DIRECTORY VALUE_BYTES RECORDS ROOM: opens the store, appends, prints how many records
/// there are, and dies with the store open.
[[noreturn]] void append_and_die(std::span<char const* const> arguments) {
    Pool const pool{std::stoul(arguments[2])};
    auto const store = subject(arguments[0])
                           .open({.directory = arguments[1],
                                  .pool = &pool,
                                  .records = std::stoull(arguments[4]),
                                  .durability = Durability::interval});
    std::uint32_t const batch = std::string_view{arguments[0]} == "annals" ? 1 : 800;
    (void)append(*store, {.records = std::stoull(arguments[3]), .batch = batch});
    fmt::print("{}\n", store->end());
    std::fflush(stdout);
    die();
}

/// SUBJECT DIRECTORY PARTITIONS MILLISECONDS: prints what an open store that has been idle for so
/// long takes of memory: what is resident, what is anonymous.
void print_idle_memory(std::span<char const* const> arguments) {
    Pool const pool{100};
    auto const partitions = static_cast<std::uint32_t>(std::stoul(arguments[2]));
    Memory const before = process_memory();
    auto const store = subject(arguments[0])
                           .open({.directory = arguments[1],
                                  .pool = &pool,
                                  .records = 1'000'000,
                                  .partitions = partitions});
    store->appender(0)->append({0, partitions}, 1);
    std::this_thread::sleep_for(std::chrono::milliseconds{std::stoul(arguments[3])});
    Memory const after = process_memory();
    fmt::print("{} {}\n", after.resident - before.resident, after.anonymous - before.anonymous);
}

}  // namespace

int be_child(std::span<char const* const> arguments) {
    std::string_view const task = arguments.empty() ? "" : arguments[0];
    if (task == "append-and-die" && arguments.size() == 6) append_and_die(arguments.subspan(1));
    if (task == "idle-memory" && arguments.size() == 5) {
        print_idle_memory(arguments.subspan(1));
        return 0;
    }
    throw std::invalid_argument{"--child is for this program alone"};
}

}  // namespace bench
