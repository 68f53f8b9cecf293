// SPDX-License-Identifier: MIT
// A way from one thread to another for one number at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

namespace bench {

/// How the receiver waits: asleep until it is woken, or looking again and again.
enum class Waiting { sleeping, spinning };

/// One thread sends, one other receives.
class Channel {
public:
    Channel() = default;
    Channel(Channel const&) = delete;
    Channel& operator=(Channel const&) = delete;
    virtual ~Channel() = default;

    /// Any number but 0, once the one before it was received.
    virtual void send(std::int64_t number) = 0;
    [[nodiscard]] virtual std::int64_t receive() = 0;
};

/// A new log's topic with one consumer.
[[nodiscard]] std::unique_ptr<Channel> open_annals_channel(std::filesystem::path const& directory,
                                                           Waiting waiting);

}  // namespace bench
