// SPDX-License-Identifier: MIT
// A partition's control file in the hands of its writer.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include <annals/config.hpp>
#include <annals/format/control.hpp>
#include <annals/storage/recovery.hpp>
#include <annals/storage/segment_files.hpp>

namespace annals::inline v1::storage {

inline constexpr std::string_view control_name = "control";

/// What the control file says, and which file it is; nothing where it is missing or its head is
/// bad.
struct ControlFound {
    std::optional<format::Control> control{};
    FileIdentity identity{};
};

template <PlatformDirectory Directory>
[[nodiscard]] ControlFound read_control(Directory const& directory) {
    auto const file = directory.find_file(control_name, Access::read);
    if (!file) return {};
    auto const bytes = read_whole(*file);
    return {format::decode_control(bytes, file->path()), file->identity()};
}

/// What says in that control file from now on that the log begins at `offset`.
[[nodiscard]] inline format::Beginning next_beginning(format::Control const& control,
                                                      std::uint64_t offset) noexcept {
    std::uint64_t const last = control.beginning ? control.beginning->sequence : 0;
    return {.sequence = last + 1, .offset = offset};
}

/// A life that began then, on this machine since it was started, writing with that control file.
template <Platform P>
[[nodiscard]] format::WriterIdentity writer_identity(P const& platform, FileIdentity const& control,
                                                     std::int64_t started) {
    return {.boot_id = platform.boot_id(),
            .device = control.device,
            .inode = control.inode,
            .mount = control.mount,
            .started = started};
}

/// Replaces the control file as a whole: complete and durable, or as it was before. A control file
/// without a clean mark belongs to this machine since it was started; which life has begun here is
/// for the caller to say in `control.writer`. But where the writer before died `of_power` and
/// nothing of that is mended yet, it stays his, for whoever opens this next must judge the same.
template <PlatformDirectory Directory, Platform P>
void replace_control(Directory& directory, P const& platform, format::Control control,
                     Death death = Death::of_process) {
    publish_file(directory, control_name, [&](auto& file) {
        std::int64_t const started = control.writer ? control.writer->started : 0;
        bool const is_of_now = !control.clean && death != Death::of_power;
        if (is_of_now) control.writer = writer_identity(platform, file.identity(), started);
        file.write_at(0, format::encode_control(control));
    });
}

/// The mapped control file of a partition whose gate is open. The mapping is shared with the page
/// cache, so what is stored here survives the process at once; a descriptor is not kept. Calls must
/// not overlap.
template <Platform P>
class ControlFile {
public:
    using Directory = typename P::Directory;
    using Mapping = typename Directory::File::Mapping;

    ControlFile(Directory const& directory, format::Control const& control)
        : ControlFile{directory.open_file(control_name, Access::write), control} {}

    /// Begins a life in this file: no longer clean, and this writer's. Not durable before `sync`.
    void begin_life(P const& platform, std::int64_t started) {
        put(format::writer_place, format::checked(writer_identity(platform, identity_, started)));
        clear_clean();
        set_syncing(0);
    }

    /// Set before each sync of a segment and cleared after its success: while it stands, the page
    /// cache is no evidence of what the disk holds.
    void set_syncing(std::uint64_t ordinal) noexcept { put(format::syncing_mark_place, ordinal); }
    /// The same for who is not the file's writer: the mark stands for what this boot has cached.
    void set_syncing(std::uint64_t ordinal, BootId const& boot) noexcept {
        put(format::syncing_boot_place, boot);
        set_syncing(ordinal);
    }

    /// Before each repair of a segment: a reader that looks at it meanwhile must notice, also where
    /// whoever repairs it is gone when the reader asks.
    void set_repairs(std::uint64_t count) noexcept {
        repairs_ = count;
        put(format::repairs_place, count);
    }
    [[nodiscard]] std::uint64_t repairs() const noexcept { return repairs_; }

    /// The segment is durable up to `extent`. The slot is changed only once the other was synced.
    void set_watermark(std::uint64_t ordinal, FileIdentity const& identity,
                       format::Extent extent) noexcept {
        if (std::exchange(slot_synced_, false)) ++sequence_;
        put(format::watermark_places[sequence_ % 2],
            format::checked(format::Watermark{.sequence = sequence_,
                                              .ordinal = ordinal,
                                              .device = identity.device,
                                              .inode = identity.inode,
                                              .count = extent.count,
                                              .end = extent.place}));
    }

    /// The log begins at `offset`. To be synced, or the file replaced, before it is set again.
    void set_beginning(std::uint64_t offset) {
        format::Beginning const next = next_beginning(contents(), offset);
        put(format::beginning_places[next.sequence % 2], format::checked(next));
    }

    void set_clean(format::CleanMark const& mark) noexcept {
        put(format::clean_mark_place, format::checked(mark));
    }
    void clear_clean() noexcept { put(format::clean_mark_place, format::CleanMark{}); }

    /// Whether a watermark was set since the last sync.
    [[nodiscard]] bool is_behind() const noexcept { return !slot_synced_; }
    /// The last watermark in this file may not be durable: its slot is used again.
    void stay_behind() noexcept { slot_synced_ = false; }

    /// What the file says now.
    [[nodiscard]] format::Control contents() const {
        return format::decode_control({mapping_.data(), mapping_.size()}, {}).value();
    }

    /// Everything set so far is durable, or throws `sync_failed`; then it is not to be synced
    /// again.
    void sync() {
        mapping_.sync();
        slot_synced_ = true;
    }

private:
    using File = typename Directory::File;

    ControlFile(File file, format::Control const& control)
        : mapping_{map_with_blocks(file)},
          identity_{file.identity()},
          sequence_{control.watermark ? control.watermark->sequence : 0},
          repairs_{control.repairs} {}

    /// A copy of the file may have got holes for zeros; storing there could be a signal.
    [[nodiscard]] static Mapping map_with_blocks(File& file) {
        file.allocate(file.size(), Blocks::reserved);
        return file.map(Access::write);
    }

    template <class T>
    void put(std::uint64_t place, T const& value) noexcept {
        detail::store(mapping_.data() + place, value);
        P::store_point(mapping_.data() + place, sizeof value);
    }

    Mapping mapping_;
    FileIdentity identity_;
    std::uint64_t sequence_;
    std::uint64_t repairs_;
    bool slot_synced_ = true;  // the file was published, and so synced
};

}  // namespace annals::inline v1::storage
