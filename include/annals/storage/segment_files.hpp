// SPDX-License-Identifier: MIT
// A partition's directory: where its segment files come from, and what their first pages say.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/format/meta.hpp>
#include <annals/format/segment.hpp>
#include <annals/platform/platform.hpp>
#include <annals/storage/file_tools.hpp>
#include <annals/storage/recent_mappings.hpp>

namespace annals::inline v1::storage {

/// What identifies a segment and binds its bytes.
struct SegmentInfo {
    std::uint64_t ordinal = 0;
    std::uint64_t capacity = 0;
    std::uint64_t salt = 0;
    std::uint64_t base_offset = 0;
    std::uint64_t epoch = 0;
    std::uint64_t predecessor = 0;
    std::uint32_t flags = 0;
    std::int64_t created = 0;  ///< maybe long before anything was appended

    [[nodiscard]] bool is_copy() const noexcept { return (flags & format::Activation::copy) != 0; }
    [[nodiscard]] format::Activation activation() const noexcept {
        return {
            .base_offset = base_offset, .epoch = epoch, .predecessor = predecessor, .flags = flags};
    }
};

/// What the first page of a segment file says.
struct FirstPage {
    SegmentInfo info{};  ///< without what the activation gives where that is not good
    format::RecordState activation = format::RecordState::absent;
    std::optional<format::Completion> completion{};
    std::uint64_t successor = 0;  ///< what the seal of a complete segment says; 0: it is not good
    FileIdentity identity{};
};

/// The files of one partition. Holds no descriptor of its own: thousands of idle partitions cost
/// none. May be used from any thread.
template <Platform P>
class SegmentFiles {
public:
    using Directory = typename P::Directory;
    using File = typename Directory::File;
    using Mapping = typename File::Mapping;

    SegmentFiles(P platform, std::shared_ptr<Directory const> log, std::string topic,
                 format::Id topic_id, std::uint32_t partition,
                 std::shared_ptr<RecentMappings<P>> recent = {})
        : platform_{std::move(platform)},
          log_{std::move(log)},
          topic_{std::move(topic)},
          topic_id_{topic_id},
          partition_{partition},
          recent_{recent ? std::move(recent) : std::make_shared<RecentMappings<P>>()} {}

    [[nodiscard]] P const& platform() const noexcept { return platform_; }
    [[nodiscard]] std::string const& topic() const noexcept { return topic_; }
    [[nodiscard]] format::Id const& topic_id() const noexcept { return topic_id_; }
    [[nodiscard]] std::uint32_t partition() const noexcept { return partition_; }
    [[nodiscard]] RecentMappings<P>& recent_mappings() const noexcept { return *recent_; }

    /// Throws `closed` once the topic was removed.
    [[nodiscard]] Directory directory() const {
        if (is_removed_.load(std::memory_order_relaxed)) {
            detail::raise(Errc::closed, "the topic was removed", {.path = path()});
        }
        // Step by step, so that no more than two descriptors are open on the way.
        auto directory = log_->open_directory("topics");
        directory = directory.open_directory(topic_);
        return directory.open_directory(std::to_string(partition_));
    }
    [[nodiscard]] std::string path() const {
        return log_->path() + "/topics/" + topic_ + "/" + std::to_string(partition_);
    }
    [[nodiscard]] std::string segment_path(std::uint64_t ordinal) const {
        return path() + "/" + format::ordinal_name(ordinal, format::segment_suffix);
    }

    /// Whether the directory of the topic's name is still this topic's: another process may have
    /// removed it, and made another of that name.
    [[nodiscard]] bool is_topic_there() const {
        format::Id id = topic_id_;
        auto const error = detail::attempt([&] {
            auto const directory = log_->open_directory("topics").open_directory(topic_);
            auto const file = directory.open_file(format::topic_meta_name, Access::read);
            id = format::decode_topic_meta(read_whole(file), file.path()).topic_id;
        });
        return error ? error->code() != Errc::not_found : id == topic_id_;
    }

    /// The directory is about to go, and another may get its name.
    void set_removed() const noexcept { is_removed_.store(true, std::memory_order_relaxed); }

    /// The ordinals of all segment files, ascending. Of what a writer makes while a directory is
    /// listed, the list may have a later file and lack an earlier one (POSIX, readdir): so it is
    /// listed again, up to the highest that was there before.
    [[nodiscard]] std::vector<std::uint64_t> ordinals() const {
        auto const before = list_ordinals();
        auto found = list_ordinals();
        std::uint64_t const highest = before.empty() ? 0 : before.back();
        std::erase_if(found, [&](std::uint64_t ordinal) { return ordinal > highest; });
        return found;
    }

    /// Reads what a segment's first page says. Throws `corrupt` where the header is not that of
    /// this segment of this partition, `unsupported_format` where it is newer.
    [[nodiscard]] FirstPage read_first_page(File const& file, std::uint64_t ordinal) const {
        std::vector<std::byte> page(format::page_bytes);
        page.resize(file.read_at(0, page));
        auto const& path = file.path();
        format::require_readable(page, format::segment_magic, path);
        auto const header =
            format::require_record<format::SegmentHeader>(page, 0, path, "the segment's header");
        auto const misplaced = [&](std::string_view what, std::uint64_t place) {
            detail::raise(Errc::corrupt, what, {.path = path, .segment = ordinal, .place = place});
        };
        using Header = format::SegmentHeader;
        if (header.topic_id != topic_id_ || header.partition != partition_) {
            misplaced("the segment belongs to another partition", offsetof(Header, topic_id));
        }
        if (header.ordinal != ordinal) {
            misplaced("the segment has another's name", offsetof(Header, ordinal));
        }
        if (header.capacity != file.size() || page.size() < format::page_bytes ||
            !detail::is_power_of_two(header.capacity) ||
            header.capacity < format::min_segment_bytes ||
            header.capacity > format::max_copy_bytes) {
            misplaced("the file has " + std::to_string(file.size()) + " bytes instead of " +
                          std::to_string(header.capacity),
                      offsetof(Header, capacity));
        }
        FirstPage first{.info = {.ordinal = ordinal,
                                 .capacity = header.capacity,
                                 .salt = header.salt,
                                 .created = header.created},
                        .identity = file.identity()};
        Bytes const bytes{page};
        format::Activation activation;
        first.activation =
            format::read_record(bytes.subspan(format::activation_place), activation, header.salt);
        if (first.activation == format::RecordState::good) {
            first.info.base_offset = activation.base_offset;
            first.info.epoch = activation.epoch;
            first.info.predecessor = activation.predecessor;
            first.info.flags = activation.flags;
        }
        format::Completion completion;
        if (format::read_record(bytes.subspan(format::completion_place), completion, header.salt) ==
                format::RecordState::good &&
            completion.end >= format::first_frame_place &&
            completion.end <= format::claimable_end(header.capacity)) {
            first.completion = completion;
            first.successor = successor_of(file, first.info, {completion.count, completion.end});
        }
        return first;
    }

    /// The lowest ordinal that a seal allows its successor; 0 where there is no good seal.
    [[nodiscard]] static std::uint64_t successor_of(File const& file, SegmentInfo const& info,
                                                    format::Extent at) {
        std::byte seal[format::frame_header_bytes];
        if (file.read_at(at.place, seal) != sizeof seal) return 0;
        auto const header = detail::load<format::FrameHeader>(seal);
        format::FrameWord const word{header.word};
        bool const is_good = word.state() == format::FrameState::seal &&
                             header.number == at.count &&
                             format::frame_check(seal, word, info.salt, at.place) == word.check();
        return is_good ? static_cast<std::uint64_t>(header.detail) : 0;
    }

    [[nodiscard]] File open_segment(std::uint64_t ordinal, Access access) const {
        return directory().open_file(format::ordinal_name(ordinal, format::segment_suffix), access);
    }

    /// The segment's file for reading; nullopt where there is none (any more).
    [[nodiscard]] std::optional<File> find_segment(std::uint64_t ordinal) const {
        return directory().find_file(format::ordinal_name(ordinal, format::segment_suffix),
                                     Access::read);
    }

    /// Maps a segment for reading.
    [[nodiscard]] Mapping map_segment(SegmentInfo const& info) const {
        File const file = open_segment(info.ordinal, Access::read);
        if (read_first_page(file, info.ordinal).info.salt != info.salt) {
            detail::raise(Errc::corrupt, "another segment has taken this one's name",
                          {.path = file.path(), .segment = info.ordinal, .place = 0});
        }
        return file.map(Access::read);
    }

    /// Makes a segment file: blocks, header, whatever `fill(file, info)` adds, synced; then its
    /// name. Returns what identifies it. Throws `no_space` and the like, and leaves nothing behind.
    template <class Fill>
    SegmentInfo create_segment(SegmentInfo info, Blocks blocks, Fill const& fill) const {
        info.salt = platform_.random();
        info.created = platform_.now().time_since_epoch().count();
        Directory directory = this->directory();
        auto const name = format::ordinal_name(info.ordinal, format::segment_suffix);
        publish_file(directory, name, [&](File& file) {
            file.allocate(info.capacity, blocks);
            auto const header = format::checked(format::SegmentHeader{.topic_id = topic_id_,
                                                                      .partition = partition_,
                                                                      .ordinal = info.ordinal,
                                                                      .capacity = info.capacity,
                                                                      .salt = info.salt,
                                                                      .created = info.created});
            file.write_at(0, format::bytes_of(header));
            fill(file, info);
        });
        return info;
    }

    /// A segment made in advance: not part of the log until it is activated.
    SegmentInfo create_spare(std::uint64_t ordinal, std::uint64_t capacity, Blocks blocks) const {
        return create_segment({.ordinal = ordinal, .capacity = capacity}, blocks,
                              [](File&, SegmentInfo const&) {});
    }

    /// A segment that is part of the log from the moment it has a name.
    template <class Fill>
    SegmentInfo create_active(SegmentInfo const& wanted, Blocks blocks, Fill const& fill) const {
        return create_segment(wanted, blocks, [&](File& file, SegmentInfo const& info) {
            auto const activation = format::checked(info.activation(), info.salt);
            file.write_at(format::activation_place, format::bytes_of(activation));
            fill(file, info);
        });
    }

    /// Gives a file of an earlier life the blocks that a copy of it may have left out for zeros:
    /// storing there on a full disk would be a signal. Throws `no_space`.
    void ensure_blocks(SegmentInfo const& info) const {
        open_segment(info.ordinal, Access::write).allocate(info.capacity, Blocks::reserved);
    }

    /// Makes durable what describes the log and the topic, and what groups have committed in it,
    /// where it is there.
    void sync_descriptions() const {
        auto const topic = log_->open_directory("topics").open_directory(topic_);
        if (auto file = log_->find_file(format::log_meta_name, Access::read)) file->sync();
        if (auto file = topic.find_file(format::topic_meta_name, Access::read)) file->sync();
        for_each_group(*log_, [&](auto& group) {
            if (auto file = group.find_file(topic_, Access::read)) file->sync();
            group.sync();
        });
        if (auto groups = log_->find_directory("groups")) groups->sync();
    }

    /// Removes a segment and its index.
    void remove_segment(Directory& directory, std::uint64_t ordinal) const {
        directory.remove_file(format::ordinal_name(ordinal, format::index_suffix));
        directory.remove_file(format::ordinal_name(ordinal, format::segment_suffix));
    }

private:
    [[nodiscard]] std::vector<std::uint64_t> list_ordinals() const {
        std::vector<std::uint64_t> found;
        for (DirectoryEntry const& entry : directory().list()) {
            auto const ordinal = format::parse_ordinal(entry.name, format::segment_suffix);
            if (!ordinal) continue;
            auto place = found.end();
            while (place != found.begin() && *(place - 1) > *ordinal) --place;
            found.insert(place, *ordinal);
        }
        return found;
    }

    P platform_;
    std::shared_ptr<Directory const> log_;
    std::string topic_;
    format::Id topic_id_;
    std::uint32_t partition_;
    std::shared_ptr<RecentMappings<P>> recent_;
    mutable typename P::template Atomic<bool> is_removed_{false};
};

/// A segment that is about to be appended to, or is.
template <Platform P>
struct WritableSegment {
    using File = typename SegmentFiles<P>::File;
    using Mapping = typename SegmentFiles<P>::Mapping;

    File file;  ///< opened before the first store: it will tell whether writing that failed
    std::shared_ptr<Mapping> mapping;

    WritableSegment(SegmentFiles<P> const& files, std::uint64_t ordinal)
        : file{files.open_segment(ordinal, Access::write)},
          mapping{std::make_shared<Mapping>(file.map(Access::write))} {}
};

}  // namespace annals::inline v1::storage
