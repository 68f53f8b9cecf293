// SPDX-License-Identifier: MIT
// The first program: a log in a directory, a topic, two records, and the records back in order.
#include <annals/annals.hpp>

#include <iostream>
#include <string>

int main() {
    annals::Log log{"hello-log"};  // made where it is missing, recovered where its writer died
    auto greetings = log.topic<std::string, std::string>("greetings");

    auto producer = greetings.producer();
    producer.send("en", "hello");
    producer.send("fr", "bonjour");

    for (auto const& record : greetings.replay())
        std::cout << record.offset().value() << ' ' << record.key() << ' ' << record.value()
                  << '\n';
}
