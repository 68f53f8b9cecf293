// SPDX-License-Identifier: MIT
// RocksDB with its write-ahead log. No compression: the records are random bytes.
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include "subjects/sequence_store.hpp"

namespace bench {
namespace {

struct RocksDb {
    static constexpr std::string_view name = "rocksdb";
    using Database = rocksdb::DB;
    using Iterator = rocksdb::Iterator;
    using ReadOptions = rocksdb::ReadOptions;
    using Slice = rocksdb::Slice;
    using Status = rocksdb::Status;
    using WriteBatch = rocksdb::WriteBatch;
    using WriteOptions = rocksdb::WriteOptions;

    [[nodiscard]] static rocksdb::Options options() {
        rocksdb::Options options;
        options.compression = rocksdb::kNoCompression;
        return options;
    }
    [[nodiscard]] static ReadOptions reading() { return {}; }
};

}  // namespace

std::unique_ptr<Store> open_rocksdb(Setup const& setup) {
    return std::make_unique<SequenceStore<RocksDb>>(setup);
}

}  // namespace bench
