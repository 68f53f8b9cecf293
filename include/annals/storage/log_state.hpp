// SPDX-License-Identifier: MIT
// A log in one process: its directory, its lock, its catalogue of topics, its keeper.
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
#include <annals/detail/chrono.hpp>
#include <annals/error.hpp>
#include <annals/format/meta.hpp>
#include <annals/options.hpp>
#include <annals/storage/attachment.hpp>
#include <annals/storage/keeper.hpp>
#include <annals/storage/log_directory.hpp>
#include <annals/storage/topic_state.hpp>

namespace annals::inline v1::storage {

/// Any thread may call it.
template <Platform P>
class LogState {
public:
    using Directory = typename P::Directory;
    using File = typename Directory::File;
    using TopicPtr = std::shared_ptr<TopicState<P>>;

    /// Opens, and where need be makes and recovers, the log in that directory.
    LogState(std::string const& path, LogOptions options, P platform);
    LogState(LogState const&) = delete;
    LogState& operator=(LogState const&) = delete;
    ~LogState() {
        if (!process_.is_this()) return;  // in a forked child there is nothing to end
        // Who wants to know calls close().
        (void)detail::attempt([&] { close(); });
        // Handles may outlive this. From inside an encoding or an event handler nothing could be
        // waited for: then they have the lock.
        if (!is_closed_) refuse_writing();
        if (is_closed_ && context_) context_->life.end();
    }

    [[nodiscard]] bool is_read_only() const noexcept { return options_.read_only; }
    [[nodiscard]] std::string const& path() const noexcept { return directory_->path(); }
    [[nodiscard]] Recovery const& recovery() const noexcept { return recovery_; }

    /// The names of all topics, ascending.
    [[nodiscard]] std::vector<std::string> topics() const;

    /// What a topic's opener asks of it, without its types.
    struct TopicRequest {
        std::string key_codec;
        std::string value_codec;
        TopicOptions options;
    };

    /// The topic, made if it is not there. Its codecs are the caller's to compare.
    [[nodiscard]] TopicPtr open_topic(std::string const& name, TopicRequest const& request);

    /// Ends all writing to the topic and removes it with all its records. Where that fails half-way
    /// the next call goes on.
    void remove_topic(std::string const& name);

    /// Makes durable what was sent to any topic before the call.
    void flush();

    /// Ends all writing, makes it durable, and frees the lock. The first error is thrown when
    /// everything is done that could be.
    void close();

private:
    struct Entry {
        std::string name;
        TopicPtr topic;
        Error closed;  ///< what it throws once the log is closed
    };

    void require_options() const {
        std::uint64_t const bytes = options_.segment_bytes;
        if (!detail::is_power_of_two(bytes) || bytes < format::min_segment_bytes ||
            bytes > format::max_segment_bytes) {
            detail::raise(Errc::invalid_argument,
                          "segment_bytes must be a power of two from 64 KiB to 1 GiB, not " +
                              std::to_string(bytes));
        }
    }

    static void require_topic_options(TopicOptions const& options) {
        if (options.partitions &&
            (*options.partitions == 0 || *options.partitions > max_partitions)) {
            detail::raise(Errc::invalid_argument, "a topic has 1 to 65536 partitions, not " +
                                                      std::to_string(*options.partitions));
        }
        auto const require_positive = [](auto const& given, std::string_view what) {
            if (given && *given <= std::remove_cvref_t<decltype(*given)>{}) {
                detail::raise(Errc::invalid_argument, std::string{what} + " must be above 0");
            }
        };
        require_positive(options.sync_interval, "sync_interval");
        require_positive(options.retention_age, "retention_age");
        require_positive(options.retention_bytes, "retention_bytes");
        require_positive(options.retention_records, "retention_records");
        require_positive(options.segment_age, "segment_age");
    }

    void require_usable() const {
        process_.require(path());
        detail::require_outside_user_code();
    }

    void require_open() const {
        if (is_closed_) detail::raise(Errc::closed, "the log was closed", {.path = path()});
    }

    void note_file_system() {
        auto const say = [&](std::string text) {
            if (!options_.read_only) recovery_.notes.push_back(std::move(text));
        };
        switch (directory_->file_system()) {
            case FileSystemKind::network:
                detail::raise(Errc::io_error,
                              "a network file system keeps no promise that a log needs",
                              {.path = path()});
            case FileSystemKind::memory:
                say("a file system in memory: nothing survives the machine");
                break;
            case FileSystemKind::copy_on_write:
            case FileSystemKind::fuse:
                say("a full disk may be told too late on this file system");
                break;
            case FileSystemKind::overlay:
            case FileSystemKind::ordinary: break;
        }
    }

    // Opening.

    void open_for_writing() {
        (void)holds_log(*directory_);  // before a lock file is left in what is none
        context_ = std::make_shared<WriterContext<P>>(platform_, options_.segment_bytes,
                                                      options_.keeper && P::has_threads);
        context_->life.hold(take_lock(*directory_, platform_, options_.lock_timeout));
        make_log(*directory_, platform_);
        keeper_.emplace(context_, options_.on_event);
        sweep_topics();
        for (std::string const& name : topics()) open_existing(name);
    }

    /// What was being made or removed when a writer died. Those that are there now stay, and none
    /// comes back that is half swept.
    void sweep_topics() {
        auto directory = directory_->open_directory("topics");
        directory.sync();
        for (DirectoryEntry const& entry : directory.list()) {
            if (entry.kind == EntryKind::directory && is_unfinished_name(entry.name)) {
                remove_tree(directory, entry.name);
            }
        }
        for_each_group(*directory_, [](auto& group) { sweep_unfinished(group); });
    }

    /// One broken topic does not keep the others from being used: whoever asks for it gets the
    /// error, if it is still there.
    void open_existing(std::string const& name) {
        auto const error = detail::attempt([&] { tell_recovery(*load(name)); });
        if (!error) return;
        recovery_.notes.push_back("topic " + name + ": " + error->what());
        keeper_->tell(*error);
    }

    /// Opens a topic that exists. It is in the catalogue and in the keeper's hands, or nowhere.
    TopicPtr load(std::string const& name) {
        auto const topic = std::make_shared<TopicState<P>>(directory_, platform_, name);
        Entry entry{name, topic, closed_error(*topic, "the log was closed")};
        topics_.reserve(topics_.size() + 1);
        if (options_.read_only) {
            topic->open_for_reading(platform_, attachment_);
        } else {
            topic->open_for_writing(context_, options_.after_death);
            keeper_->add(topic->partitions());
        }
        topics_.push_back(std::move(entry));
        return topic;
    }

    void tell_recovery(TopicState<P> const& topic) {
        for (auto const& partition : topic.partitions()) {
            PartitionRecovery const& found = partition->recovery();
            if (found.ending != Ending::clean || !found.notes.empty()) {
                recovery_.partitions.push_back(found);
            }
        }
    }

    [[nodiscard]] format::TopicMeta new_meta(TopicRequest const& request) const {
        return with_options({.topic_id = random_id(platform_),
                             .partitions = request.options.partitions.value_or(1),
                             .created = platform_.now(),
                             .key_codec = request.key_codec,
                             .value_codec = request.value_codec},
                            request.options);
    }

    /// The writer may have removed the topic since, and made another of that name.
    void forget_removed(std::string_view name) {
        Entry const* const entry = find(name);
        if (!entry || entry->topic->is_there()) return;
        entry->topic->set_removed();
        std::erase_if(topics_, [&](Entry const& each) { return each.name == name; });
    }

    [[nodiscard]] Entry* find(std::string_view name) {
        for (Entry& entry : topics_) {
            if (entry.name == name) return &entry;
        }
        return nullptr;
    }

    // Ending.

    [[nodiscard]] static Error closed_error(TopicState<P> const& topic, std::string_view why) {
        ErrorDetails const details{.path = topic.path()};
        return {Errc::closed, detail::error_message(Errc::closed, why, details), details};
    }

    void refuse_writing() {
        for (Entry const& entry : topics_) {
            for (auto const& partition : entry.topic->partitions()) partition->refuse(entry.closed);
        }
    }

    void end(TopicState<P>& topic, Error const& closed) {
        if (keeper_) keeper_->remove(topic.partitions());
        topic.end_writing(closed);
        std::optional<Error> first;
        for (auto const& partition : topic.partitions()) {
            auto error = detail::attempt([&] { partition->close(closed); });
            if (error && !first) first = std::move(error);
        }
        topic.readers().notify();
        if (first) detail::raise_again(*first);
    }

    /// What cannot be made durable any more goes all the same.
    void end_writing_for_good(std::string const& name) {
        Entry const* const entry = find(name);
        if (!entry) return;
        Error const why = closed_error(*entry->topic, "the topic was removed");
        (void)detail::attempt([&] { end(*entry->topic, why); });
        entry->topic->set_removed();
        std::erase_if(topics_, [&](Entry const& each) { return each.name == name; });
    }

    void remove_positions(std::string const& topic) {
        for_each_group(*directory_, [&](auto& group) {
            if (group.remove_file(topic)) group.sync();
        });
    }

    LogOptions options_;
    P platform_;
    OwnProcess<P> process_{platform_};
    std::shared_ptr<Directory> directory_;
    std::shared_ptr<Attachment<P> const> attachment_;
    std::shared_ptr<WriterContext<P>> context_;
    std::optional<Keeper<P>> keeper_;
    Recovery recovery_;

    mutable typename P::Mutex mutex_;  // of the catalogue
    std::vector<Entry> topics_;
    bool is_closed_ = false;
};

// Outside of the class, so that whoever links annals::compiled need not compile it.

template <Platform P>
LogState<P>::LogState(std::string const& path, LogOptions options, P platform)
    : options_{std::move(options)}, platform_{std::move(platform)} {
    (void)detail::out_of_memory();  // while there is some
    require_options();
    Access const access = options_.read_only ? Access::read : Access::write;
    directory_ = std::make_shared<Directory>(platform_.open_directory(path, access));
    note_file_system();
    if (options_.read_only) {
        if (!holds_log(*directory_)) {
            detail::raise(Errc::not_found, "there is no log in this directory", {.path = path});
        }
        attachment_ = std::make_shared<Attachment<P> const>(directory_, options_.after_death);
    } else {
        open_for_writing();
    }
}

template <Platform P>
typename LogState<P>::TopicPtr LogState<P>::open_topic(std::string const& name,
                                                       TopicRequest const& request) {
    require_usable();
    require_name(name, "a topic");
    require_topic_options(request.options);
    std::lock_guard const lock{mutex_};
    require_open();
    if (options_.read_only) forget_removed(name);
    if (Entry const* const entry = find(name)) return entry->topic;
    auto topics = directory_->find_directory("topics");
    bool const exists = topics && find_exactly(*topics, name).has_value();
    if (exists) {
        if (!options_.read_only) topics->sync();  // whoever made it may have failed to
    } else {
        if (options_.read_only) {
            detail::raise(Errc::not_found, "there is no such topic",
                          {.path = path() + "/topics/" + name});
        }
        TopicState<P>::create(*directory_, platform_, name, new_meta(request));
    }
    return load(name);
}

template <Platform P>
std::vector<std::string> LogState<P>::topics() const {
    std::vector<std::string> names;
    auto const directory = directory_->find_directory("topics");
    if (!directory) return names;
    for (DirectoryEntry const& entry : directory->list()) {
        if (entry.kind != EntryKind::directory || !is_name(entry.name)) continue;
        auto place = names.end();
        while (place != names.begin() && *(place - 1) > entry.name) --place;
        names.insert(place, entry.name);
    }
    return names;
}

template <Platform P>
void LogState<P>::remove_topic(std::string const& name) {
    require_usable();
    require_name(name, "a topic");
    std::lock_guard const lock{mutex_};
    require_open();
    if (options_.read_only) {
        detail::raise(Errc::read_only, "the log was opened for reading", {.path = path()});
    }
    auto topics = directory_->open_directory("topics");
    std::string const unfinished = unfinished_name(name);
    if (find_exactly(topics, name)) {
        end_writing_for_good(name);
        remove_unfinished(topics, unfinished);
        topics.rename(name, unfinished);
    } else if (!topics.find_directory(unfinished)) {
        detail::raise(Errc::not_found, "there is no such topic",
                      {.path = topics.path() + "/" + name});
    }
    topics.sync();
    remove_positions(name);
    remove_unfinished(topics, unfinished);
}

template <Platform P>
void LogState<P>::flush() {
    require_usable();
    std::vector<TopicPtr> open;
    {
        std::lock_guard const lock{mutex_};
        require_open();
        for (Entry const& entry : topics_) open.push_back(entry.topic);
    }
    for (TopicPtr const& topic : open) {
        auto const error = detail::attempt([&] {
            for (auto const& partition : topic->partitions()) partition->flush();
        });
        bool const may_be_removed = error && error->code() == Errc::closed;
        if (error && !may_be_removed) detail::raise_again(*error);
    }
    std::lock_guard const lock{mutex_};
    require_open();  // else it was the topic that was closed
}

template <Platform P>
void LogState<P>::close() {
    require_usable();
    std::lock_guard const lock{mutex_};
    if (is_closed_) return;
    is_closed_ = true;
    std::optional<Error> first;
    keeper_.reset();
    refuse_writing();  // all, before any is synced
    for (Entry const& entry : topics_) {
        auto error = detail::attempt([&] { end(*entry.topic, entry.closed); });
        if (error && !first) first = std::move(error);
    }
    if (context_) context_->life.end();
    topics_.clear();
    if (first) detail::raise_again(*first);
}

}  // namespace annals::inline v1::storage
