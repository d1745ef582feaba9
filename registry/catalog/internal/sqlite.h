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

// Deleters of what SQLite made; nullptr is nothing to them.
namespace detail {
void close_database(sqlite3* database) noexcept;
void finalize_statement(sqlite3_stmt* statement) noexcept;
}  // namespace detail

// One prepared statement, made by Database::prepare. Parameters are bound in order; columns count
// from 0. It stays good when its Database is moved, and goes before the Database does. Every
// function that may fail throws as the head of this file says.
class Statement {
 public:
  // Forgets the last run and binds these values: integers, texts, digests, nullopt is NULL. SQLite
  // takes a copy of each. An unsigned number has 63 bits at most, else internal is thrown.
  // Parameters beyond these are NULL.
  template <typename... Args>
  Statement& bind(const Args&... args) {
    reset();
    int index = 0;
    (bind_one(++index, args), ...);
    return *this;
  }
  // The same of as many texts as there are parameters.
  Statement& bind_each(const std::vector<std::string>& values) {
    reset();
    int index = 0;
    for (const std::string& value : values) bind_one(++index, value);
    return *this;
  }
  // Goes to the next row; false: there is none any more. What the functions below give is of the
  // row of the last step() that was true.
  bool step();
  // A statement without rows, to its end; ready to be bound again afterwards.
  void run();

  std::uint64_t integer(int column) const;  // throws corrupt when negative or not an integer
  // Empty for NULL; a number as text. All bytes, those behind a NUL too.
  std::string text(int column) const;
  // nullopt for NULL.
  std::optional<std::string> optional_text(int column) const;
  std::optional<double> optional_real(int column) const;
  int columns() const;  // of a row, whether or not one is there
  // Any value in a form that differs whenever the values differ (reals as hex floats).
  std::string canonical(int column) const;

 private:
  friend class Database;
  Statement(sqlite3* database, std::string_view sql, const std::string* subject);
  void reset() noexcept;  // its bindings are NULL then
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
  // `create` demands that the file does not exist (already_exists), `existing` that it does. A
  // symbolic link is not followed. `memory` takes no path: nothing is on a disk. Waits up to 10 s
  // for other processes, here and in every statement, then throws conflict.
  Database(const std::filesystem::path& path, Open how);
  Database(Database&&) noexcept = default;
  Database& operator=(Database&&) noexcept = default;

  // `sql` is one statement, never a text from outside: values are bound. Throws corrupt when the
  // tables that it names are not there.
  Statement prepare(std::string_view sql) const;
  // Any number of statements, whose rows are dropped.
  void execute(const std::string& sql) const;
  // The first column of the first row. Throws internal when there is none, corrupt when it is no
  // number of 63 bits.
  std::uint64_t number(std::string_view sql) const;
  // PRAGMA query_only: from here on what writes throws.
  void forbid_writes() const;

 private:
  std::unique_ptr<std::string> subject_;  // heap: statements borrow it across moves
  std::unique_ptr<sqlite3, Deleter<detail::close_database>> handle_;
};

// BEGIN IMMEDIATE; rolled back unless committed. One at a time for a Database, which it borrows and
// which must not be moved meanwhile. Throws conflict when another process writes.
class Transaction {
 public:
  explicit Transaction(const Database& database);
  ~Transaction();
  Transaction(Transaction&& other) noexcept : database_(other.database_) {
    other.database_ = nullptr;
  }
  Transaction& operator=(Transaction&&) = delete;
  // Durable on return. Throws as all of this; then the destructor rolls back.
  void commit();

 private:
  const Database* database_;  // borrowed; nullptr: committed, or moved from
};

}  // namespace organ::registry
