// SPDX-License-Identifier: MIT
// A partition's control file: how its last writer left it, how far it is durable, and its epochs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <annals/config.hpp>
#include <annals/format/record.hpp>

namespace annals::inline v1::format {

/// ```
///  0          ControlHeader, never changed
///  512        CleanMark: zeros while a writer is at work
///  1024       64 bits: the ordinal of the segment whose sync is under way, or 0; all ones: the
///             sync of all files has failed, which were a copy
///  1032       the boot id of an opening that has set it before there was a writer of its life
///  1048       64 bits: how often an opening has begun to repair a segment
///  1536       WriterIdentity
///  4096       Watermark, slot 0         one is overwritten only after the other was synced,
///  8192       Watermark, slot 1         and each has a page of its own
///  12288      Beginning, slot 0
///  12800      Beginning, slot 1
///  16384      EpochsHeader, then the epochs
/// ```
/// What grows or must not be torn (the epochs) changes only by replacing the whole file.
inline constexpr std::uint64_t clean_mark_place = 1 * sector_bytes;
inline constexpr std::uint64_t syncing_mark_place = 2 * sector_bytes;
inline constexpr std::uint64_t syncing_boot_place = syncing_mark_place + 8;
inline constexpr std::uint64_t repairs_place = syncing_boot_place + 16;
inline constexpr std::uint64_t writer_place = 3 * sector_bytes;
inline constexpr std::uint64_t watermark_places[2] = {1 * page_bytes, 2 * page_bytes};
inline constexpr std::uint64_t beginning_places[2] = {3 * page_bytes,
                                                      3 * page_bytes + sector_bytes};
inline constexpr std::uint64_t epochs_place = 4 * page_bytes;

inline constexpr Magic control_magic{'A', 'N', 'N', 'A', 'L', 'C', 'T', 'L'};

struct ControlHeader {
    static constexpr std::uint64_t check_seed = 16;

    Preamble preamble{.magic = control_magic};
    Id topic_id{};
    std::uint32_t partition = 0;
    std::uint32_t reserved = 0;
    std::uint64_t check = 0;
};
static_assert(sizeof(ControlHeader) == 56);

/// The partition was closed, and everything up to here is durable.
struct CleanMark {
    static constexpr std::uint64_t check_seed = 17;

    std::uint64_t ordinal = 0;  ///< the active segment; 0: there is none yet
    std::uint64_t count = 0;
    std::uint64_t end = 0;
    std::uint64_t check = 0;
    [[nodiscard]] friend bool operator==(CleanMark const&, CleanMark const&) = default;
};
static_assert(sizeof(CleanMark) == 32);

/// Which life of which machine wrote last, and which file this was then: a copied directory has
/// other files, and another boot lost the page cache.
struct WriterIdentity {
    static constexpr std::uint64_t check_seed = 18;

    std::array<std::byte, 16> boot_id{};
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t mount = 0;
    std::int64_t started = 0;
    std::uint64_t check = 0;
    [[nodiscard]] friend bool operator==(WriterIdentity const&, WriterIdentity const&) = default;
};
static_assert(sizeof(WriterIdentity) == 56);

/// The whole of the log's lock file: when the last life began that has written anything, later than
/// any before it, and whether it has ended. What it writes to is marked with the same time.
struct LifeRecord {
    static constexpr std::uint64_t check_seed = 22;

    std::int64_t started = 0;
    std::uint64_t ended = 0;  ///< not 0: whoever holds the lock has not begun to write
    std::uint64_t check = 0;
};
static_assert(sizeof(LifeRecord) == 24);

/// Up to here the partition was durable. It lags and never leads, and binds only for the file that
/// it was taken from.
struct Watermark {
    static constexpr std::uint64_t check_seed = 19;

    std::uint64_t sequence = 0;
    std::uint64_t ordinal = 0;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t count = 0;
    std::uint64_t end = 0;
    std::uint64_t check = 0;
};
static_assert(sizeof(Watermark) == 56);

/// What was durable when the partition was closed.
[[nodiscard]] inline Watermark watermark_of(CleanMark const& clean) noexcept {
    return {.ordinal = clean.ordinal, .count = clean.count, .end = clean.end};
}

/// The first offset that retention has left.
struct Beginning {
    static constexpr std::uint64_t check_seed = 20;

    std::uint64_t sequence = 0;
    std::uint64_t offset = 0;
    std::uint64_t check = 0;
    [[nodiscard]] friend bool operator==(Beginning const&, Beginning const&) = default;
};
static_assert(sizeof(Beginning) == 24);

/// One stretch of the partition's life: it began at this offset.
struct Epoch {
    std::uint64_t number = 0;
    std::uint64_t first_offset = 0;
    [[nodiscard]] friend bool operator==(Epoch const&, Epoch const&) = default;
};

struct EpochsHeader {
    static constexpr std::uint64_t check_seed = 21;

    std::uint64_t count = 0;
    std::uint64_t entries_hash = 0;
    std::uint64_t check = 0;
};
static_assert(sizeof(Epoch) == 16 && sizeof(EpochsHeader) == 24);

/// What of a control file can be damaged by itself, in words for the operator.
inline constexpr std::string_view clean_mark_part = "clean mark";
inline constexpr std::string_view writer_part = "writer's identity";
inline constexpr std::string_view watermark_part = "watermark";
inline constexpr std::string_view beginning_part = "beginning";
inline constexpr std::string_view epochs_part = "list of epochs";

/// In place of an ordinal: it was a copy of the whole partition whose sync failed.
inline constexpr std::uint64_t syncing_everything = ~std::uint64_t{0};

/// Everything that a control file says.
struct Control {
    ControlHeader header{};
    std::optional<CleanMark> clean{};
    std::uint64_t syncing = 0;  ///< the segment whose sync is under way, or has failed; 0: none
    std::array<std::byte, 16> syncing_boot{};
    std::uint64_t repairs = 0;
    std::optional<WriterIdentity> writer{};
    std::optional<Watermark> watermark{};
    std::optional<Beginning> beginning{};
    std::vector<Epoch> epochs{};
    /// What fails its check, and so is not above; each can be done without.
    std::vector<std::string_view> damaged{};

    [[nodiscard]] bool is_damaged(std::string_view part) const noexcept {
        for (std::string_view const each : damaged) {
            if (each == part) return true;
        }
        return false;
    }
};

[[nodiscard]] inline std::vector<std::byte> encode_control(Control const& control) {
    std::uint64_t const entries = control.epochs.size() * sizeof(Epoch);
    std::vector<std::byte> file(
        detail::align_up(epochs_place + sizeof(EpochsHeader) + entries, page_bytes));
    auto const put = [&](std::uint64_t place, auto const& value) {
        detail::store(file.data() + place, value);
    };
    put(0, checked(control.header));
    if (control.clean) put(clean_mark_place, checked(*control.clean));
    put(syncing_mark_place, control.syncing);
    put(syncing_boot_place, control.syncing_boot);
    put(repairs_place, control.repairs);
    if (control.writer) put(writer_place, checked(*control.writer));
    if (control.watermark) {
        put(watermark_places[control.watermark->sequence % 2], checked(*control.watermark));
    }
    if (control.beginning) {
        put(beginning_places[control.beginning->sequence % 2], checked(*control.beginning));
    }
    std::byte* const first = file.data() + epochs_place + sizeof(EpochsHeader);
    if (entries != 0) std::memcpy(first, control.epochs.data(), entries);
    put(epochs_place, checked(EpochsHeader{.count = control.epochs.size(),
                                           .entries_hash = detail::hash({first, entries})}));
    return file;
}

namespace detail_control {

/// Reads the parts of a file into what it says; those that fail their check are noted.
struct Parts {
    Bytes file;
    Control& control;

    template <CheckedRecord R>
    [[nodiscard]] std::optional<R> get(std::uint64_t place, std::string_view name) const {
        R record;
        RecordState const state = read_record(file.subspan(place), record);
        if (state == RecordState::bad) note(name);
        return state == RecordState::good ? std::optional{record} : std::nullopt;
    }

    /// Of two slots the good one with the higher sequence.
    template <CheckedRecord R>
    [[nodiscard]] std::optional<R> newer(std::uint64_t const (&places)[2],
                                         std::string_view name) const {
        auto const first = get<R>(places[0], name);
        auto const second = get<R>(places[1], name);
        return second && (!first || second->sequence > first->sequence) ? second : first;
    }

    [[nodiscard]] std::vector<Epoch> epochs() const {
        EpochsHeader header;
        Bytes entries = file.subspan(epochs_place);
        bool is_good = entries.size() >= sizeof header &&
                       read_record(entries, header) == RecordState::good &&
                       header.count <= (entries.size() - sizeof header) / sizeof(Epoch);
        std::vector<Epoch> epochs(is_good ? header.count : 0);
        entries = entries.subspan(is_good ? sizeof header : 0, epochs.size() * sizeof(Epoch));
        is_good = is_good && detail::hash(entries) == header.entries_hash;
        if (!is_good) note(epochs_part);
        if (!is_good || epochs.empty()) return {};
        std::memcpy(epochs.data(), entries.data(), entries.size());
        return epochs;
    }

    void note(std::string_view name) const {
        if (!control.is_damaged(name)) control.damaged.push_back(name);
    }
};

}  // namespace detail_control

/// Reads a control file's bytes; nullopt where the file's own header is bad. Throws
/// `unsupported_format`.
[[nodiscard]] inline std::optional<Control> decode_control(Bytes file, std::string const& path) {
    bool const is_ours = file.size() >= sizeof(Preamble) &&
                         detail::load<Preamble>(file.data()).magic == control_magic;
    if (is_ours) require_readable(file, control_magic, path);
    Control control;
    if (!is_ours || file.size() < epochs_place ||
        read_record(file, control.header) != RecordState::good) {
        return std::nullopt;
    }
    detail_control::Parts const parts{file, control};
    control.clean = parts.get<CleanMark>(clean_mark_place, clean_mark_part);
    control.syncing = detail::load<std::uint64_t>(file.data() + syncing_mark_place);
    control.syncing_boot =
        detail::load<decltype(control.syncing_boot)>(file.data() + syncing_boot_place);
    control.repairs = detail::load<std::uint64_t>(file.data() + repairs_place);
    control.writer = parts.get<WriterIdentity>(writer_place, writer_part);
    control.watermark = parts.newer<Watermark>(watermark_places, watermark_part);
    control.beginning = parts.newer<Beginning>(beginning_places, beginning_part);
    control.epochs = parts.epochs();
    return control;
}

}  // namespace annals::inline v1::format
