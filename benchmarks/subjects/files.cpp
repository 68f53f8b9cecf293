// SPDX-License-Identifier: MIT
// What people write by hand: frames made beforehand, put at the end of a file with stdio's buffer,
// which a killed process loses, or with one `write` for each record or batch.
#include <algorithm>
#include <cstdio>

#include "subjects/file.hpp"
#include "subjects/subjects.hpp"

namespace bench {
namespace {

/// Gives each batch's frames to `put(data, bytes)`.
template <class Put>
class FrameAppender : public Appender {
public:
    FrameAppender(Pool const& pool, Put put) : pool_{pool}, put_{std::move(put)} {}

    void append(Stretch stretch, std::uint32_t batch) override {
        std::size_t const end = stretch.begin + stretch.count;
        for (std::size_t i = stretch.begin; i < end; i += batch) {
            auto const frames = pool_.frames({i, std::min<std::size_t>(batch, end - i)});
            put_(frames.data(), frames.size());
        }
    }
    void finish() override { put_.finish(); }

private:
    Pool const& pool_;
    Put put_;
};

struct WriteCall {
    int descriptor;

    void operator()(char const* data, std::size_t bytes) const {
        if (::write(descriptor, data, bytes) != static_cast<ssize_t>(bytes)) throw_errno("write");
    }
    void finish() const {}
};

struct BufferedWrite {
    std::FILE* stream;

    void operator()(char const* data, std::size_t bytes) const {
        if (std::fwrite(data, 1, bytes, stream) != bytes) throw_errno("fwrite");
    }
    void finish() const {
        if (std::fflush(stream) != 0) throw_errno("fflush");
    }
};

class FileStore : public Store {
public:
    explicit FileStore(Setup const& setup)
        : pool_{*setup.pool}, file_{setup.directory / "frames", O_WRONLY | O_CREAT | O_APPEND} {}

    std::unique_ptr<Appender> appender(unsigned) override {
        return std::make_unique<FrameAppender<WriteCall>>(pool_, WriteCall{file_.descriptor()});
    }
    std::uint64_t end() override { return file_.size() / pool_.frame_bytes(); }

protected:
    Pool const& pool_;
    File file_;
};

class BufferedStore : public FileStore {
public:
    explicit BufferedStore(Setup const& setup)
        : FileStore{setup}, stream_{::fdopen(::dup(file_.descriptor()), "a")} {
        if (stream_ == nullptr) throw_errno("fdopen");
    }
    ~BufferedStore() override { (void)std::fclose(stream_); }

    std::unique_ptr<Appender> appender(unsigned) override {
        return std::make_unique<FrameAppender<BufferedWrite>>(pool_, BufferedWrite{stream_});
    }

private:
    std::FILE* stream_;
};

}  // namespace

std::unique_ptr<Store> open_write(Setup const& setup) {
    std::filesystem::create_directories(setup.directory);
    return std::make_unique<FileStore>(setup);
}

std::unique_ptr<Store> open_stdio(Setup const& setup) {
    std::filesystem::create_directories(setup.directory);
    return std::make_unique<BufferedStore>(setup);
}

}  // namespace bench
