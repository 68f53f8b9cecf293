#!/bin/sh
# SPDX-License-Identifier: MIT
# A program without exceptions can use Annals: it compiles clean, runs, and an error ends it with
# the error's message.
# usage: no_exceptions.sh COMPILER FLAGS...
set -eu
compiler=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >program.cpp <<'END'
#include <annals/annals.hpp>
#include <annals/platform/memory.hpp>
#include <cstdio>
#include <string>

template <class P>
void use(annals::BasicLog<P> log) {
    auto topic = log.template topic<std::string, int>("numbers", {.partitions = 2});
    auto producer = topic.producer();
    for (int i = 0; i < 10; ++i) producer.send(std::to_string(i), i);
    producer.send_batch("k", {10, 11});
    auto consumer = topic.consumer({.group = "g"});
    int sum = 0;
    for (auto const& record : consumer.poll(std::chrono::nanoseconds{0})) sum += record.value();
    for (auto const& record : topic.replay()) sum += record.value();
    consumer.commit();
    log.close();
    std::printf("%d\n", sum);
}

int main() {
    use(annals::Log{"log"});
    use(annals::MemoryLog{"log"});
    std::fflush(stdout);
    (void)annals::Log{"log"}.topic<std::string, int>("not a name");
}
END

"$compiler" -std=c++20 -fno-exceptions -O1 -Wall -Wextra -Wpedantic -Wconversion \
    -Wsign-conversion -Wshadow -Werror "$@" program.cpp -o program -pthread
code=0
./program >said 2>&1 || code=$?
[ "$(head -n 2 said)" = "132
132" ] || { echo "the program did other sums:"; cat said; exit 1; }
[ "$code" -eq 134 ] || { echo "ended with $code, not by abort()"; exit 1; }
grep -q '^annals: invalid_name: "not a name"' said || { echo "no message:"; cat said; exit 1; }
