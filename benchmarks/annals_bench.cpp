// SPDX-License-Identifier: MIT
// Append and replay of 16-byte keys and 100-byte values, each beside a plain copy of the same
// frames in the same run.
//
//   annals_bench [DIRECTORY [RECORDS]]      default: a folder of its own below ., 2,000,000
#include <annals/annals.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace {

constexpr int rounds = 5;
constexpr std::size_t pool_size = 4096;

/// Keys and values, made before any clock starts.
struct Pool {
    std::vector<std::string> keys;
    std::vector<std::string> values;

    Pool() {
        for (std::size_t i = 0; i < pool_size; ++i) {
            keys.push_back(fmt::format("key-{:012}", i));
            values.push_back(std::string(100, static_cast<char>('a' + i % 26)));
        }
    }
};

/// What every figure here is about: a record's frame, as long as it lies in a segment.
constexpr std::uint64_t frame_bytes = annals::format::frame_extent(24 + 16 + 100);

struct Context {
    std::filesystem::path directory;
    std::uint64_t records;
    Pool pool{};
};

/// A file of the frames' size, mapped, with all its pages present: the least that any append pays.
class PopulatedFile {
public:
    PopulatedFile(std::filesystem::path const& directory, std::uint64_t bytes)
        : directory_{annals::NativePlatform{}.open_directory(directory.string(),
                                                             annals::Access::write)},
          file_{directory_.create_file("ceiling")},
          mapping_{[&] {
              file_.allocate(bytes, annals::Blocks::reserved);
              return file_.map(annals::Access::write);
          }()} {
        mapping_.populate(0, bytes);
    }
    PopulatedFile(PopulatedFile const&) = delete;
    PopulatedFile& operator=(PopulatedFile const&) = delete;
    ~PopulatedFile() { directory_.remove_file("ceiling"); }

    [[nodiscard]] std::byte* data() const { return mapping_.data(); }

private:
    annals::NativeDirectory directory_;
    annals::NativeFile file_;
    annals::NativeMapping mapping_;
};

double records_a_second(std::uint64_t records, std::function<void()> const& work) {
    auto const start = std::chrono::steady_clock::now();
    work();
    std::chrono::duration<double> const took = std::chrono::steady_clock::now() - start;
    return static_cast<double>(records) / took.count();
}

std::uint64_t volatile sink;  // what is read must be used

double copy_frames(Context const& context) {
    PopulatedFile const file{context.directory, context.records * frame_bytes};
    std::vector<std::byte> const frames(pool_size * frame_bytes, std::byte{'x'});
    return records_a_second(context.records, [&] {
        for (std::uint64_t i = 0; i < context.records; ++i) {
            std::memcpy(file.data() + i * frame_bytes, &frames[i % pool_size * frame_bytes],
                        frame_bytes);
        }
    });
}

double append(Context const& context, annals::SendOptions const& options) {
    annals::Log log{context.directory / "log"};
    log.remove_topic("bench");
    auto producer =
        log.topic<std::string, std::string>("bench", {.sync = annals::Sync::never}).producer();
    Pool const& pool = context.pool;
    return records_a_second(context.records, [&] {
        for (std::uint64_t i = 0; i < context.records; ++i) {
            producer.send(pool.keys[i % pool_size], pool.values[i % pool_size], options);
        }
    });
}

double read_frames(Context const& context) {
    PopulatedFile const file{context.directory, context.records * frame_bytes};
    return records_a_second(context.records, [&] {
        std::uint64_t sum = 0;
        for (std::uint64_t place = 0; place < context.records * frame_bytes; place += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, file.data() + place, sizeof word);
            sum += word;
        }
        sink = sum;
    });
}

/// Attaches afresh, so that checks are really made, and touches every byte of key and value.
double replay(Context const& context, annals::Check check) {
    annals::Log log{context.directory / "log", {.read_only = true}};
    auto const topic = log.topic<std::string, std::string>("bench");
    return records_a_second(context.records, [&] {
        std::uint64_t sum = 0;
        for (auto const& record : topic.replay({.check = check})) {
            for (char const c : record.key()) sum += static_cast<unsigned char>(c);
            for (char const c : record.value()) sum += static_cast<unsigned char>(c);
        }
        sink = sum;
    });
}

struct Subject {
    std::string name;
    std::function<double()> run;
    std::vector<double> figures{};
};

/// All subjects in turn, again and again, so that a slow stretch of the machine meets them all.
void compare(std::string const& title, std::vector<Subject> subjects) {
    for (int round = 0; round < rounds; ++round) {
        for (Subject& subject : subjects) subject.figures.push_back(subject.run());
    }
    fmt::print("\n{:<44}{:>12}{:>12}{:>12}{:>10}\n", title, "median", "min", "max", "ratio");
    double ceiling = 0;
    for (Subject& subject : subjects) {
        std::sort(subject.figures.begin(), subject.figures.end());
        double const median = subject.figures[rounds / 2];
        if (ceiling == 0) ceiling = median;
        fmt::print("{:<44}{:>12.0f}{:>12.0f}{:>12.0f}{:>10.2f}\n", subject.name, median,
                   subject.figures.front(), subject.figures.back(), median / ceiling);
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::filesystem::path const base = argc > 1 ? argv[1] : ".";
    Context const context{base / "annals-bench-data",
                          argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 2'000'000};
    if (context.records == 0 || std::filesystem::exists(context.directory)) {
        fmt::print(stderr, "usage: annals_bench [DIRECTORY [RECORDS]]; {} must not exist\n",
                   context.directory.string());
        return 2;
    }
    std::filesystem::create_directories(context.directory);
    fmt::print("records a second; {} records of {} bytes each, {} rounds, in {}\n", context.records,
               frame_bytes, rounds, std::filesystem::absolute(base).string());
    {
        annals::Log log{context.directory / "log"};
        (void)log.topic<std::string, std::string>("bench");
    }
    annals::SendOptions const stamped{.timestamp = annals::Timestamp{std::chrono::seconds{1}}};
    compare("append, one producer, one record a call",
            {{"memcpy into a populated mapping", [&] { return copy_frames(context); }},
             {"annals, system clock read for each", [&] { return append(context, {}); }},
             {"annals, timestamp given", [&] { return append(context, stamped); }}});
    compare("replay, page cache warm",
            {{"reading the same bytes from a mapping", [&] { return read_frames(context); }},
             {"annals, checked", [&] { return replay(context, annals::Check::always); }},
             {"annals, unchecked", [&] { return replay(context, annals::Check::never); }}});
    std::filesystem::remove_all(context.directory);
}
