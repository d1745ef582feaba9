// SPDX-License-Identifier: Apache-2.0
// SQLite behind three owning types. sqlite.cc is the only file that includes sqlite3.h; every
// result code becomes an Error there: damage is corrupt and names `organ registry rebuild`, a lock
// that cannot be had is conflict, the rest io or internal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "format/base/handle.h"

struct sqlite3;
struct sqlite3_stmt;

namespace organ::registry {

inline constexpr char kRebuildHint[] = "organ registry rebuild makes the catalog anew from the log";

namespace detail {
void close_database(sqlite3* database) noexcept;
void finalize_statement(sqlite3_stmt* statement) noexcept;
}  // namespace detail

// One prepared statement. Parameters are bound in order; columns count from 0.
class Statement {
 public:
  // Forgets the last run and binds these values: integers, texts, digests, nullopt is NULL.
  template <typename... Args>
  Statement& bind(const Args&... args) {
    reset();
    int index = 0;
    (bind_one(++index, args), ...);
    return *this;
  }
  Statement& bind_each(const std::vector<std::string>& values) {
    reset();
    int index = 0;
    for (const std::string& value : values) bind_one(++index, value);
    return *this;
  }
  bool step();  // true: a row is there
  void run();   // a statement without rows; ready to be bound again afterwards

  std::uint64_t integer(int column) const;  // throws corrupt when negative or not an integer
  std::string text(int column) const;
  std::optional<std::string> optional_text(int column) const;
  std::optional<double> optional_real(int column) const;
  int columns() const;
  // Any value in a form that differs whenever the values differ (reals as hex floats).
  std::string canonical(int column) const;

 private:
  friend class Database;
  Statement(sqlite3* database, std::string_view sql, const std::string* subject);
  void reset() noexcept;
  void bind_one(int index, std::int64_t value);
  void bind_one(int index, std::uint64_t value);
  void bind_one(int index, double value);
  void bind_one(int index, std::string_view value);
  void bind_one(int index, const std::string& value) { bind_one(index, std::string_view(value)); }
  void bind_one(int index, const char* value) { bind_one(index, std::string_view(value)); }
  void bind_one(int index, const Digest& value) { bind_one(index, value.to_string()); }
  void bind_one(int index, std::nullopt_t);
  template <typename T>
  void bind_one(int index, const std::optional<T>& value) {
    if (value)
      bind_one(index, *value);
    else
      bind_one(index, std::nullopt);
  }

  sqlite3* database_;  // borrowed
  std::unique_ptr<sqlite3_stmt, Deleter<detail::finalize_statement>> statement_;
  const std::string* subject_;  // borrowed from the Database
};

// One connection with settings that no crash and no hostile file gets past, each read back. Not
// thread-safe.
class Database {
 public:
  enum class Open { existing, create, memory };
  // `create` demands that the file does not exist. Waits up to 10 s for other processes.
  Database(const std::filesystem::path& path, Open how);
  Database(Database&&) noexcept = default;
  Database& operator=(Database&&) noexcept = default;

  Statement prepare(std::string_view sql) const;
  void execute(const std::string& sql) const;
  std::uint64_t number(std::string_view sql) const;  // first column of the first row
  void forbid_writes() const;                        // PRAGMA query_only

 private:
  std::unique_ptr<std::string> subject_;  // heap: statements borrow it across moves
  std::unique_ptr<sqlite3, Deleter<detail::close_database>> handle_;
};

// BEGIN IMMEDIATE; rolled back unless committed.
class Transaction {
 public:
  explicit Transaction(const Database& database);
  ~Transaction();
  Transaction(Transaction&& other) noexcept : database_(other.database_) {
    other.database_ = nullptr;
  }
  Transaction& operator=(Transaction&&) = delete;
  void commit();

 private:
  const Database* database_;
};

}  // namespace organ::registry
