// SPDX-License-Identifier: MIT
// RocksDB with its write-ahead log; key and value of a record are the value of a big-endian
// sequence number. No compression: the records are random bytes.
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <stdexcept>

#include "subjects/big_endian.hpp"
#include "subjects/subjects.hpp"

namespace bench {
namespace {

void require(rocksdb::Status const& status) {
    if (!status.ok()) throw std::runtime_error{"rocksdb: " + status.ToString()};
}

[[nodiscard]] rocksdb::Slice slice(auto const& bytes) { return {bytes.data(), bytes.size()}; }

class RocksAppender : public Appender {
public:
    RocksAppender(rocksdb::DB& db, Setup const& setup, std::atomic<std::uint64_t>& next)
        : db_{db}, pool_{*setup.pool}, next_{next} {
        options_.sync = setup.durability == Durability::power;
    }

    void append(Stretch stretch, std::uint32_t batch) override {
        std::size_t const end = stretch.begin + stretch.count;
        for (std::size_t i = stretch.begin; i < end; i += batch) {
            std::size_t const count = std::min<std::size_t>(batch, end - i);
            std::uint64_t const first = next_.fetch_add(count, std::memory_order_relaxed);
            if (count == 1) {
                BigEndianKey const key{first};
                require(db_.Put(options_, slice(key), slice(pool_.payload(i))));
                continue;
            }
            batch_.Clear();
            for (std::size_t j = 0; j < count; ++j) {
                BigEndianKey const key{first + j};
                require(batch_.Put(slice(key), slice(pool_.payload(i + j))));
            }
            require(db_.Write(options_, &batch_));
        }
    }

private:
    rocksdb::DB& db_;
    Pool const& pool_;
    std::atomic<std::uint64_t>& next_;
    rocksdb::WriteOptions options_;
    rocksdb::WriteBatch batch_;
};

class RocksStore : public Store {
public:
    explicit RocksStore(Setup const& setup) : setup_{setup} {
        rocksdb::Options options;
        options.create_if_missing = true;
        options.compression = rocksdb::kNoCompression;
        rocksdb::DB* db = nullptr;
        require(rocksdb::DB::Open(options, setup.directory.string(), &db));
        db_.reset(db);
        next_ = last();
        reading_.verify_checksums = setup.checks == Checks::on;
    }

    std::unique_ptr<Appender> appender(unsigned) override {
        return std::make_unique<RocksAppender>(*db_, setup_, next_);
    }
    std::uint64_t end() override { return last(); }

    void scan(Sink& sink) override {
        std::unique_ptr<rocksdb::Iterator> const it{db_->NewIterator(reading_)};
        for (it->SeekToFirst(); it->Valid(); it->Next()) take(*it, sink);
        require(it->status());
    }

    void seek(std::uint64_t number, Sink& sink) override {
        if (!seeker_) seeker_.reset(db_->NewIterator(reading_));
        BigEndianKey const key{number};
        seeker_->Seek(slice(key));
        if (seeker_->Valid()) take(*seeker_, sink);
        require(seeker_->status());
    }

private:
    static void take(rocksdb::Iterator const& it, Sink& sink) {
        auto const payload = it.value().ToStringView();
        sink.take(payload.substr(0, Pool::key_bytes), payload.substr(Pool::key_bytes));
    }

    [[nodiscard]] std::uint64_t last() const {
        std::unique_ptr<rocksdb::Iterator> const it{db_->NewIterator({})};
        it->SeekToLast();
        return it->Valid() ? BigEndianKey::number(it->key().ToStringView()) + 1 : 0;
    }

    Setup setup_;
    std::unique_ptr<rocksdb::DB> db_;
    std::unique_ptr<rocksdb::Iterator> seeker_;  // goes before the database
    rocksdb::ReadOptions reading_;
    std::atomic<std::uint64_t> next_{0};
};

}  // namespace

std::unique_ptr<Store> open_rocksdb(Setup const& setup) {
    return std::make_unique<RocksStore>(setup);
}

}  // namespace bench
