// SPDX-License-Identifier: MIT
// What is measured: a store that keeps records in order. Annals, the ceiling and each peer are one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "harness/pool.hpp"

namespace bench {

/// When an append may return.
enum class Durability {
    process,   ///< once the record survives the death of the process, where the subject can do that
    interval,  ///< the same, with a sync each second in the background, where there is one
    power,     ///< once it survives power loss
};

/// Where Annals' timestamps come from; the others have none.
enum class Stamps { precise_clock, coarse_clock, given };

enum class Checks { on, off };
enum class Access { write, read };
enum class AfterDeath { detect, power_loss };

/// How the ceiling meets its file, for writing: its pages are there before the clock starts, or
/// not, or a second thread goes ahead and populates them.
enum class Pages { populated, fresh, supplied };
/// How it reads: many frames at a time through a mapping, one after the other, or by calls.
enum class Reading { mapping, singly, in_calls };

/// Which store is opened, and for what. Each subject takes from it what it knows.
struct Setup {
    std::filesystem::path directory{};  ///< of the store alone; made if it is not there
    Pool const* pool = nullptr;
    std::uint64_t records = 0;  ///< at most so many will ever be in it
    Access access = Access::write;
    Durability durability = Durability::process;
    unsigned producers = 1;
    std::uint32_t partitions = 1;
    Stamps stamps = Stamps::precise_clock;
    Checks checks = Checks::on;
    AfterDeath after_death = AfterDeath::detect;
    Pages pages = Pages::populated;
    Reading reading = Reading::mapping;
};

/// One thread's way into a store. Throws where the store fails.
class Appender {
public:
    Appender() = default;
    Appender(Appender const&) = delete;
    Appender& operator=(Appender const&) = delete;
    virtual ~Appender() = default;

    /// Appends the stretch of the pool in batches of that many records, 1 being one by one.
    virtual void append(Stretch stretch, std::uint32_t batch) = 0;
    /// Hands on what the appender still holds back.
    virtual void finish() {}
};

/// An open store; the destructor closes it as its users would.
class Store {
public:
    Store() = default;
    Store(Store const&) = delete;
    Store& operator=(Store const&) = delete;
    virtual ~Store() = default;

    /// The way in for the producer of that number, below Setup::producers; the store outlives it.
    [[nodiscard]] virtual std::unique_ptr<Appender> appender(unsigned producer) = 0;
    /// How many records there are, as a program must know that goes on counting.
    [[nodiscard]] virtual std::uint64_t end() = 0;
    /// Hands all records to the sink, in order.
    virtual void scan(Sink& sink);
    /// Hands the record of that number to the sink.
    virtual void seek(std::uint64_t number, Sink& sink);
    /// Hands the first record to the sink that was stamped `given_stamp(number)` or later.
    virtual void seek_stamp(std::uint64_t number, Sink& sink);
};

/// The timestamp of Stamps::given for a record: nanoseconds since 1970, a microsecond apart.
[[nodiscard]] constexpr std::int64_t given_stamp(std::uint64_t number) noexcept {
    return 1'700'000'000'000'000'000 + static_cast<std::int64_t>(number) * 1000;
}

struct Subject {
    std::string_view name;
    std::unique_ptr<Store> (*open)(Setup const&);
};

/// Those of the names that this program was built with, in that order.
[[nodiscard]] std::vector<Subject> subjects(std::vector<std::string_view> const& names);
/// Throws std::out_of_range where it was built without it.
[[nodiscard]] Subject subject(std::string_view name);
/// All of them, for the head of the output.
[[nodiscard]] std::string subject_names();

}  // namespace bench
