// SPDX-License-Identifier: MIT
// A consumer that resumes. Each run of this program handles at most four orders and ends, as a
// service does that is stopped or dies; the next run goes on where this one had committed.
#include <annals/annals.hpp>

#include <chrono>
#include <cstddef>
#include <iostream>
#include <string>

using namespace std::chrono_literals;

int main() {
    annals::Log log{"resume-log"};
    auto orders = log.topic<std::string, std::string>("orders");

    // The first run finds the topic empty and takes the day's orders. A batch has one key, one
    // partition and consecutive offsets, and after a crash all of it is there or none of it.
    if (orders.end_offset(0) == annals::Offset{0}) {
        auto producer = orders.producer();
        for (int table = 1; table <= 5; ++table) {
            std::string const dishes[]{"soup", "fish"};
            producer.send_batch("table-" + std::to_string(table), dishes);
        }
    }

    // The group's name is what the position is kept under. Without one, nothing can be committed.
    auto kitchen = orders.consumer({.group = "kitchen", .start = annals::Start::earliest});
    std::cout << "waiting: " << kitchen.lag() << '\n';

    std::size_t left = 4;
    while (left > 0) {
        auto const polled = kitchen.poll(0ms, left);  // what is there, up to `left`; no wait
        if (polled.empty()) break;
        for (auto const& order : polled) {
            std::cout << order.key() << ": " << order.value() << '\n';
            // Committed only now that it is done: a run that dies in between does it once more. To
            // commit first would mean: at most once, and lost where the run dies in between.
            kitchen.commit(order);
            --left;
        }
    }
}
