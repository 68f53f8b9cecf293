// SPDX-License-Identifier: MIT
// One partition without a log around it: where it lies, and the lives of writers that end as a test
// wants them to.
#pragma once

#include <annals/partition.hpp>
#include <annals/storage/topic_state.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "world.hpp"

namespace annals::test {

inline constexpr std::uint64_t small_segment = format::min_segment_bytes;
/// Where claims end in one.
inline constexpr std::uint64_t small_segment_end = small_segment - 24;
inline constexpr std::uint64_t small_segment_room = small_segment_end - format::first_frame_place;

/// Whatever a MemoryPlatform can be told to fail.
inline constexpr Operation all_operations[] = {
    Operation::open, Operation::create,          Operation::make_directory, Operation::allocate,
    Operation::read, Operation::write,           Operation::punch,          Operation::sync,
    Operation::map,  Operation::start_writeback, Operation::rename,         Operation::remove,
    Operation::list, Operation::directory_sync};

/// Appends `count` records; by default seven of them fill a small segment.
template <class Topic>
void append_to(Topic const& topic, int count, std::size_t size = 8000) {
    std::string const value(size, 'v');
    for (int i = 0; i < count; ++i) topic.partition(0).append({}, as_bytes(value));
}

/// The names and bytes of everything below a directory.
template <class Directory>
std::map<std::string, std::string> dump(Directory const& directory,
                                        std::string const& prefix = {}) {
    std::map<std::string, std::string> files;
    for (DirectoryEntry const& entry : directory.list()) {
        std::string const name = prefix + entry.name;
        if (entry.kind == EntryKind::directory) {
            files.emplace(name + '/', "");
            files.merge(dump(directory.open_directory(entry.name), name + '/'));
        } else {
            files.emplace(name, content(directory.open_file(entry.name, Access::read)));
        }
    }
    return files;
}

/// A machine with one topic of one partition on it.
template <class P>
class Site {
public:
    Site() {
        (void)machine_.root.make_directory("topics");
        machine_.root.sync();
        storage::TopicState<P>::create(machine_.root, machine_.platform, "t",
                                       {.topic_id = topic_id(), .sync = Sync::never});
    }
    /// What is on that machine already.
    explicit Site(P platform) : machine_{std::move(platform)} {}

    [[nodiscard]] P& platform() noexcept { return machine_.platform; }
    [[nodiscard]] std::shared_ptr<storage::SegmentFiles<P> const> files() const {
        auto log = std::make_shared<typename P::Directory const>(
            machine_.platform.open_directory(machine_.path, Access::write));
        return std::make_shared<storage::SegmentFiles<P> const>(machine_.platform, std::move(log),
                                                                "t", topic_id(), 0);
    }
    [[nodiscard]] auto directory() const { return files()->directory(); }
    [[nodiscard]] auto dump() const { return test::dump(directory()); }

    /// The files' names, in order.
    [[nodiscard]] std::string names() const {
        std::string names;
        for (auto const& [name, bytes] : dump()) names += (names.empty() ? "" : " ") + name;
        return names;
    }

    /// What the control file says; nothing where it is not valid.
    [[nodiscard]] format::Control control() const {
        return storage::read_control(directory()).control.value_or(format::Control{});
    }
    [[nodiscard]] std::vector<format::Epoch> epochs() const { return control().epochs; }
    [[nodiscard]] storage::FirstPage first_page(std::uint64_t ordinal) const {
        auto const file = files()->open_segment(ordinal, Access::read);
        return files()->read_first_page(file, ordinal);
    }

    /// Overwrites bytes of a file of the partition.
    void patch(std::string_view name, std::uint64_t place, Bytes bytes) const {
        directory().open_file(name, Access::write).write_at(place, bytes);
    }
    /// Changes one bit of a file.
    void damage(std::string_view name, std::uint64_t place) const {
        auto file = directory().open_file(name, Access::write);
        std::byte byte{};
        (void)file.read_at(place, {&byte, 1});
        byte ^= std::byte{1};
        file.write_at(place, {&byte, 1});
    }
    void remove(std::string_view name) const { directory().remove_file(name); }
    /// Replaces what the control file says by what `change(control)` makes of it.
    template <class Change>
    void change_control(Change const& change) const {
        auto changed = control();
        change(changed);
        patch("control", 0, format::encode_control(changed));
    }

private:
    static format::Id topic_id() {
        format::Id id;
        id.fill(std::byte{0x5A});
        return id;
    }

    Machine<P> machine_{};
};

/// A writer's life. Gone without `close`, the writer has died: nothing is made ready for its
/// successor, and open claims stay open. One at a time on a site.
template <class P>
class Life {
public:
    enum class Keeper { none, by_hand };

    explicit Life(Site<P> const& site, AfterDeath rule = AfterDeath::detect,
                  format::Retention const& retention = {})
        : Life{site.files(), rule, retention} {}
    Life(Site<P> const& site, Keeper keeper) : Life{site.files(), AfterDeath::detect, {}, keeper} {}
    explicit Life(std::shared_ptr<storage::SegmentFiles<P> const> files,
                  AfterDeath rule = AfterDeath::detect, format::Retention const& retention = {},
                  Keeper keeper = Keeper::none) {
        P const platform = files->platform();
        auto settings = std::make_shared<storage::TopicSettings<P>>();
        settings->sync = Sync::never;
        settings->retention.set(retention);
        context_ = std::make_shared<storage::WriterContext<P>>(platform, small_segment,
                                                               keeper == Keeper::by_hand);
        state_ = std::make_shared<storage::PartitionState<P>>(
            std::move(files), context_, std::move(settings),
            std::make_shared<storage::Signal<P>>(platform), rule);
    }

    [[nodiscard]] storage::PartitionState<P>& state() const noexcept { return *state_; }
    [[nodiscard]] storage::WriterContext<P>& context() const noexcept { return *context_; }
    [[nodiscard]] std::shared_ptr<storage::PartitionState<P>> const& partition_state() const {
        return state_;
    }
    [[nodiscard]] PartitionRecovery const& report() const { return state_->recovery(); }
    [[nodiscard]] BasicPartition<P> partition() const {
        return BasicPartition<P>{state_, Access::write};
    }

    std::uint64_t append(std::string_view value) {
        return partition().append(std::nullopt, as_bytes(value)).value();
    }
    /// So many records of about an eighth of a segment each, which is the most that one takes.
    void append_large(unsigned count) {
        for (unsigned i = 0; i < count; ++i) append(std::string(8'000, 'L'));
    }
    std::uint64_t append_batch(std::vector<std::string_view> const& values) {
        auto const part_of = [](std::string_view value) {
            return storage::BytesPart{as_bytes(value)};
        };
        return detail::append_batch<std::string_view>(*state_, storage::BytesPart{}, values,
                                                      part_of, {}, {})
            .first.value();
    }

    /// Claims, and stores nothing.
    auto leave_untouched(std::uint64_t records, std::uint64_t bytes) {
        return state_->writer().claim(records, bytes);
    }
    /// Claims, stores the first word, and gets no further.
    auto leave_claimed(std::uint64_t records, std::uint64_t bytes) {
        auto const claimed = leave_untouched(records, bytes);
        detail::store(claimed.segment.bytes() + claimed.at.place,
                      format::FrameWord{format::FrameState::claimed, bytes,
                                        static_cast<std::uint32_t>(records)}
                          .raw());
        return claimed;
    }

    /// What the keeper would do now: the next segment in advance, syncs that are due.
    void keep() {
        (void)state_->track();
        (void)state_->keep();
    }

    void close() { state_->close(Error{Errc::closed, "closed by the test"}); }

    /// The records that are published: "0=a 2=b". Long values are cut to their first letter.
    [[nodiscard]] std::string text() const { return text_of(state_); }

    [[nodiscard]] static std::string text_of(
        std::shared_ptr<storage::PartitionState<P>> const& state) {
        std::string text;
        BasicRecordReader<P> reader{state, state->beginning(), Check::always};
        RecordView record;
        while (reader.next(record)) {
            auto const value = as_text(record.value());
            if (!text.empty()) text += ' ';
            text += std::to_string(record.offset().value()) + '=';
            text += value.size() > 20 ? value.substr(0, 1) : value;
        }
        return text;
    }

private:
    std::shared_ptr<storage::WriterContext<P>> context_;
    std::shared_ptr<storage::PartitionState<P>> state_;
};

using Ground = Site<MemoryPlatform>;
using MemoryLife = Life<MemoryPlatform>;

/// What somebody finds who only reads, and beside whom nobody writes.
template <class P>
std::string read_only_text(Site<P> const& site, AfterDeath rule = AfterDeath::detect) {
    auto const files = site.files();
    auto const attachment = std::make_shared<storage::Attachment<P> const>(
        std::make_shared<typename P::Directory const>(site.directory()), rule);
    return Life<P>::text_of(std::make_shared<storage::PartitionState<P>>(files, attachment));
}

}  // namespace annals::test
