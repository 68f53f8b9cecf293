// SPDX-License-Identifier: MIT
// A log: a directory of topics with one writing process and any number of reading processes.
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <annals/codec.hpp>
#include <annals/config.hpp>
#include <annals/error.hpp>
#include <annals/options.hpp>
#include <annals/storage/log_state.hpp>
#include <annals/topic.hpp>
#include <annals/types.hpp>

namespace annals::inline v1 {

/// Where a log lies: text, or anything with a native() string, as std::filesystem::path has.
class LogPath {
public:
    template <class T>
    requires std::convertible_to<T const&, std::string_view> LogPath(T const& text)
        : text_{std::string_view{text}} {}  // NOLINT: a path is what one writes

    template <class T>
    requires(!std::convertible_to<T const&, std::string_view> &&
             requires(T const& path) { std::string_view{path.native()}; }) LogPath(T const& path)
        : text_{std::string_view{path.native()}} {}  // NOLINT

    [[nodiscard]] std::string const& text() const noexcept { return text_; }

private:
    std::string text_;
};

/// A log that this process has opened. Movable; handles survive the move and may outlive the log.
/// Any threads may share one.
template <class P>
class BasicLog {
public:
    /// Opens the log in that directory, which is made if it is not there, and recovers it if its
    /// last writer died. Throws `locked` while another writer has it, `not_found` (read-only),
    /// `not_a_log`, `invalid_argument`, `unsupported_format`, `corrupt`, `permission_denied`,
    /// `no_space`, `io_error`. A topic that is damaged throws when it is opened, not here.
    explicit BasicLog(LogPath const& path, LogOptions options = {}, P platform = {})
        : state_{std::make_unique<storage::LogState<P>>(path.text(), std::move(options),
                                                        std::move(platform))} {}

    /// Closes the log and swallows what close() would throw. Inside an encoding or an event handler
    /// it only refuses what is sent from then on; the lock is free once the last handle has gone.
    ~BasicLog() = default;
    BasicLog(BasicLog&&) noexcept = default;
    BasicLog& operator=(BasicLog&&) noexcept = default;

    /// The topic of that name, made if it is not there. Throws `invalid_name`,
    /// `partition_count_mismatch`, `codec_mismatch` where it holds other types, `not_found`
    /// (read-only), `corrupt`, `closed`. As <Bytes, Bytes> any topic opens for reading.
    template <HasCodec K, HasCodec V>
    BasicTopic<K, V, P> topic(std::string_view name, TopicOptions const& options = {}) {
        auto const found =
            state().open_topic(std::string{name}, {codec_name<K>(), codec_name<V>(), options});
        format::TopicMeta const stored = found->meta();
        if (options.partitions && *options.partitions != stored.partitions) {
            detail::raise(Errc::partition_count_mismatch,
                          "the topic has " + std::to_string(stored.partitions) +
                              " partitions, not " + std::to_string(*options.partitions),
                          {.path = found->path()});
        }
        bool const same_keys = require_codec<K>(stored.key_codec, "key", found->path());
        bool const same_values = require_codec<V>(stored.value_codec, "value", found->path());
        if (found->is_writing()) found->change_meta(with_changes<K, V>, options);
        return {found, same_keys && same_values ? Access::write : Access::read};
    }

    /// The names of all topics, ascending.
    [[nodiscard]] std::vector<std::string> topics() const { return state().topics(); }

    /// Removes the topic, all its records and what groups have committed in it. Handles of it stop
    /// writing with `closed`. Throws `not_found`, `read_only`.
    void remove_topic(std::string_view name) { state().remove_topic(std::string{name}); }

    /// Returns when everything sent to the log before the call is durable. Throws `sync_failed`;
    /// `corrupt` where some of it was damaged meanwhile.
    void flush() { state().flush(); }

    /// Ends all writing, makes it durable and frees the lock, whoever still holds handles: their
    /// sends and waits throw `closed`, what they read stays. Throws as flush(); the lock is
    /// free all the same. Again: does nothing.
    void close() { state().close(); }

    /// What opening found and did, for partitions where there was anything to tell. Topics of a
    /// read-only log are opened, and so looked at, only when they are asked for.
    [[nodiscard]] Recovery const& recovery() const { return state().recovery(); }

private:
    [[nodiscard]] storage::LogState<P>& state() const noexcept {
        ANNALS_ASSERT(state_ != nullptr);  // moved from
        return *state_;
    }

    /// Whether the bytes mean what T's codec means; false: T is Bytes, which may read anything.
    template <class T>
    [[nodiscard]] static bool require_codec(std::string const& stored, std::string_view which,
                                            std::string const& path) {
        if (codec_accepts<T>(stored)) return true;
        if constexpr (std::same_as<codec_value_t<T>, Bytes>) return false;
        detail::raise(Errc::codec_mismatch,
                      "the " + std::string{which} + "s are " + stored + ", not " + codec_name<T>(),
                      {.path = path});
    }

    template <class K, class V>
    [[nodiscard]] static format::TopicMeta with_changes(format::TopicMeta meta,
                                                        TopicOptions const& options) {
        meta = storage::with_options(std::move(meta), options);
        if (codec_extends<K>(meta.key_codec)) meta.key_codec = codec_name<K>();
        if (codec_extends<V>(meta.value_codec)) meta.value_codec = codec_name<V>();
        return meta;
    }

    std::unique_ptr<storage::LogState<P>> state_;
};

}  // namespace annals::inline v1
