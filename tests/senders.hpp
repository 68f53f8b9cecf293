// SPDX-License-Identifier: MIT
// Senders whose records tell who sent them, and what a log holds of them, for tests with threads
// and deaths.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <annals/annals.hpp>
#include <annals/platform/memory.hpp>

namespace annals::test {

/// SplitMix64 with bounds.
class Random {
public:
    explicit Random(std::uint64_t seed) noexcept : state_{seed} {}

    std::uint64_t operator()() noexcept { return detail::next_random(state_); }
    /// Below `bound`.
    std::uint64_t below(std::uint64_t bound) noexcept { return (*this)() % bound; }
    bool one_in(std::uint64_t count) noexcept { return below(count) == 0; }

private:
    std::uint64_t state_;
};

/// The n-th record of a sender, and how it stands in its batch.
struct Payload {
    std::uint32_t sender = 0;
    std::uint32_t number = 0;
    std::uint16_t index = 0;
    std::uint16_t count = 1;
    [[nodiscard]] friend bool operator==(Payload const&, Payload const&) = default;
};

inline std::byte payload_pattern(Payload const& payload, std::size_t i) noexcept {
    return static_cast<std::byte>(payload.sender * 131 + payload.number * 31 + i * 7);
}

/// `size` bytes, at least 12, that no other record has.
inline std::vector<std::byte> payload_bytes(Payload const& payload, std::size_t size) {
    std::vector<std::byte> bytes(size);
    std::memcpy(bytes.data(), &payload, sizeof payload);
    for (std::size_t i = sizeof payload; i < size; ++i) bytes[i] = payload_pattern(payload, i);
    return bytes;
}

/// Who sent this; nullopt where it is not what anybody sent.
inline std::optional<Payload> read_payload(Bytes bytes) noexcept {
    Payload payload;
    if (bytes.size() < sizeof payload) return std::nullopt;
    std::memcpy(&payload, bytes.data(), sizeof payload);
    for (std::size_t i = sizeof payload; i < bytes.size(); ++i) {
        if (bytes[i] != payload_pattern(payload, i)) return std::nullopt;
    }
    return payload;
}

/// Sends records and batches of all sizes to partition 0 of a topic. One thread.
class Sender {
public:
    Sender(std::uint32_t id, std::uint64_t seed, std::size_t largest = 8000)
        : id_{id}, random_{seed * 1'000'003 + id}, largest_{largest} {}

    [[nodiscard]] Random& random() noexcept { return random_; }

    /// Sends once; calls `sent(offset, payload)` for each record when the send has returned.
    template <class P, class Sent>
    void send(BasicTopic<Bytes, Bytes, P> const& topic, Sent const& sent) {
        if (random_.one_in(4)) return send_batch(topic, sent);
        Payload const payload{id_, next_++};
        auto const value = payload_bytes(payload, size(largest_));
        std::uint64_t const offset = topic.partition(0).append(key(), Bytes{value}).value();
        sent(offset, payload);
    }

private:
    template <class P, class Sent>
    void send_batch(BasicTopic<Bytes, Bytes, P> const& topic, Sent const& sent) {
        auto const count = static_cast<std::uint16_t>(1 + random_.below(4));
        std::vector<Payload> payloads;
        std::vector<std::vector<std::byte>> values;
        for (std::uint16_t i = 0; i < count; ++i) {
            payloads.push_back({id_, next_++, i, count});
            values.push_back(payload_bytes(payloads.back(), size(largest_ / 5)));
        }
        auto const range = std::vector<Bytes>(values.begin(), values.end());
        auto const batch = topic.producer().send_batch(std::nullopt, range, {.partition = 0});
        for (std::size_t i = 0; i < count; ++i) sent(batch.first.value() + i, payloads[i]);
    }

    /// Small ones and large ones, of all remainders by 8.
    [[nodiscard]] std::size_t size(std::size_t largest) {
        std::size_t const bound = random_.one_in(3) ? 64 : largest;
        return std::min<std::size_t>(sizeof(Payload) + random_.below(bound), largest);
    }
    [[nodiscard]] std::optional<Bytes> key() {
        if (random_.one_in(2)) return std::nullopt;
        return as_bytes("key").first(random_.below(4));
    }

    std::uint32_t id_;
    std::uint32_t next_ = 0;
    Random random_;
    std::size_t largest_;
};

/// What was sent: by offset.
using SentRecords = std::map<std::uint64_t, Payload>;

/// What a partition holds: by offset. An offset without a record is void.
struct FoundRecords {
    std::map<std::uint64_t, Payload> records{};
    std::uint64_t end = 0;
    std::string fault{};  ///< what is wrong with them; empty where nothing is

    [[nodiscard]] std::uint64_t voids() const noexcept { return end - records.size(); }
};

/// Whether `next` may come behind `before`, from the very next offset or not.
[[nodiscard]] inline bool continues(std::optional<Payload> const& before, Payload const& next,
                                    bool is_next_offset) noexcept {
    bool const is_inside = before && before->index + 1 != before->count;
    if (!is_inside) return next.index == 0;
    return is_next_offset && next.sender == before->sender && next.count == before->count &&
           next.index == before->index + 1;
}

/// Reads all there is in partition 0: each record whole, each batch too, offsets ascending, each
/// sender's records in the order they were sent.
template <class P>
[[nodiscard]] FoundRecords find_records(BasicTopic<Bytes, Bytes, P> const& topic) {
    FoundRecords found;
    std::map<std::uint32_t, std::uint32_t> next;
    std::uint64_t least = 0;
    std::optional<Payload> before;  // in the batch
    for (auto const& record : topic.replay({.partition = 0, .check = Check::always})) {
        std::uint64_t const offset = record.offset().value();
        auto const payload = read_payload(record.value());
        if (!payload) return found.fault = "not what anybody sent", found;
        if (offset < least) return found.fault = "offsets do not ascend", found;
        if (!continues(before, *payload, offset == least)) return found.fault = "torn batch", found;
        before = *payload;
        least = offset + 1;
        auto& expected = next[payload->sender];
        if (payload->number < expected) return found.fault = "a sender's order is lost", found;
        expected = payload->number + 1;
        found.records.emplace(offset, *payload);
    }
    if (before && before->index + 1 != before->count) found.fault = "torn batch";
    found.end = topic.end_offset(0).value();
    if (found.end < least) found.fault = "records behind the end";
    return found;
}

/// Whether all that was sent below `limit` is there, each at its offset.
[[nodiscard]] inline std::string missing(SentRecords const& sent, FoundRecords const& found,
                                         std::uint64_t limit = ~std::uint64_t{0}) {
    if (!found.fault.empty()) return found.fault;
    for (auto const& [offset, payload] : sent) {
        if (offset >= limit) break;
        auto const place = found.records.find(offset);
        if (place == found.records.end()) {
            return "lost: offset " + std::to_string(offset) + ", the end is " +
                   std::to_string(found.end);
        }
        if (place->second != payload) return "another record at " + std::to_string(offset);
    }
    return {};
}

}  // namespace annals::test
