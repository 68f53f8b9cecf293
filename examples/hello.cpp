// SPDX-License-Identifier: MIT
// The first program: a log in a directory, a topic, two records, and the records back in order.
#include <annals/annals.hpp>
#include <iostream>
#include <string>

int main() {
    annals::Log log{"hello-log"};  // made where it is missing, recovered where its writer died
    auto greetings = log.topic<std::string, std::string>("greetings");
    greetings.producer().send("en", "hello");
    greetings.producer().send("fr", "bonjour");
    for (auto const& record : greetings.replay())
        std::cout << record.offset().value() << ' ' << record.key() << ' ' << record.value()
                  << '\n';
}
