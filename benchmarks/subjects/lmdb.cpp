// SPDX-License-Identifier: MIT
// LMDB as fast as it goes for a log: a writable map, integer keys, MDB_APPEND, a transaction for
// each record or batch, and no sync unless the record is to survive power loss.
#include <lmdb.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "subjects/subjects.hpp"

namespace bench {
namespace {

void require(int code) {
    if (code != MDB_SUCCESS) throw std::runtime_error{std::string{"lmdb: "} + mdb_strerror(code)};
}

class Transaction {
public:
    Transaction(MDB_env* env, unsigned flags) {
        require(mdb_txn_begin(env, nullptr, flags, &transaction_));
    }
    Transaction(Transaction const&) = delete;
    Transaction& operator=(Transaction const&) = delete;
    ~Transaction() {
        if (transaction_ != nullptr) mdb_txn_abort(transaction_);
    }
    void commit() { require(mdb_txn_commit(std::exchange(transaction_, nullptr))); }
    [[nodiscard]] MDB_txn* get() const noexcept { return transaction_; }

private:
    MDB_txn* transaction_ = nullptr;
};

class Cursor {
public:
    Cursor(Transaction const& transaction, MDB_dbi table) {
        require(mdb_cursor_open(transaction.get(), table, &cursor_));
    }
    Cursor(Cursor const&) = delete;
    Cursor& operator=(Cursor const&) = delete;
    ~Cursor() { mdb_cursor_close(cursor_); }

    [[nodiscard]] bool get(MDB_val& key, MDB_val& value, MDB_cursor_op what) const {
        int const code = mdb_cursor_get(cursor_, &key, &value, what);
        if (code == MDB_NOTFOUND) return false;
        require(code);
        return true;
    }

private:
    MDB_cursor* cursor_ = nullptr;
};

class LmdbStore : public Store {
public:
    explicit LmdbStore(Setup const& setup) : pool_{*setup.pool} {
        std::filesystem::create_directories(setup.directory);
        require(mdb_env_create(&env_));
        std::uint64_t const page = 4096;
        std::uint64_t const records = setup.records * (setup.pool->payload_bytes() + 64);
        // A record of more than half a page's room has a page to itself.
        std::uint64_t const room =
            setup.pool->payload_bytes() > page / 4 ? 3 * records : 2 * records;
        require(mdb_env_set_mapsize(env_, (room / page + 65536) * page));
        unsigned flags = MDB_WRITEMAP | MDB_NORDAHEAD;
        if (setup.durability != Durability::power) flags |= MDB_NOSYNC | MDB_NOMETASYNC;
        require(mdb_env_open(env_, setup.directory.c_str(), flags, 0600));
        Transaction transaction{env_, 0};
        require(mdb_dbi_open(transaction.get(), nullptr, MDB_INTEGERKEY, &table_));
        transaction.commit();
        next_ = end();
    }
    ~LmdbStore() override { mdb_env_close(env_); }

    std::unique_ptr<Appender> appender(unsigned) override {
        struct Forward : Appender {
            explicit Forward(LmdbStore& store) : store_{store} {}
            void append(Stretch stretch, std::uint32_t batch) override {
                store_.append(stretch, batch);
            }
            LmdbStore& store_;
        };
        return std::make_unique<Forward>(*this);
    }

    std::uint64_t end() override {
        Transaction const transaction{env_, MDB_RDONLY};
        Cursor const cursor{transaction, table_};
        MDB_val key{}, value{};
        if (!cursor.get(key, value, MDB_LAST)) return 0;
        return number(key) + 1;
    }

    void scan(Sink& sink) override {
        Transaction const transaction{env_, MDB_RDONLY};
        Cursor const cursor{transaction, table_};
        MDB_val key{}, value{};
        while (cursor.get(key, value, MDB_NEXT)) take(value, sink);
    }

    void seek(std::uint64_t number, Sink& sink) override {
        Transaction const transaction{env_, MDB_RDONLY};
        MDB_val key{sizeof number, &number}, value{};
        require(mdb_get(transaction.get(), table_, &key, &value));
        take(value, sink);
    }

private:
    /// Its one writer's lock is held by the transaction, and guards next_ as well.
    void append(Stretch stretch, std::uint32_t batch) {
        std::size_t const end = stretch.begin + stretch.count;
        for (std::size_t i = stretch.begin; i < end;) {
            Transaction transaction{env_, 0};
            for (std::size_t const stop = std::min<std::size_t>(i + batch, end); i < stop; ++i) {
                auto const payload = pool_.payload(i);
                MDB_val key{sizeof next_, &next_};
                MDB_val value{payload.size(), const_cast<char*>(payload.data())};
                require(mdb_put(transaction.get(), table_, &key, &value, MDB_APPEND));
                ++next_;
            }
            transaction.commit();
        }
    }

    [[nodiscard]] static std::uint64_t number(MDB_val const& key) {
        std::uint64_t number = 0;
        std::memcpy(&number, key.mv_data, sizeof number);
        return number;
    }
    static void take(MDB_val const& value, Sink& sink) {
        std::string_view const payload{static_cast<char const*>(value.mv_data), value.mv_size};
        sink.take(payload.substr(0, Pool::key_bytes), payload.substr(Pool::key_bytes));
    }

    Pool const& pool_;
    MDB_env* env_ = nullptr;
    MDB_dbi table_ = 0;
    std::uint64_t next_ = 0;
};

}  // namespace

std::unique_ptr<Store> open_lmdb(Setup const& setup) { return std::make_unique<LmdbStore>(setup); }

}  // namespace bench
