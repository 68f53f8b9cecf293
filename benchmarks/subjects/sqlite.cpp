// SPDX-License-Identifier: MIT
// SQLite with a write-ahead log and prepared statements; a transaction for each record or batch.
// Producers share one connection in turn, which is faster than a connection each.
#include <sqlite3.h>

#include <mutex>
#include <stdexcept>

#include "subjects/subjects.hpp"

namespace bench {
namespace {

struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

class SqliteStore : public Store {
public:
    explicit SqliteStore(Setup const& setup) : pool_{*setup.pool} {
        std::filesystem::create_directories(setup.directory);
        auto const path = setup.directory / "log.db";
        require(sqlite3_open_v2(path.c_str(), &db_,
                                SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                                nullptr));
        execute("PRAGMA journal_mode=WAL");
        bool const is_durable = setup.durability == Durability::power;
        execute(is_durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=OFF");
        execute("CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY, key BLOB, value BLOB)");
        insert_ = prepare("INSERT INTO log (key, value) VALUES (?, ?)");
        begin_ = prepare("BEGIN IMMEDIATE");
        commit_ = prepare("COMMIT");
    }
    ~SqliteStore() override {
        for (Statement* const each : {&insert_, &begin_, &commit_}) each->reset();
        sqlite3_close(db_);
    }

    std::unique_ptr<Appender> appender(unsigned) override {
        struct Forward : Appender {
            explicit Forward(SqliteStore& store) : store_{store} {}
            void append(Stretch stretch, std::uint32_t batch) override {
                store_.append(stretch, batch);
            }
            SqliteStore& store_;
        };
        return std::make_unique<Forward>(*this);
    }

    std::uint64_t end() override {
        Statement const last = prepare("SELECT max(id) FROM log");
        if (sqlite3_step(last.get()) != SQLITE_ROW) complain();
        return static_cast<std::uint64_t>(sqlite3_column_int64(last.get(), 0));  // ids begin at 1
    }

    void scan(Sink& sink) override {
        Statement const all = prepare("SELECT key, value FROM log ORDER BY id");
        while (sqlite3_step(all.get()) == SQLITE_ROW) {
            sink.take(blob(all.get(), 0), blob(all.get(), 1));
        }
    }

private:
    void append(Stretch stretch, std::uint32_t batch) {
        std::size_t const end = stretch.begin + stretch.count;
        for (std::size_t i = stretch.begin; i < end;) {
            std::lock_guard const turn{turn_};
            if (batch > 1) run(begin_);
            for (std::size_t const stop = std::min<std::size_t>(i + batch, end); i < stop; ++i) {
                bind(1, pool_.key(i));
                bind(2, pool_.value(i));
                run(insert_);
            }
            if (batch > 1) run(commit_);
        }
    }

    void bind(int column, std::string_view bytes) {
        require(sqlite3_bind_blob(insert_.get(), column, bytes.data(),
                                  static_cast<int>(bytes.size()), SQLITE_STATIC));
    }
    void run(Statement const& statement) {
        if (sqlite3_step(statement.get()) != SQLITE_DONE) complain();
        require(sqlite3_reset(statement.get()));
    }
    [[nodiscard]] Statement prepare(char const* sql) {
        sqlite3_stmt* statement = nullptr;
        require(sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr));
        return Statement{statement};
    }
    void execute(char const* sql) { require(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr)); }

    [[nodiscard]] static std::string_view blob(sqlite3_stmt* row, int column) {
        auto const size = static_cast<std::size_t>(sqlite3_column_bytes(row, column));
        return {static_cast<char const*>(sqlite3_column_blob(row, column)), size};
    }

    void require(int code) const {
        if (code != SQLITE_OK) complain();
    }
    [[noreturn]] void complain() const {
        throw std::runtime_error{std::string{"sqlite: "} + sqlite3_errmsg(db_)};
    }

    Pool const& pool_;
    sqlite3* db_ = nullptr;
    Statement insert_;
    Statement begin_;
    Statement commit_;
    std::mutex turn_;
};

}  // namespace

std::unique_ptr<Store> open_sqlite(Setup const& setup) {
    return std::make_unique<SqliteStore>(setup);
}

}  // namespace bench
