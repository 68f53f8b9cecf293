// SPDX-License-Identifier: MIT
// The least that any append or replay pays on this machine: plain copies of the same frames into a
// mapped file, a loop of pwrite and fdatasync, and reading the same bytes.
#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include <annals/detail/hash.hpp>

#include "subjects/file.hpp"
#include "subjects/subjects.hpp"

namespace bench {
namespace {

constexpr std::size_t read_bytes = std::size_t{1} << 20;

class Mapping {
public:
    Mapping(File const& file, std::uint64_t bytes, int protection) : bytes_{bytes} {
        void* const at = ::mmap(nullptr, bytes, protection, MAP_SHARED, file.descriptor(), 0);
        if (at == MAP_FAILED) throw_errno("mmap");
        data_ = static_cast<char*>(at);
    }
    Mapping(Mapping const&) = delete;
    Mapping& operator=(Mapping const&) = delete;
    ~Mapping() { ::munmap(data_, bytes_); }

    [[nodiscard]] char* data() const noexcept { return data_; }
    [[nodiscard]] std::uint64_t size() const noexcept { return bytes_; }

    /// Makes every page present and writable.
    void populate() const {
        if (populate(0, bytes_)) return;
        for (std::uint64_t at = 0; at < bytes_; at += 4096) {
            const_cast<char volatile*>(data_)[at] = 0;
        }
    }
    /// False: this kernel cannot.
    bool populate(std::uint64_t begin, std::uint64_t bytes) const {
        constexpr int populate_write = 23;  // MADV_POPULATE_WRITE, where the headers are older
        return ::madvise(data_ + begin, bytes, populate_write) == 0;
    }

private:
    char* data_ = nullptr;
    std::uint64_t bytes_;
};

/// Copies with lengths that the compiler knows, where it can: a ceiling must not pay for calls.
template <std::size_t bytes>
void copy_frames(char* to, char const* from, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) std::memcpy(to + i * bytes, from + i * bytes, bytes);
}

void copy_frames(char* to, char const* from, std::size_t count, std::size_t bytes) {
    switch (bytes) {
        case 64: return copy_frames<64>(to, from, count);
        case 144: return copy_frames<144>(to, from, count);
        case 1064: return copy_frames<1064>(to, from, count);
        default:
            for (std::size_t i = 0; i < count; ++i) {
                std::memcpy(to + i * bytes, from + i * bytes, bytes);
            }
    }
}

/// Each producer has a stretch of the file to itself.
class CopyAppender : public Appender {
public:
    CopyAppender(Pool const& pool, char* at, std::atomic<std::uint64_t>& count) noexcept
        : pool_{pool}, at_{at}, count_{count} {}
    ~CopyAppender() override { count_ += appended_; }

    void append(Stretch stretch, std::uint32_t) override {
        auto const frames = pool_.frames(stretch);
        copy_frames(at_, frames.data(), stretch.count, pool_.frame_bytes());
        at_ += frames.size();
        appended_ += stretch.count;
    }

private:
    Pool const& pool_;
    char* at_;
    std::uint64_t appended_ = 0;
    std::atomic<std::uint64_t>& count_;
};

/// A thread that goes through a mapping from front to back and makes its pages present.
class Supplier {
public:
    explicit Supplier(Mapping const& mapping) : thread_{[this, &mapping] { supply(mapping); }} {}
    ~Supplier() {
        is_stopping_ = true;
        thread_.join();
    }

private:
    static constexpr std::uint64_t step = std::uint64_t{256} << 10;

    void supply(Mapping const& mapping) const {
        for (std::uint64_t at = 0; at < mapping.size() && !is_stopping_; at += step) {
            if (!mapping.populate(at, std::min(step, mapping.size() - at))) return;
        }
    }

    std::atomic<bool> is_stopping_{false};
    std::thread thread_;
};

class CopyStore : public Store {
public:
    explicit CopyStore(Setup const& setup)
        : setup_{setup},
          file_{setup.directory / "frames", O_RDWR | O_CREAT},
          mapping_{file_, allocated(), PROT_READ | PROT_WRITE} {
        if (setup.pages == Pages::populated) mapping_.populate();
    }

    /// With the first of them the clock starts.
    std::unique_ptr<Appender> appender(unsigned producer) override {
        if (setup_.pages == Pages::supplied && !supplier_) supplier_.emplace(mapping_);
        std::uint64_t const share = setup_.records / setup_.producers;
        char* const at = mapping_.data() + producer * share * setup_.pool->frame_bytes();
        return std::make_unique<CopyAppender>(*setup_.pool, at, count_);
    }

    std::uint64_t end() override { return count_; }

private:
    [[nodiscard]] std::uint64_t allocated() const {
        std::uint64_t const bytes = setup_.records * setup_.pool->frame_bytes();
        int const error = ::posix_fallocate(file_.descriptor(), 0, static_cast<off_t>(bytes));
        if (error != 0) throw std::system_error{error, std::generic_category(), "fallocate"};
        return bytes;
    }

    Setup setup_;
    File file_;
    Mapping mapping_;
    std::optional<Supplier> supplier_;
    std::atomic<std::uint64_t> count_{0};
};

/// One pwrite and one fdatasync for each batch, into blocks that were written before.
class SyncStore : public Store, public Appender {
public:
    explicit SyncStore(Setup const& setup)
        : pool_{*setup.pool}, file_{setup.directory / "frames", O_RDWR | O_CREAT} {
        std::vector<char> const zeros(read_bytes);
        std::uint64_t const bytes = setup.records * pool_.frame_bytes();
        for (std::uint64_t at = 0; at < bytes; at += zeros.size()) put(zeros.data(), zeros.size());
        place_ = 0;
        sync();
        // Left in the cache, the large folios of these writes would be written whole at each sync.
        (void)::posix_fadvise(file_.descriptor(), 0, 0, POSIX_FADV_DONTNEED);
    }

    std::unique_ptr<Appender> appender(unsigned) override {
        struct Forward : Appender {
            explicit Forward(SyncStore& store) : store_{store} {}
            void append(Stretch stretch, std::uint32_t batch) override {
                store_.append(stretch, batch);
            }
            SyncStore& store_;
        };
        return std::make_unique<Forward>(*this);
    }

    void append(Stretch stretch, std::uint32_t batch) override {
        std::size_t const end = stretch.begin + stretch.count;
        for (std::size_t i = stretch.begin; i < end; i += batch) {
            auto const frames = pool_.frames({i, std::min<std::size_t>(batch, end - i)});
            put(frames.data(), frames.size());
            sync();
        }
    }

    std::uint64_t end() override { return place_ / pool_.frame_bytes(); }

private:
    void put(char const* data, std::size_t bytes) {
        auto const written = ::pwrite(file_.descriptor(), data, bytes, static_cast<off_t>(place_));
        if (written != static_cast<ssize_t>(bytes)) throw_errno("pwrite");
        place_ += bytes;
    }
    void sync() const {
        if (::fdatasync(file_.descriptor()) != 0) throw_errno("fdatasync");
    }

    Pool const& pool_;
    File file_;
    std::uint64_t place_ = 0;
};

/// Reads what a CopyStore has left, through a mapping made afresh or in calls.
class ReadStore : public Store {
public:
    explicit ReadStore(Setup const& setup)
        : setup_{setup}, pool_{*setup.pool}, file_{setup.directory / "frames", O_RDONLY} {}

    std::unique_ptr<Appender> appender(unsigned) override { return nullptr; }

    std::uint64_t end() override { return file_.size() / pool_.frame_bytes(); }

    void scan(Sink& sink) override {
        if (setup_.reading == Reading::in_calls) return read_all(sink);
        Mapping const mapping{file_, file_.size(), PROT_READ};
        bool const is_whole = sink.touch() == Touch::all && setup_.reading == Reading::mapping;
        is_whole ? take_all(mapping, sink) : take_singly(mapping, sink);
    }

private:
    /// In pieces of whole frames, so that the first record is there before the last.
    void take_all(Mapping const& mapping, Sink& sink) const {
        std::uint64_t const piece = 64 * pool_.frame_bytes();
        for (std::uint64_t at = 0; at < mapping.size(); at += piece) {
            std::uint64_t const bytes = std::min(piece, mapping.size() - at);
            sink.take_frames({mapping.data() + at, bytes}, bytes / pool_.frame_bytes());
        }
    }

    /// With the check that Annals makes, the one thing that no reader of single frames can do
    /// without. What it must be nobody knows here, so it is only kept.
    void take_singly(Mapping const& mapping, Sink& sink) {
        std::size_t const frame = pool_.frame_bytes();
        for (std::uint64_t at = 0; at < mapping.size(); at += frame) {
            char const* const bytes = mapping.data() + at;
            if (setup_.checks == Checks::on) {
                auto const* const checked = reinterpret_cast<std::byte const*>(bytes) + 8;
                check_ ^= annals::detail::hash(checked, frame - 8, at);
            }
            char const* const key = bytes + Pool::header_bytes;
            sink.take({key, Pool::key_bytes}, {key + Pool::key_bytes, pool_.value_bytes()});
        }
    }

    void read_all(Sink& sink) const {
        std::vector<char> buffer(read_bytes / pool_.frame_bytes() * pool_.frame_bytes());
        for (std::uint64_t at = 0;;) {
            auto const got =
                ::pread(file_.descriptor(), buffer.data(), buffer.size(), static_cast<off_t>(at));
            if (got < 0) throw_errno("pread");
            if (got == 0) return;
            auto const bytes = static_cast<std::size_t>(got);
            sink.take_frames({buffer.data(), bytes}, bytes / pool_.frame_bytes());
            at += bytes;
        }
    }

    Setup setup_;
    Pool const& pool_;
    File file_;
    std::uint64_t check_ = 0;
};

}  // namespace

std::unique_ptr<Store> open_ceiling(Setup const& setup) {
    if (setup.access == Access::read) return std::make_unique<ReadStore>(setup);
    std::filesystem::create_directories(setup.directory);
    if (setup.durability == Durability::power) return std::make_unique<SyncStore>(setup);
    return std::make_unique<CopyStore>(setup);
}

std::unique_ptr<Store> open_supplied(Setup const& setup) {
    Setup supplied = setup;
    supplied.pages = Pages::supplied;
    return open_ceiling(supplied);
}

std::unique_ptr<Store> open_singly(Setup const& setup) {
    Setup singly = setup;
    singly.reading = Reading::singly;
    return open_ceiling(singly);
}

}  // namespace bench
