// SPDX-License-Identifier: MIT
// LevelDB; key and value of a record are the value of a big-endian sequence number. No compression:
// the records are random bytes.
#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include <atomic>
#include <stdexcept>

#include "subjects/big_endian.hpp"
#include "subjects/subjects.hpp"

namespace bench {
namespace {

void require(leveldb::Status const& status) {
    if (!status.ok()) throw std::runtime_error{"leveldb: " + status.ToString()};
}

[[nodiscard]] leveldb::Slice slice(auto const& bytes) { return {bytes.data(), bytes.size()}; }

[[nodiscard]] std::string_view text(leveldb::Slice bytes) { return {bytes.data(), bytes.size()}; }

class LevelAppender : public Appender {
public:
    LevelAppender(leveldb::DB& db, Setup const& setup, std::atomic<std::uint64_t>& next)
        : db_{db}, pool_{*setup.pool}, next_{next} {
        options_.sync = setup.durability == Durability::power;
    }

    void append(Stretch stretch, std::uint32_t batch) override {
        std::size_t const end = stretch.begin + stretch.count;
        for (std::size_t i = stretch.begin; i < end; i += batch) {
            std::size_t const count = std::min<std::size_t>(batch, end - i);
            std::uint64_t const first = next_.fetch_add(count, std::memory_order_relaxed);
            batch_.Clear();  // Put() would make a batch of its own
            for (std::size_t j = 0; j < count; ++j) {
                BigEndianKey const key{first + j};
                batch_.Put(slice(key), slice(pool_.payload(i + j)));
            }
            require(db_.Write(options_, &batch_));
        }
    }

private:
    leveldb::DB& db_;
    Pool const& pool_;
    std::atomic<std::uint64_t>& next_;
    leveldb::WriteOptions options_;
    leveldb::WriteBatch batch_;
};

class LevelStore : public Store {
public:
    explicit LevelStore(Setup const& setup) : setup_{setup} {
        leveldb::Options options;
        options.create_if_missing = true;
        options.compression = leveldb::kNoCompression;
        leveldb::DB* db = nullptr;
        require(leveldb::DB::Open(options, setup.directory.string(), &db));
        db_.reset(db);
        next_ = last();
        reading_.verify_checksums = setup.checks == Checks::on;
        reading_.fill_cache = false;  // as its documentation asks for large scans
    }

    std::unique_ptr<Appender> appender(unsigned) override {
        return std::make_unique<LevelAppender>(*db_, setup_, next_);
    }
    std::uint64_t end() override { return last(); }

    void scan(Sink& sink) override {
        std::unique_ptr<leveldb::Iterator> const it{db_->NewIterator(reading_)};
        for (it->SeekToFirst(); it->Valid(); it->Next()) {
            auto const payload = text(it->value());
            sink.take(payload.substr(0, Pool::key_bytes), payload.substr(Pool::key_bytes));
        }
        require(it->status());
    }

private:
    [[nodiscard]] std::uint64_t last() const {
        std::unique_ptr<leveldb::Iterator> const it{db_->NewIterator({})};
        it->SeekToLast();
        return it->Valid() ? BigEndianKey::number(text(it->key())) + 1 : 0;
    }

    Setup setup_;
    std::unique_ptr<leveldb::DB> db_;
    leveldb::ReadOptions reading_;
    std::atomic<std::uint64_t> next_{0};
};

}  // namespace

std::unique_ptr<Store> open_leveldb(Setup const& setup) {
    return std::make_unique<LevelStore>(setup);
}

}  // namespace bench
