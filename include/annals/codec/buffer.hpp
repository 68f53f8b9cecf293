// SPDX-License-Identifier: MIT
// Bytes that grow: what a codec writes into that does not know its size before, and the buffers
// that each thread keeps for reuse.
#pragma once

#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include <annals/codec/load_store.hpp>
#include <annals/config.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {

/// Owns bytes that grow at the end. It may already hold what an enclosing codec has written: append
/// only. One thread at a time.
class Buffer {
public:
    void append(Bytes bytes) { copy_bytes(bytes, extend(bytes.size())); }

    template <detail::Scalar T>
    void append_le(T value) {
        store_le(extend(sizeof(T)), value);
    }

    /// Adds `count` zero bytes and gives them to be written; they are valid until the buffer grows
    /// again.
    MutableBytes extend(std::size_t count) {
        std::size_t const before = bytes_.size();
        bytes_.resize(before + count);
        return MutableBytes{bytes_}.subspan(before);
    }

    void clear() noexcept { bytes_.clear(); }

    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
    [[nodiscard]] std::size_t capacity() const noexcept { return bytes_.capacity(); }

    /// All that was written; valid until the buffer grows again.
    [[nodiscard]] Bytes bytes() const noexcept { return bytes_; }
    [[nodiscard]] MutableBytes bytes() noexcept { return bytes_; }

private:
    std::vector<std::byte> bytes_;
};

namespace detail {

/// A few buffers for one thread, so that encoding does not allocate for each record.
struct SpareBuffers {
    // One huge record must not hold its memory for as long as the thread lives.
    static constexpr std::size_t largest_kept = std::size_t{1} << 20;
    // A static object may send its last record after this thread's buffers were destroyed.
    inline static thread_local bool destroyed = false;

    std::array<Buffer, 4> buffers;
    std::size_t count = 0;

    SpareBuffers() = default;
    SpareBuffers(SpareBuffers const&) = delete;
    SpareBuffers& operator=(SpareBuffers const&) = delete;
    ~SpareBuffers() { destroyed = true; }
};

inline thread_local SpareBuffers spare_buffers;

inline Buffer take_spare_buffer() noexcept {
    if (SpareBuffers::destroyed || spare_buffers.count == 0) return {};
    return std::exchange(spare_buffers.buffers[--spare_buffers.count], Buffer{});
}

inline void keep_spare_buffer(Buffer&& buffer) noexcept {
    if (buffer.capacity() == 0 || buffer.capacity() > SpareBuffers::largest_kept) return;
    if (SpareBuffers::destroyed || spare_buffers.count == spare_buffers.buffers.size()) return;
    buffer.clear();
    spare_buffers.buffers[spare_buffers.count++] = std::move(buffer);
}

/// An empty buffer, borrowed from the thread and given back at the end. Leases nest: a codec may
/// itself send while it encodes.
class BufferLease {
public:
    BufferLease() noexcept : buffer_{take_spare_buffer()} {}
    BufferLease(BufferLease&&) noexcept = default;
    BufferLease& operator=(BufferLease&&) = delete;
    ~BufferLease() { keep_spare_buffer(std::move(buffer_)); }

    [[nodiscard]] Buffer& operator*() noexcept { return buffer_; }
    [[nodiscard]] Buffer const& operator*() const noexcept { return buffer_; }
    [[nodiscard]] Buffer* operator->() noexcept { return &buffer_; }
    [[nodiscard]] Buffer const* operator->() const noexcept { return &buffer_; }

private:
    Buffer buffer_;
};

}  // namespace detail
}  // namespace annals::inline v1
