// SPDX-License-Identifier: MIT
// A service's own test in memory: no files, no waiting, and the same on every run. The service is
// written once, for any platform; production gives it annals::Log, the test annals::MemoryLog.
#include <annals/annals.hpp>
#include <annals/platform/memory.hpp>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>

using namespace std::chrono_literals;

// ---- the service: limits how much may be drawn from an account within a day

template <class Log>
class Withdrawals {
public:
    explicit Withdrawals(Log& log)
        : topic_{log.template topic<std::string, std::int64_t>("withdrawals")},
          producer_{topic_.producer()} {}

    /// Records the withdrawal and returns true, unless the day's limit stands against it.
    bool draw(std::string_view account, std::int64_t cents, annals::Timestamp now) {
        std::int64_t drawn = cents;
        for (auto const& record : topic_.replay({.from = now - 24h}))
            if (record.key() == account) drawn += record.value();
        if (drawn > limit) return false;
        producer_.send(account, cents);
        return true;
    }

private:
    static constexpr std::int64_t limit = 500'00;
    using Topic = decltype(std::declval<Log&>().template topic<std::string, std::int64_t>(""));
    Topic topic_;
    decltype(std::declval<Topic&>().producer()) producer_;
};

// ---- its test

int failures = 0;

void expect(bool holds, std::string_view what) {
    std::cout << (holds ? "ok      " : "FAILED  ") << what << '\n';
    failures += holds ? 0 : 1;
}

int main() {
    annals::MemoryPlatform machine;  // its files and its clock; copies are the same machine
    machine.set_time(annals::Timestamp{1'700'000'000s});
    {
        annals::MemoryLog log{"/bank", {}, machine};
        Withdrawals service{log};
        expect(service.draw("alice", 400'00, machine.now()), "the first withdrawal passes");
        expect(!service.draw("alice", 200'00, machine.now()), "beyond the limit it does not");
        expect(service.draw("bob", 200'00, machine.now()), "another account has its own limit");
    }
    machine.advance(1h);
    {
        annals::MemoryLog log{"/bank", {}, machine};
        Withdrawals service{log};
        expect(!service.draw("alice", 200'00, machine.now()), "a restart forgets nothing");
        machine.advance(24h);
        expect(service.draw("alice", 200'00, machine.now()), "a day later the limit is free again");
    }
    return failures == 0 ? 0 : 1;
}
