// SPDX-License-Identifier: MIT
// A topic without its types: its directory, what it was created with, and its partitions.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/format/meta.hpp>
#include <annals/options.hpp>
#include <annals/storage/partition_state.hpp>
#include <annals/storage/positions.hpp>

namespace annals::inline v1::storage {

inline constexpr std::uint32_t max_partitions = 65'536;

/// The description with what its opener asks for.
[[nodiscard]] inline format::TopicMeta with_options(format::TopicMeta meta,
                                                    TopicOptions const& options) {
    meta.sync = options.sync.value_or(meta.sync);
    meta.sync_interval = options.sync_interval.value_or(meta.sync_interval);
    meta.clock = options.clock.value_or(meta.clock);
    meta.retention.age = options.retention_age.value_or(meta.retention.age);
    meta.retention.bytes = options.retention_bytes.value_or(meta.retention.bytes);
    meta.retention.records = options.retention_records.value_or(meta.retention.records);
    if (options.segment_age) meta.retention.segment_age = options.segment_age;
    return meta;
}

/// Shared by all handles of a topic; outlives the log's closing. Any thread may call it.
template <Platform P>
class TopicState {
public:
    using Directory = typename P::Directory;
    using PartitionPtr = std::shared_ptr<PartitionState<P>>;

    TopicState(std::shared_ptr<Directory const> log, P const& platform, std::string name)
        : log_{std::move(log)},
          name_{std::move(name)},
          process_{platform},
          settings_{std::make_shared<TopicSettings<P>>()},
          readers_{std::make_shared<Signal<P>>(platform)},
          meta_{read_meta()} {
        apply_settings();
    }

    /// Makes the topic's directory, complete or not at all.
    static void create(Directory& log, P const& platform, std::string const& name,
                       format::TopicMeta const& meta) {
        auto topics = log.open_directory("topics");
        std::string const unfinished = unfinished_name(name);
        remove_unfinished(topics, unfinished);
        Rollback remove{[&] {
            // Where even this fails the directory is swept at the next opening.
            (void)detail::attempt([&] { remove_tree(topics, unfinished); });
        }};
        auto directory = topics.make_directory(unfinished);
        for (std::uint32_t partition = 0; partition < meta.partitions; ++partition) {
            auto each = directory.make_directory(std::to_string(partition));
            replace_control(each, platform,
                            {.header = {.topic_id = meta.topic_id, .partition = partition},
                             .clean = format::CleanMark{},
                             .epochs = {{1, 0}}});
        }
        publish_bytes(directory, format::topic_meta_name, format::encode_topic_meta(meta));
        topics.rename(unfinished, name);
        remove.dismiss();
        topics.sync();
    }

    /// Opens, and recovers, the partitions of a writing log.
    void open_for_writing(std::shared_ptr<WriterContext<P>> const& context, AfterDeath rule) {
        context_ = context;
        auto directory = this->directory();
        sweep_unfinished(directory);
        directory.sync();  // what the description says here, it must say after power loss too
        for (std::uint32_t id = 0; id < meta_.partitions; ++id) {
            partitions_.push_back(std::make_shared<PartitionState<P>>(
                files(context->platform, id), context, settings_, readers_, rule));
        }
    }

    void open_for_reading(P const& platform,
                          std::shared_ptr<Attachment<P> const> const& attachment) {
        for (std::uint32_t id = 0; id < meta_.partitions; ++id) {
            partitions_.push_back(
                std::make_shared<PartitionState<P>>(files(platform, id), attachment));
        }
    }

    [[nodiscard]] std::string const& name() const noexcept { return name_; }
    [[nodiscard]] std::vector<PartitionPtr> const& partitions() const noexcept {
        return partitions_;
    }
    [[nodiscard]] bool is_writing() const noexcept {
        return !partitions_.empty() && partitions_.front()->is_writing();
    }
    [[nodiscard]] Signal<P> const& readers() const noexcept { return *readers_; }
    [[nodiscard]] LiveGroups<P>& live_groups() noexcept { return live_groups_; }
    [[nodiscard]] P const& platform() const noexcept { return partitions_.front()->platform(); }
    [[nodiscard]] OwnProcess<P> const& process() const noexcept { return process_; }

    /// The partition, or `invalid_argument` with how many there are.
    [[nodiscard]] PartitionPtr const& partition(std::uint32_t id) const {
        if (id >= partitions_.size()) [[unlikely]] {
            detail::raise(Errc::invalid_argument,
                          "partition " + std::to_string(id) + " of a topic that has " +
                              std::to_string(partitions_.size()),
                          {.path = path()});
        }
        return partitions_[id];
    }

    [[nodiscard]] Positions<P> positions(std::string const& group) const;

    [[nodiscard]] format::TopicMeta meta() const {
        std::lock_guard const lock{mutex_};
        return meta_;
    }

    /// What makes another description of one, as the opener's options want it.
    using MetaChange = format::TopicMeta(format::TopicMeta, TopicOptions const&);

    /// Stores what `change` makes of the description, where that differs, and lets it hold for all
    /// handles. Throws where the writing has ended: the name may be another topic's.
    void change_meta(MetaChange* change, TopicOptions const& options);

    /// Whether the directory of that name is still this topic's; another process may have removed
    /// it.
    [[nodiscard]] bool is_there() const { return partitions_.front()->files().is_topic_there(); }

    /// Its files go: from here on its handles open none, for the name may come to mean others.
    void set_removed() noexcept {
        for (auto const& partition : partitions_) partition->files().set_removed();
    }

    /// Writes committed positions, unless that has ended: then another process may have the log.
    void commit(Positions<P>& positions, std::vector<format::Position> changed);

    /// From here on no commit and no change of the description.
    void end_writing(Error const& why) {
        std::lock_guard const lock{mutex_};
        if (!ended_) ended_ = why;
    }

    [[nodiscard]] std::string path() const { return log_->path() + "/topics/" + name_; }

private:
    [[nodiscard]] Directory directory() const {
        return log_->open_directory("topics").open_directory(name_);
    }

    [[nodiscard]] format::TopicMeta read_meta() const {
        auto const directory = this->directory();
        auto const file = directory.find_file(format::topic_meta_name, Access::read);
        if (!file) {
            detail::raise(Errc::corrupt, "the topic's description is missing",
                          {.path = directory.path() + "/" + std::string{format::topic_meta_name}});
        }
        format::TopicMeta meta = format::decode_topic_meta(read_whole(*file), file->path());
        if (meta.partitions == 0 || meta.partitions > max_partitions) {
            detail::raise(Errc::corrupt,
                          "a topic of so many partitions: " + std::to_string(meta.partitions),
                          {.path = file->path()});
        }
        return meta;
    }

    void apply_settings() {
        settings_->sync.store(meta_.sync, std::memory_order_relaxed);
        settings_->sync_interval.store(meta_.sync_interval.count(), std::memory_order_relaxed);
        settings_->clock.store(meta_.clock, std::memory_order_relaxed);
        settings_->retention.set(meta_.retention);
        if (context_) context_->keeper.notify();  // what was not due may be so now
    }

    [[nodiscard]] std::shared_ptr<SegmentFiles<P> const> files(P const& platform,
                                                               std::uint32_t id) const {
        return std::make_shared<SegmentFiles<P> const>(platform, log_, name_, meta_.topic_id, id,
                                                       recent_);
    }

    std::shared_ptr<Directory const> log_;
    std::string name_;
    OwnProcess<P> process_;
    std::shared_ptr<TopicSettings<P>> settings_;
    std::shared_ptr<WriterContext<P>> context_;  // of a writing log
    std::shared_ptr<RecentMappings<P>> recent_ = std::make_shared<RecentMappings<P>>();
    std::shared_ptr<Signal<P>> readers_;
    LiveGroups<P> live_groups_;
    mutable typename P::Mutex mutex_;  // of the description and of commits
    std::optional<Error> ended_;
    format::TopicMeta meta_;
    bool is_meta_stored_ = true;  ///< else a change has failed, and the file may say anything
    std::vector<PartitionPtr> partitions_;
};

// Outside of the class, so that whoever links annals::compiled need not compile it.

template <Platform P>
void TopicState<P>::commit(Positions<P>& positions, std::vector<format::Position> changed) {
    process_.require(path());
    std::lock_guard const lock{mutex_};
    if (ended_) detail::raise_again(*ended_);
    positions.commit(std::move(changed));
}

template <Platform P>
Positions<P> TopicState<P>::positions(std::string const& group) const {
    format::TopicMeta const meta = this->meta();
    return {log_, group, name_, meta.topic_id, meta.partitions};
}

template <Platform P>
void TopicState<P>::change_meta(MetaChange* change, TopicOptions const& options) {
    std::lock_guard const lock{mutex_};
    format::TopicMeta const changed = change(meta_, options);
    if (changed == meta_ && is_meta_stored_) return;
    if (ended_) detail::raise_again(*ended_);
    auto directory = this->directory();
    is_meta_stored_ = false;
    publish_change(directory, format::topic_meta_name, format::encode_topic_meta(changed),
                   format::encode_topic_meta(meta_));
    is_meta_stored_ = true;
    meta_ = changed;
    apply_settings();
}

}  // namespace annals::inline v1::storage
