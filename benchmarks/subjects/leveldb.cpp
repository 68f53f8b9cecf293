// SPDX-License-Identifier: MIT
// LevelDB. No compression: the records are random bytes.
#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include "subjects/sequence_store.hpp"

namespace bench {
namespace {

struct LevelDb {
    static constexpr std::string_view name = "leveldb";
    using Database = leveldb::DB;
    using Iterator = leveldb::Iterator;
    using ReadOptions = leveldb::ReadOptions;
    using Slice = leveldb::Slice;
    using Status = leveldb::Status;
    using WriteBatch = leveldb::WriteBatch;
    using WriteOptions = leveldb::WriteOptions;

    [[nodiscard]] static leveldb::Options options() {
        leveldb::Options options;
        options.compression = leveldb::kNoCompression;
        return options;
    }
    [[nodiscard]] static ReadOptions reading() {
        ReadOptions reading;
        reading.fill_cache = false;  // as its documentation asks for large scans
        return reading;
    }
};

}  // namespace

std::unique_ptr<Store> open_leveldb(Setup const& setup) {
    return std::make_unique<SequenceStore<LevelDb>>(setup);
}

}  // namespace bench
