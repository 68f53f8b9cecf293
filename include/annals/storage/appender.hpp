// SPDX-License-Identifier: MIT
// Writing frames into a claimed stretch of a segment, in the order that recovery relies on.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include <annals/config.hpp>
#include <annals/format/frame.hpp>
#include <annals/format/segment.hpp>
#include <annals/platform/platform.hpp>
#include <annals/storage/recovery.hpp>
#include <annals/storage/reentrancy.hpp>
#include <annals/storage/segment.hpp>
#include <annals/types.hpp>

namespace annals::inline v1::storage {

/// A key or value on its way into a frame: `size()` bytes that `write` puts at the front of what it
/// is given, or absent.
template <class T>
concept FramePart = requires(T const& part, MutableBytes out) {
    { part.present() } -> std::same_as<bool>;
    { part.size() } -> std::convertible_to<std::uint64_t>;
    {part.write(out)};
};

/// Bytes as they are.
struct BytesPart {
    std::optional<Bytes> bytes{};

    [[nodiscard]] bool present() const noexcept { return bytes.has_value(); }
    [[nodiscard]] std::uint64_t size() const noexcept { return bytes ? bytes->size() : 0; }
    void write(MutableBytes out) const noexcept {
        if (bytes && !bytes->empty()) std::memcpy(out.data(), bytes->data(), bytes->size());
    }
};

/// One record on its way into a frame.
template <FramePart Key, FramePart Value>
struct FrameContent {
    Key const& key;
    Value const& value;
    std::span<Header const> headers;
    Timestamp timestamp;
    std::uint16_t batch_flags = 0;

    [[nodiscard]] std::uint64_t length() const noexcept {
        std::uint64_t const fixed = format::frame_header_bytes + format::headers_bytes(headers);
        return detail::add_saturating(detail::add_saturating(fixed, key.size()), value.size());
    }
    [[nodiscard]] std::uint16_t flags() const noexcept {
        unsigned flags = batch_flags;
        if (key.present()) flags |= format::has_key;
        if (value.present()) flags |= format::has_value;
        if (!headers.empty()) flags |= format::has_headers;
        return static_cast<std::uint16_t>(flags);
    }
};

/// A stretch of a segment that one thread owns until it is published. Gone unpublished, because
/// something threw, it becomes a void: readers never wait for an owner that will not come.
template <Platform P>
class Claim {
public:
    [[gnu::always_inline]] Claim(Segment<P>& segment, format::Extent at, std::uint64_t bytes,
                                 std::uint32_t records) noexcept
        : segment_{segment}, at_{at}, bytes_{bytes}, records_{records} {
        store_word(at_.place, {format::FrameState::claimed, bytes_, records_},
                   std::memory_order_relaxed);
        // Program order is enough: this word serves recovery after the process died.
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    Claim(Claim const&) = delete;
    Claim& operator=(Claim const&) = delete;
    [[gnu::always_inline]] ~Claim() {
        if (!first_word_.raw()) [[unlikely]] {
            give_up(segment_, {at_.place, bytes_, at_.count, records_});
        }
    }

    [[nodiscard]] format::Extent at() const noexcept { return at_; }

    /// Puts the next record behind those written so far. The first one stays invisible until
    /// `publish`, and so do the others behind it.
    template <class Key, class Value>
    [[gnu::always_inline]] void write(FrameContent<Key, Value> const& content,
                                      std::uint64_t length) {
        std::uint64_t const place = at_.place + written_bytes_;
        std::byte* const frame = segment_.bytes() + place;
        {
            detail::UserCodeScope const scope;  // a codec may run inside the claim
            write_body(frame, content, length);
        }
        P::store_point(frame + 8, length - 8);
        format::FrameWord const word = format::published_word(frame, format::FrameState::data,
                                                              length, segment_.info().salt, place);
        if (written_records_ == 0) {
            pending_ = word;
        } else {
            store_word(place, word, std::memory_order_relaxed);
        }
        written_bytes_ += format::frame_extent(length);
        ++written_records_;
    }

    /// Makes everything written visible, to all readers in all processes, with one store.
    [[gnu::always_inline]] void publish() noexcept {
        ANNALS_ASSERT(written_records_ == records_ && written_bytes_ == bytes_);
        first_word_ = pending_;
        store_word(at_.place, first_word_, std::memory_order_release);
    }

private:
    // Takes no address of the claim: its members then stay in registers while it lives.
    [[gnu::cold, gnu::noinline]] static void give_up(Segment<P>& segment, Gap gap) noexcept {
        store_void<P>(segment.bytes(), segment.info().salt, gap);
    }

    [[gnu::always_inline]] void store_word(std::uint64_t place, format::FrameWord word,
                                           std::memory_order order) noexcept {
        auto* const address = reinterpret_cast<std::uint64_t*>(segment_.bytes() + place);
        typename P::template AtomicRef<std::uint64_t>{*address}.store(word.raw(), order);
        P::store_point(segment_.bytes() + place, sizeof(std::uint64_t));
    }

    /// Everything of a frame but its word; the padding behind it is zero already.
    template <class Key, class Value>
    [[gnu::always_inline]] void write_body(std::byte* frame,
                                           FrameContent<Key, Value> const& content,
                                           std::uint64_t length) {
        std::uint64_t const key_size = content.key.size();
        detail::store(frame + offsetof(format::FrameHeader, number),
                      static_cast<std::uint32_t>(at_.count + written_records_));
        detail::store(frame + offsetof(format::FrameHeader, key_length),
                      static_cast<std::uint16_t>(key_size));
        detail::store(frame + offsetof(format::FrameHeader, flags), content.flags());
        detail::store(frame + offsetof(format::FrameHeader, detail),
                      content.timestamp.time_since_epoch().count());
        std::byte* out = frame + format::frame_header_bytes;
        content.key.write({out, key_size});
        out = format::encode_headers(out + key_size, content.headers);
        content.value.write({out, static_cast<std::size_t>(frame + length - out)});
    }

    Segment<P>& segment_;
    format::Extent at_;
    std::uint64_t bytes_;
    std::uint32_t records_;
    std::uint32_t written_records_ = 0;
    std::uint64_t written_bytes_ = 0;
    format::FrameWord pending_;
    format::FrameWord first_word_;
};

}  // namespace annals::inline v1::storage
