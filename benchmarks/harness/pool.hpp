// SPDX-License-Identifier: MIT
// The records that every subject gets, made before any clock starts, and the sink that reads every
// byte of them back.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string_view>
#include <vector>

namespace bench {

/// The sum of the bytes as 64-bit little-endian words, the last one filled up with zeros. Reads
/// each byte once, as cheaply as that can be done.
[[nodiscard]] inline std::uint64_t sum_of_words(std::string_view bytes) noexcept {
    char const* at = bytes.data();
    char const* const end = at + bytes.size();
    std::uint64_t sum = 0;
    for (; end - at >= 8; at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, at, 8);
        sum += word;
    }
    if (at == end) return sum;
    auto const rest = static_cast<std::size_t>(end - at);
    std::uint64_t word = 0;
    if (bytes.size() < 8) {
        std::memcpy(&word, at, rest);
        return sum + word;
    }
    std::memcpy(&word, end - 8, 8);
    return sum + (word >> (64 - 8 * rest));
}

/// What is read of each record that is replayed.
enum class Touch { all, keys };

/// A stretch of neighbours in a pool. Stores count the records that they are given themselves.
struct Stretch {
    std::size_t begin;
    std::size_t count;
};

/// `size` records with keys of 16 bytes and values of one length, of random bytes. Each lies in a
/// frame as long as Annals makes it (24 bytes of header, key, value, padding), its header and
/// padding zero, so that the same bytes serve a plain copy, a `write` and a store, and the sum
/// over whole frames is the sum over keys and values.
class Pool {
public:
    static constexpr std::size_t size = 6400;  ///< whole batches of 100, and small enough for L2
    static constexpr std::size_t header_bytes = 24;
    static constexpr std::size_t key_bytes = 16;

    explicit Pool(std::size_t value_bytes)
        : value_bytes_{value_bytes},
          frame_bytes_{(header_bytes + key_bytes + value_bytes + 7) / 8 * 8},
          frames_(size * frame_bytes_) {
        std::mt19937_64 random{value_bytes};
        for (std::size_t i = 0; i < size; ++i) {
            char* const payload = &frames_[i * frame_bytes_ + header_bytes];
            for (std::size_t at = 0; at < payload_bytes(); ++at) {
                payload[at] = static_cast<char>(random());
            }
        }
        for (std::size_t i = 0; i < size; ++i) values_.push_back(value(i));
    }

    [[nodiscard]] std::size_t value_bytes() const noexcept { return value_bytes_; }
    [[nodiscard]] std::size_t frame_bytes() const noexcept { return frame_bytes_; }
    [[nodiscard]] std::size_t payload_bytes() const noexcept { return key_bytes + value_bytes_; }

    [[nodiscard]] std::string_view key(std::size_t i) const noexcept {
        return {&frames_[i * frame_bytes_ + header_bytes], key_bytes};
    }
    [[nodiscard]] std::string_view value(std::size_t i) const noexcept {
        return {&frames_[i * frame_bytes_ + header_bytes + key_bytes], value_bytes_};
    }
    /// Key and value in one piece, for stores that have no keys of the user's.
    [[nodiscard]] std::string_view payload(std::size_t i) const noexcept {
        return {&frames_[i * frame_bytes_ + header_bytes], payload_bytes()};
    }
    [[nodiscard]] std::string_view frames(Stretch stretch) const noexcept {
        return {&frames_[stretch.begin * frame_bytes_], stretch.count * frame_bytes_};
    }
    [[nodiscard]] std::span<std::string_view const> values(Stretch stretch) const noexcept {
        return std::span{values_}.subspan(stretch.begin, stretch.count);
    }

    /// What reading the first `records` records must sum up to, the pool being gone through again
    /// and again.
    [[nodiscard]] std::uint64_t checksum(std::uint64_t records, Touch touch) const noexcept {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < size; ++i) {
            std::uint64_t const times = records / size + (i < records % size ? 1 : 0);
            sum += times * sum_of_words(key(i));
            if (touch == Touch::all) sum += times * sum_of_words(value(i));
        }
        return sum;
    }

private:
    std::size_t value_bytes_;
    std::size_t frame_bytes_;
    std::vector<char> frames_;
    std::vector<std::string_view> values_;
};

/// Takes what a replay hands out. Its sum is compared with the pool's, so nothing of the reading
/// can be optimised away and no store can leave anything out.
class Sink {
public:
    using Clock = std::chrono::steady_clock;

    explicit Sink(Touch touch = Touch::all) noexcept : touch_{touch} {}

    void take(std::string_view key, std::string_view value) noexcept {
        sum_ += sum_of_words(key);
        if (touch_ == Touch::all) sum_ += sum_of_words(value);
        count(1);
    }
    /// A stretch of frames as they lie in a pool.
    void take_frames(std::string_view frames, std::uint64_t records) noexcept {
        sum_ += sum_of_words(frames);
        count(records);
    }

    [[nodiscard]] Touch touch() const noexcept { return touch_; }
    [[nodiscard]] std::uint64_t sum() const noexcept { return sum_; }
    [[nodiscard]] std::uint64_t records() const noexcept { return records_; }
    /// When the first record had been read.
    [[nodiscard]] Clock::time_point first() const noexcept { return first_; }

private:
    void count(std::uint64_t records) noexcept {
        if (records_ == 0) [[unlikely]]
            first_ = Clock::now();
        records_ += records;
    }

    Touch touch_;
    std::uint64_t sum_ = 0;
    std::uint64_t records_ = 0;
    Clock::time_point first_{};
};

}  // namespace bench
