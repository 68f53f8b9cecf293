// SPDX-License-Identifier: MIT
#include "harness/appending.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "harness/scratch.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

/// Returns how many were appended.
std::uint64_t produce(Appender& appender, Pace const& pace, std::uint64_t records,
                      Clock::time_point start) {
    std::uint64_t done = 0;
    while (done < records) {
        std::size_t const begin = done % Pool::size;
        std::size_t const room = std::min(Pool::size - begin, pace.look_after);
        auto const count = std::min<std::uint64_t>(room, records - done);
        appender.append({begin, count}, pace.batch);
        done += count;
        if (is_interrupted() || Clock::now() - start > pace.patience) break;
    }
    appender.finish();
    return done;
}

/// All producers but the first run in threads of their own.
class Producers {
public:
    Producers(Store& store, Pace const& pace) : pace_{pace} {
        for (unsigned i = 0; i < pace.producers; ++i) appenders_.push_back(store.appender(i));
        for (unsigned i = 1; i < pace.producers; ++i) {
            threads_.emplace_back([this, i] { run(i); });
        }
    }

    [[nodiscard]] Appended run_all() {
        while (ready_ + 1 < pace_.producers) std::this_thread::yield();
        start_ = Clock::now();
        may_go_.store(true, std::memory_order_release);
        work(0);
        for (std::thread& thread : threads_) thread.join();
        std::chrono::duration<double> const took = Clock::now() - start_;
        if (error_) std::rethrow_exception(error_);
        return {records_, took.count()};
    }

private:
    void run(unsigned producer) {
        ++ready_;
        while (!may_go_.load(std::memory_order_acquire)) std::this_thread::yield();
        work(producer);
    }

    void work(unsigned producer) noexcept {
        try {
            records_ +=
                produce(*appenders_[producer], pace_, pace_.records / pace_.producers, start_);
        } catch (...) {
            std::lock_guard const turn{errors_};
            error_ = std::current_exception();
        }
    }

    Pace pace_;
    std::vector<std::unique_ptr<Appender>> appenders_;
    std::vector<std::thread> threads_;
    std::atomic<unsigned> ready_{0};
    std::atomic<bool> may_go_{false};
    Clock::time_point start_{};
    std::atomic<std::uint64_t> records_{0};
    std::mutex errors_;
    std::exception_ptr error_;
};

}  // namespace

Appended append(Store& store, Pace const& pace) {
    std::uint64_t const before = store.end();
    Appended appended;
    {
        Producers producers{store, pace};
        appended = producers.run_all();
    }
    throw_if_interrupted();
    std::uint64_t const there = store.end() - before;
    if (there != appended.records) {
        throw std::runtime_error{"a store has " + std::to_string(there) + " records of " +
                                 std::to_string(appended.records)};
    }
    return appended;
}

}  // namespace bench
