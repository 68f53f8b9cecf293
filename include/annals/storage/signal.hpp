// SPDX-License-Identifier: MIT
// How sleepers learn that something was published, without the publisher paying while nobody
// sleeps.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include <annals/config.hpp>
#include <annals/detail/chrono.hpp>
#include <annals/platform/platform.hpp>

namespace annals::inline v1::storage {

/// A sleeper first announces itself, then looks once more at what it waits for, then sleeps. A
/// publisher first claims (one seq_cst step on the tail), later looks for sleepers. In the total
/// order of those steps either the sleeper sees the claim, or the publisher sees the sleeper.
template <Platform P>
class Signal {
public:
    explicit Signal(P platform) : platform_{std::move(platform)} {}

    /// What a publisher pays: one load of a line that changes only when somebody goes to sleep.
    void notify_sleepers() const noexcept {
        if (sleepers_.load(std::memory_order_seq_cst) != 0) notify();
    }

    [[gnu::noinline]] void notify() const noexcept {
        word_.fetch_add(1, std::memory_order_seq_cst);
        platform_.wake(address());
    }

    /// What to sleep on: any notification after this call ends the sleep.
    [[nodiscard]] WaitWord ticket() const noexcept {
        return {address(), word_.load(std::memory_order_seq_cst)};
    }

    void sleep(WaitWord ticket, std::chrono::nanoseconds timeout) const {
        WaitWord const words[] = {ticket};
        platform_.wait(words, timeout);
    }

    /// Announces a sleeper, for as long as this lives, to publishers who ask.
    class Sleeper {
    public:
        explicit Sleeper(Signal const& signal) noexcept : signal_{signal} {
            signal_.sleepers_.fetch_add(1, std::memory_order_seq_cst);
        }
        Sleeper(Sleeper const&) = delete;
        Sleeper& operator=(Sleeper const&) = delete;
        ~Sleeper() { signal_.sleepers_.fetch_sub(1, std::memory_order_relaxed); }

    private:
        Signal const& signal_;
    };

private:
    [[nodiscard]] std::uint32_t const* address() const noexcept {
        return reinterpret_cast<std::uint32_t const*>(&word_);
    }

    P platform_;
    alignas(64) mutable typename P::template Atomic<std::uint32_t> sleepers_{0};
    mutable typename P::template Atomic<std::uint32_t> word_{0};
};

}  // namespace annals::inline v1::storage
