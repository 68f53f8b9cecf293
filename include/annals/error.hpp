// SPDX-License-Identifier: MIT
// What can go wrong in operation: the codes, the exception that carries them, and the one function
// that throws it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <annals/config.hpp>

namespace annals::inline v1 {

/// What kind of thing went wrong. Switch on it; show people `Error::what()`.
enum class Errc : std::uint8_t {
    ok,                        ///< nothing did
    invalid_argument,          ///< an argument outside what the call takes
    invalid_name,              ///< not a name for a topic or group
    record_too_large,          ///< a record or batch beyond the log's limits
    partition_count_mismatch,  ///< the topic was created with another number of partitions
    codec_mismatch,            ///< the topic holds other types than those asked for
    decode_failed,             ///< bytes that the codec cannot make a value of
    no_value,                  ///< asked for a key, value or header that is absent
    not_found,                 ///< no such log, topic or file
    not_a_log,                 ///< the directory holds something else
    locked,                    ///< another writer has the log
    group_in_use,              ///< the group has a live consumer
    read_only,                 ///< the log was opened for reading
    closed,                    ///< the log or topic was closed
    permission_denied,         ///< the system does not allow it
    no_space,                  ///< the disk, or a quota, is full
    io_error,                  ///< the system failed otherwise
    sync_failed,               ///< bytes could not be made durable
    corrupt,                   ///< a file does not hold what was written to it
    unsupported_format,        ///< written by a newer version
    offset_out_of_range,       ///< before the partition's beginning
    log_truncated,             ///< a position beyond the end: the log lost its tail to a power loss
};

/// The code's own name, as it is spelt in the source.
[[nodiscard]] constexpr std::string_view to_string(Errc code) noexcept {
    switch (code) {
        case Errc::ok: return "ok";
        case Errc::invalid_argument: return "invalid_argument";
        case Errc::invalid_name: return "invalid_name";
        case Errc::record_too_large: return "record_too_large";
        case Errc::partition_count_mismatch: return "partition_count_mismatch";
        case Errc::codec_mismatch: return "codec_mismatch";
        case Errc::decode_failed: return "decode_failed";
        case Errc::no_value: return "no_value";
        case Errc::not_found: return "not_found";
        case Errc::not_a_log: return "not_a_log";
        case Errc::locked: return "locked";
        case Errc::group_in_use: return "group_in_use";
        case Errc::read_only: return "read_only";
        case Errc::closed: return "closed";
        case Errc::permission_denied: return "permission_denied";
        case Errc::no_space: return "no_space";
        case Errc::io_error: return "io_error";
        case Errc::sync_failed: return "sync_failed";
        case Errc::corrupt: return "corrupt";
        case Errc::unsupported_format: return "unsupported_format";
        case Errc::offset_out_of_range: return "offset_out_of_range";
        case Errc::log_truncated: return "log_truncated";
    }
    return "unknown";
}

/// The offsets [first, end) that a partition can give.
struct OffsetRange {
    std::uint64_t first = 0;
    std::uint64_t end = 0;
};

/// What is known about an error besides its code and its message; all of it optional.
struct ErrorDetails {
    std::string path{};                        ///< the file or directory at fault
    int system_code = 0;                       ///< the system's error number (errno), or 0
    std::optional<std::uint64_t> segment{};    ///< the ordinal of the damaged segment
    std::optional<std::uint64_t> place{};      ///< the byte in that file where the damage begins
    std::optional<std::uint32_t> partition{};  ///< the partition whose range was left
    std::optional<OffsetRange> valid_range{};  ///< the offsets that this partition has
};

/// Everything that Annals throws. Copies share what they carry; reading one is safe from any
/// thread.
class Error : public std::runtime_error {
public:
    Error(Errc code, std::string const& message, ErrorDetails details = {})
        : std::runtime_error{message},
          code_{code},
          details_{std::make_shared<ErrorDetails const>(std::move(details))} {}

    [[nodiscard]] Errc code() const noexcept { return code_; }
    /// The file or directory at fault; empty where there is none. Lives as long as this error or a
    /// copy of it.
    [[nodiscard]] std::string const& path() const noexcept { return details_->path; }
    /// The system's error number (errno), or 0.
    [[nodiscard]] int system_code() const noexcept { return details_->system_code; }
    [[nodiscard]] std::optional<std::uint64_t> segment() const noexcept {
        return details_->segment;
    }
    [[nodiscard]] std::optional<std::uint64_t> place() const noexcept { return details_->place; }
    [[nodiscard]] std::optional<std::uint32_t> partition() const noexcept {
        return details_->partition;
    }
    [[nodiscard]] std::optional<OffsetRange> valid_range() const noexcept {
        return details_->valid_range;
    }

private:
    Errc code_;
    std::shared_ptr<ErrorDetails const> details_;
};

namespace detail {

/// What cannot be shown on one line is shown as '?': a path may have anything in it.
inline void append_shown(std::string& message, std::string_view text) {
    for (char const c : text) message += (c >= '\0' && c < ' ') || c == '\x7F' ? '?' : c;
}

/// "corrupt: no frame begins here: data/topics/t/0/00000001.seg, place 4096 (Input/output error)"
inline std::string error_message(Errc code, std::string_view what, ErrorDetails const& details) {
    std::string message{to_string(code)};
    message.append(": ").append(what);
    if (!details.path.empty()) append_shown(message.append(": "), details.path);
    if (details.place) message.append(", place ").append(std::to_string(*details.place));
    if (details.valid_range) {
        message.append(" (valid: ").append(std::to_string(details.valid_range->first));
        message.append(" up to ").append(std::to_string(details.valid_range->end)).append(")");
    }
    if (details.system_code != 0)
        message.append(" (").append(std::strerror(details.system_code)).append(")");
    return message;
}

/// Where all errors begin. Cold and never inlined, so that the paths that go well stay small.
/// Built without exceptions it ends the program with the message.
[[noreturn, gnu::cold, gnu::noinline]] inline void raise(Errc code, std::string_view what,
                                                         ErrorDetails details = {}) {
    std::string const message = error_message(code, what, details);
#if ANNALS_HAS_EXCEPTIONS
    throw Error{code, message, std::move(details)};
#else
    std::fprintf(stderr, "annals: %s\n", message.c_str());
    std::abort();
#endif
}

/// Made when it is first asked for, and to be asked for while there is memory.
[[nodiscard]] inline Error const& out_of_memory() {
    static Error const error{Errc::io_error, "io_error: out of memory"};
    return error;
}

#if ANNALS_HAS_EXCEPTIONS
/// What is being handled, as an error of ours. Copies of an error cannot throw, new ones can.
[[nodiscard, gnu::cold, gnu::noinline]] inline Error handled_error() noexcept {
    try {
        try {
            throw;
        } catch (Error const& error) {
            return error;
        } catch (std::bad_alloc const&) {
            return out_of_memory();
        } catch (std::exception const& error) {
            return Error{Errc::io_error, error.what()};
        } catch (...) {
            return Error{Errc::io_error, "an exception of an unknown type"};
        }
    } catch (std::bad_alloc const&) {
        return out_of_memory();
    }
}
#endif

/// Runs `call` and returns what it threw, for the few places that must let nothing escape: the
/// keeper's thread and destructors. Nothing escapes, also where no memory is left.
template <class F>
[[nodiscard]] std::optional<Error> attempt(F&& call) {
#if ANNALS_HAS_EXCEPTIONS
    try {
        call();
    } catch (...) {
        return handled_error();
    }
#else
    call();
#endif
    return std::nullopt;
}

/// Throws `error` again; built without exceptions it ends the program with its message.
[[noreturn, gnu::cold, gnu::noinline]] inline void raise_again(Error const& error) {
#if ANNALS_HAS_EXCEPTIONS
    throw error;
#else
    std::fprintf(stderr, "annals: %s\n", error.what());
    std::abort();
#endif
}

}  // namespace detail
}  // namespace annals::inline v1
