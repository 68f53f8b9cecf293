// SPDX-License-Identifier: MIT
// What LevelDB and RocksDB, which was forked from it, have in common: key and value of a record are
// the value of a big-endian sequence number.
#pragma once

#include <atomic>
#include <stdexcept>
#include <string>
#include <string_view>

#include "subjects/big_endian.hpp"
#include "subjects/subjects.hpp"

namespace bench {

/// `Api` names the library and its types, and makes options that its documentation asks for.
template <class Api>
class SequenceStore : public Store {
public:
    explicit SequenceStore(Setup const& setup) : setup_{setup}, reading_{Api::reading()} {
        auto options = Api::options();
        options.create_if_missing = true;
        Database* database = nullptr;
        require(Database::Open(options, setup.directory.string(), &database));
        database_.reset(database);
        next_ = last();
        reading_.verify_checksums = setup.checks == Checks::on;
    }

    std::unique_ptr<Appender> appender(unsigned) override {
        return std::make_unique<SequenceAppender>(*database_, setup_, next_);
    }
    std::uint64_t end() override { return last(); }

    void scan(Sink& sink) override {
        std::unique_ptr<Iterator> const it{database_->NewIterator(reading_)};
        for (it->SeekToFirst(); it->Valid(); it->Next()) take(*it, sink);
        require(it->status());
    }

    void seek(std::uint64_t number, Sink& sink) override {
        if (!seeker_) seeker_.reset(database_->NewIterator(reading_));
        BigEndianKey const key{number};
        seeker_->Seek(slice(key));
        if (seeker_->Valid()) take(*seeker_, sink);
        require(seeker_->status());
    }

private:
    using Database = typename Api::Database;
    using Iterator = typename Api::Iterator;
    using Slice = typename Api::Slice;

    class SequenceAppender : public Appender {
    public:
        SequenceAppender(Database& database, Setup const& setup, std::atomic<std::uint64_t>& next)
            : database_{database}, pool_{*setup.pool}, next_{next} {
            options_.sync = setup.durability == Durability::power;
        }

        void append(Stretch stretch, std::uint32_t batch) override {
            std::size_t const end = stretch.begin + stretch.count;
            for (std::size_t i = stretch.begin; i < end; i += batch) {
                std::size_t const count = std::min<std::size_t>(batch, end - i);
                std::uint64_t const first = next_.fetch_add(count, std::memory_order_relaxed);
                batch_.Clear();  // also for one record: Put() would make a batch of its own
                for (std::size_t j = 0; j < count; ++j) {
                    BigEndianKey const key{first + j};
                    batch_.Put(slice(key), slice(pool_.payload(i + j)));
                }
                require(database_.Write(options_, &batch_));
            }
        }

    private:
        Database& database_;
        Pool const& pool_;
        std::atomic<std::uint64_t>& next_;
        typename Api::WriteOptions options_;
        typename Api::WriteBatch batch_;
    };

    static void require(typename Api::Status const& status) {
        if (status.ok()) return;
        throw std::runtime_error{std::string{Api::name} + ": " + status.ToString()};
    }
    [[nodiscard]] static Slice slice(auto const& bytes) { return {bytes.data(), bytes.size()}; }
    [[nodiscard]] static std::string_view text(Slice bytes) { return {bytes.data(), bytes.size()}; }

    static void take(Iterator const& it, Sink& sink) {
        auto const payload = text(it.value());
        sink.take(payload.substr(0, Pool::key_bytes), payload.substr(Pool::key_bytes));
    }

    [[nodiscard]] std::uint64_t last() const {
        std::unique_ptr<Iterator> const it{database_->NewIterator({})};
        it->SeekToLast();
        return it->Valid() ? BigEndianKey::number(text(it->key())) + 1 : 0;
    }

    Setup setup_;
    std::unique_ptr<Database> database_;
    std::unique_ptr<Iterator> seeker_;  // goes before the database
    typename Api::ReadOptions reading_;
    std::atomic<std::uint64_t> next_{0};
};

}  // namespace bench
