// SPDX-License-Identifier: MIT
// A record that was read: views into the mapping of its segment, and the pin that keeps it mapped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include <annals/codec/traits.hpp>
#include <annals/config.hpp>
#include <annals/detail/chrono.hpp>
#include <annals/error.hpp>
#include <annals/format/frame.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {

/// A record as bytes. All views live as long as this record or a copy of it: each pins its segment,
/// also beyond the closing of the log. Cheap to copy. One thread at a time.
class RecordView {
public:
    RecordView() noexcept = default;

    [[nodiscard]] Offset offset() const noexcept { return offset_; }
    [[nodiscard]] std::uint32_t partition() const noexcept { return partition_; }
    [[nodiscard]] Timestamp timestamp() const noexcept {
        return Timestamp{std::chrono::nanoseconds{frame_.timestamp}};
    }

    [[nodiscard]] bool has_key() const noexcept { return has(format::has_key); }
    [[nodiscard]] bool has_value() const noexcept { return has(format::has_value); }

    /// The key's bytes. Throws `no_value` where the record has none; an empty key is not none.
    [[nodiscard]] Bytes key() const {
        if (!has_key()) [[unlikely]]
            raise_absent("key");
        ANNALS_ASSERT(pin_ != nullptr);  // moved from
        return frame_.key;
    }

    /// The value's bytes. Throws `no_value` for a tombstone; an empty value is not one.
    [[nodiscard]] Bytes value() const {
        if (!has_value()) [[unlikely]]
            raise_absent("value");
        ANNALS_ASSERT(pin_ != nullptr);  // moved from
        return frame_.value;
    }

    /// The value of the first header of that name; nullopt where there is none.
    [[nodiscard]] std::optional<Bytes> header(std::string_view name) const noexcept {
        for (Bytes rest = frame_.headers; auto const each = format::take_header(rest);) {
            if (each->name == name) return each->value;
        }
        return std::nullopt;
    }

    /// Calls `visit(Header const&)` for each header, in the order they were sent.
    template <class Visit>
    void for_each_header(Visit&& visit) const {
        for (Bytes rest = frame_.headers; auto const each = format::take_header(rest);) {
            visit(*each);
        }
    }

private:
    template <class P>
    friend class BasicRecordReader;

    [[nodiscard]] bool has(format::FrameFlags flag) const noexcept {
        return (frame_.flags & flag) != 0;
    }
    [[noreturn, gnu::cold, gnu::noinline]] void raise_absent(std::string_view what) const {
        detail::raise(Errc::no_value, "the record at offset " + std::to_string(offset_.value()) +
                                          " of partition " + std::to_string(partition_) +
                                          " has no " + std::string{what});
    }

    format::FrameView frame_;
    std::shared_ptr<void const> pin_;
    Offset offset_;
    std::uint32_t partition_ = 0;
};

/// A record whose key and value are decoded when they are asked for. What decodes to a view
/// (std::string_view, Bytes) lives as long as this record or a copy of it.
template <class K, class V>
class Record : public RecordView {
public:
    Record() noexcept = default;
    explicit Record(RecordView view) noexcept : RecordView{std::move(view)} {}

    /// What K's codec decodes; where K is an optional, that in an optional. Throws `decode_failed`,
    /// and `no_value` where the record has no key, unless K is an optional.
    [[nodiscard]] decltype(auto) key() const { return decoded<K>(has_key(), &RecordView::key); }

    /// The same of the value; a tombstone has none.
    [[nodiscard]] decltype(auto) value() const {
        return decoded<V>(has_value(), &RecordView::value);
    }

private:
    template <class T>
    [[nodiscard]] auto decoded(bool is_present, Bytes (RecordView::*bytes)() const) const {
        if constexpr (std::same_as<T, codec_value_t<T>>) {
            return decode_as<T>((this->*bytes)());
        } else {
            using Result = std::optional<std::remove_cvref_t<codec_result_t<T>>>;
            return is_present ? Result{decode_as<T>((this->*bytes)())} : Result{};
        }
    }
};

}  // namespace annals::inline v1
