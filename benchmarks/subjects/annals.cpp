// SPDX-License-Identifier: MIT
// Annals, through the typed producer, replay and consumer, as its users meet it.
#include <annals/annals.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "subjects/channel.hpp"
#include "subjects/subjects.hpp"

namespace bench {
namespace {

using Topic = annals::Topic<std::string, std::string>;
using Producer = annals::Producer<std::string, std::string>;

[[nodiscard]] annals::Timestamp stamp_of(std::uint64_t number) noexcept {
    return annals::Timestamp{std::chrono::nanoseconds{given_stamp(number)}};
}

/// Producer p of P sends to the partitions p, p + P, p + 2 P ... in turn, wrapped around.
class AnnalsAppender : public Appender {
public:
    AnnalsAppender(Producer producer, Setup const& setup, unsigned number, std::uint64_t first)
        : producer_{std::move(producer)},
          pool_{*setup.pool},
          stamps_{setup.stamps},
          partitions_{setup.partitions},
          step_{setup.producers},
          partition_{number % setup.partitions},
          number_{first} {
        if (partitions_ > 1) options_.partition = partition_;
    }

    void append(Stretch stretch, std::uint32_t batch) override {
        if (batch == 1) {
            append_singly(stretch);
        } else {
            append_batches(stretch, batch);
        }
    }

private:
    void append_singly(Stretch stretch) {
        std::size_t const end = stretch.begin + stretch.count;
        if (partitions_ == 1 && stamps_ != Stamps::given) {
            for (std::size_t i = stretch.begin; i < end; ++i) {
                producer_.send(pool_.key(i), pool_.value(i));
            }
            return;
        }
        for (std::size_t i = stretch.begin; i < end; ++i, ++number_) {
            if (stamps_ == Stamps::given) options_.timestamp = stamp_of(number_);
            producer_.send(pool_.key(i), pool_.value(i), options_);
            next_partition();
        }
    }

    void append_batches(Stretch stretch, std::uint32_t batch) {
        std::size_t const end = stretch.begin + stretch.count;
        for (std::size_t i = stretch.begin; i < end; i += batch, number_ += batch) {
            if (stamps_ == Stamps::given) options_.timestamp = stamp_of(number_);
            std::size_t const count = std::min<std::size_t>(batch, end - i);
            producer_.send_batch(pool_.key(i), pool_.values({i, count}), options_);
            next_partition();
        }
    }

    void next_partition() {
        if (partitions_ == 1) return;
        partition_ = (partition_ + step_) % partitions_;
        options_.partition = partition_;
    }

    Producer producer_;
    Pool const& pool_;
    Stamps stamps_;
    std::uint32_t partitions_;
    unsigned step_;
    std::uint32_t partition_;
    std::uint64_t number_;
    annals::SendOptions options_{};
};

[[nodiscard]] annals::LogOptions log_options(Setup const& setup) {
    annals::LogOptions options;
    options.read_only = setup.access == Access::read;
    if (setup.after_death == AfterDeath::power_loss) {
        options.after_death = annals::AfterDeath::power_loss;
    }
    return options;
}

[[nodiscard]] annals::TopicOptions topic_options(Setup const& setup) {
    if (setup.access == Access::read) return {};
    annals::TopicOptions options{.partitions = setup.partitions, .sync = annals::Sync::never};
    if (setup.durability == Durability::interval) options.sync = annals::Sync::interval;
    if (setup.durability == Durability::power) options.sync = annals::Sync::always;
    if (setup.stamps == Stamps::coarse_clock) options.clock = annals::Clock::coarse;
    return options;
}

class AnnalsStore : public Store {
public:
    explicit AnnalsStore(Setup const& setup)
        : setup_{setup},
          log_{setup.directory, log_options(setup)},
          topic_{log_.topic<std::string, std::string>("bench", topic_options(setup))} {}

    std::unique_ptr<Appender> appender(unsigned producer) override {
        return std::make_unique<AnnalsAppender>(topic_.producer(), setup_, producer, end());
    }

    std::uint64_t end() override {
        std::uint64_t sum = 0;
        for (std::uint32_t partition = 0; partition < topic_.partition_count(); ++partition) {
            sum += topic_.end_offset(partition).value();
        }
        return sum;
    }

    void scan(Sink& sink) override {
        annals::ReplayOptions options;
        if (setup_.checks == Checks::off) options.check = annals::Check::never;
        for (auto const& record : topic_.replay(options)) sink.take(record.key(), record.value());
    }

    void seek(std::uint64_t number, Sink& sink) override {
        take_first({.from = annals::Offset{number}}, sink);
    }

    void seek_stamp(std::uint64_t number, Sink& sink) override {
        take_first({.from = stamp_of(number)}, sink);
    }

private:
    void take_first(annals::ReplayOptions const& options, Sink& sink) {
        for (auto const& record : topic_.replay(options)) {
            return sink.take(record.key(), record.value());
        }
    }

    Setup setup_;
    annals::Log log_;
    Topic topic_;
};

/// The number is the value.
class AnnalsChannel : public Channel {
public:
    AnnalsChannel(std::filesystem::path const& directory, Waiting waiting)
        : log_{directory},
          topic_{log_.topic<std::string, std::string>("bench", {.sync = annals::Sync::never})},
          producer_{topic_.producer()},
          consumer_{topic_.consumer()},
          timeout_{waiting == Waiting::sleeping ? std::chrono::nanoseconds::max()
                                                : std::chrono::nanoseconds{0}} {}

    void send(std::int64_t number) override {
        producer_.send("key-of-16-bytes.", {reinterpret_cast<char const*>(&number), sizeof number});
    }

    [[nodiscard]] std::int64_t receive() override {
        for (;;) {
            for (auto const& record : consumer_.poll(timeout_)) {
                std::int64_t number = 0;
                std::memcpy(&number, record.value().data(), sizeof number);
                return number;
            }
        }
    }

private:
    annals::Log log_;
    Topic topic_;
    Producer producer_;
    annals::Consumer<std::string, std::string> consumer_;
    std::chrono::nanoseconds timeout_;
};

}  // namespace

std::unique_ptr<Store> open_annals(Setup const& setup) {
    if (setup.pool != nullptr &&
        annals::format::frame_extent(Pool::header_bytes + setup.pool->payload_bytes()) !=
            setup.pool->frame_bytes()) {
        throw std::logic_error{"the pool's frames are not as long as Annals' own"};
    }
    return std::make_unique<AnnalsStore>(setup);
}

std::unique_ptr<Channel> open_annals_channel(std::filesystem::path const& directory,
                                             Waiting waiting) {
    return std::make_unique<AnnalsChannel>(directory, waiting);
}

}  // namespace bench
