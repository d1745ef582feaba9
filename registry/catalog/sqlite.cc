// SPDX-License-Identifier: Apache-2.0
#include "registry/catalog/internal/sqlite.h"

#include <sqlite3.h>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/base/path_status.h"
#include "registry/catalog/catalog.h"

namespace organ::registry {

namespace detail {
void close_database(sqlite3* database) noexcept { sqlite3_close_v2(database); }
void finalize_statement(sqlite3_stmt* statement) noexcept { sqlite3_finalize(statement); }
}  // namespace detail

namespace {

constexpr int kBusyMilliseconds = 10'000;
constexpr int kLengthLimit = 16 << 20;  // bytes of one row or text

ErrorCode code_of(int result) {
  switch (result & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG: return ErrorCode::corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ErrorCode::conflict;
    case SQLITE_MISUSE:
    case SQLITE_RANGE: return ErrorCode::internal;
    case SQLITE_ERROR:  // also what a table of another shape gives: the file is not our catalog
      return ErrorCode::corrupt;
    default: return ErrorCode::io;
  }
}

[[noreturn]] void fail_sqlite(sqlite3* database, int result, const std::string& subject) {
  const char* text = database != nullptr ? sqlite3_errmsg(database) : sqlite3_errstr(result);
  const ErrorCode code = code_of(result);
  throw Error(code,
              fmt::format("{}: {} (SQLite result {})", quote(subject), escape_text(text),
                          database != nullptr ? sqlite3_extended_errcode(database) : result),
              code == ErrorCode::corrupt ? kRebuildHint : "");
}

void configure(sqlite3* handle, const std::string& subject) {
  const auto set = [&](int option, int value) {
    int now = -1;
    const int result = sqlite3_db_config(handle, option, value, &now);
    if (result != SQLITE_OK) fail_sqlite(handle, result, subject);
    check(now == value, "a SQLite setting did not take effect");
  };
  set(SQLITE_DBCONFIG_DEFENSIVE, 1);
  set(SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0);
  set(SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0);
  set(SQLITE_DBCONFIG_ENABLE_TRIGGER, 0);
  set(SQLITE_DBCONFIG_ENABLE_VIEW, 0);
  sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, kLengthLimit);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kBusyMilliseconds);
}

struct Setting {
  const char* name;
  const char* value;
  const char* read_back;
};

// sqlite.org/security.html and sqlite.org/pragma.html say why. No WAL: SQLite up to 3.51.2 carries
// the WAL-reset race.
constexpr Setting kSettings[] = {
    {"synchronous", "EXTRA", "3"},  {"foreign_keys", "ON", "1"}, {"trusted_schema", "OFF", "0"},
    {"cell_size_check", "ON", "1"}, {"mmap_size", "0", "0"},
};

int open_flags(Database::Open how) {
  const int common = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  switch (how) {
    case Database::Open::existing: return common | SQLITE_OPEN_NOFOLLOW;
    case Database::Open::create: return common | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW;
    case Database::Open::memory: return common | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY;
  }
  return common;
}

}  // namespace

Statement::Statement(sqlite3* database, std::string_view sql, const std::string* subject)
    : database_(database), subject_(subject) {
  sqlite3_stmt* statement = nullptr;
  const int result =
      sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  statement_.reset(statement);
  if (result != SQLITE_OK) fail_sqlite(database, result, *subject);
}

void Statement::reset() noexcept {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

bool Statement::step() {
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  fail_sqlite(database_, result, *subject_);
}

void Statement::run() {
  check(!step(), "a statement without rows gave one");
  reset();
}

void Statement::bind_one(int index, std::int64_t value) {
  const int result = sqlite3_bind_int64(statement_.get(), index, value);
  if (result != SQLITE_OK) fail_sqlite(database_, result, *subject_);
}

void Statement::bind_one(int index, std::uint64_t value) {
  check(value <= static_cast<std::uint64_t>(INT64_MAX), "a catalog number is beyond 63 bits");
  bind_one(index, static_cast<std::int64_t>(value));
}

void Statement::bind_one(int index, double value) {
  const int result = sqlite3_bind_double(statement_.get(), index, value);
  if (result != SQLITE_OK) fail_sqlite(database_, result, *subject_);
}

void Statement::bind_one(int index, std::string_view value) {
  const int result = sqlite3_bind_text64(statement_.get(), index, value.data(), value.size(),
                                         SQLITE_TRANSIENT, SQLITE_UTF8);
  if (result != SQLITE_OK) fail_sqlite(database_, result, *subject_);
}

void Statement::bind_one(int index, std::nullopt_t) {
  const int result = sqlite3_bind_null(statement_.get(), index);
  if (result != SQLITE_OK) fail_sqlite(database_, result, *subject_);
}

std::uint64_t Statement::integer(int column) const {
  const bool is_integer = sqlite3_column_type(statement_.get(), column) == SQLITE_INTEGER;
  const std::int64_t value = sqlite3_column_int64(statement_.get(), column);
  if (!is_integer || value < 0) {
    throw Error(ErrorCode::corrupt,
                fmt::format("{}: column {}: expected a number of 63 bits", quote(*subject_),
                            sqlite3_column_name(statement_.get(), column)),
                kRebuildHint);
  }
  return static_cast<std::uint64_t>(value);
}

std::string Statement::text(int column) const {
  const auto* bytes = sqlite3_column_text(statement_.get(), column);
  if (bytes == nullptr) return {};
  return {reinterpret_cast<const char*>(bytes),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

std::optional<std::string> Statement::optional_text(int column) const {
  if (sqlite3_column_type(statement_.get(), column) == SQLITE_NULL) return std::nullopt;
  return text(column);
}

std::optional<double> Statement::optional_real(int column) const {
  if (sqlite3_column_type(statement_.get(), column) == SQLITE_NULL) return std::nullopt;
  return sqlite3_column_double(statement_.get(), column);
}

int Statement::columns() const { return sqlite3_column_count(statement_.get()); }

std::string Statement::canonical(int column) const {
  switch (sqlite3_column_type(statement_.get(), column)) {
    case SQLITE_NULL: return "null";
    case SQLITE_INTEGER: return std::to_string(sqlite3_column_int64(statement_.get(), column));
    case SQLITE_FLOAT: return real_to_hex(sqlite3_column_double(statement_.get(), column));
    default: return canonical_json(Json(text(column)));
  }
}

Database::Database(const std::filesystem::path& path, Open how)
    : subject_(std::make_unique<std::string>(how == Open::memory ? "catalog in memory"
                                                                 : path.string())) {
  if (how == Open::create && is_taken(path)) {
    fail(ErrorCode::already_exists, "{}: the file exists", quote(*subject_));
  }
  sqlite3* handle = nullptr;
  const char* name = how == Open::memory ? ":memory:" : path.c_str();
  const int result = sqlite3_open_v2(name, &handle, open_flags(how), nullptr);
  handle_.reset(handle);
  if (result != SQLITE_OK) fail_sqlite(handle, result, *subject_);
  configure(handle, *subject_);
  for (const Setting& setting : kSettings) {
    execute(fmt::format("PRAGMA {}={}", setting.name, setting.value));
    Statement read = prepare(fmt::format("PRAGMA {}", setting.name));
    // mmap_size has no row where the build has no memory mapping.
    const bool same = !read.step() || read.text(0) == setting.read_back;
    check(same || how == Open::memory, "a SQLite pragma did not take effect");
  }
  if (how == Open::memory) return;
  Statement journal = prepare("PRAGMA journal_mode=DELETE");
  if (!journal.step() || journal.text(0) != "delete") {
    throw Error(ErrorCode::corrupt,
                fmt::format("{}: journal mode is not 'delete'", quote(*subject_)), kRebuildHint);
  }
}

Statement Database::prepare(std::string_view sql) const {
  return {handle_.get(), sql, subject_.get()};
}

void Database::execute(const std::string& sql) const {
  const int result = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) fail_sqlite(handle_.get(), result, *subject_);
}

std::uint64_t Database::number(std::string_view sql) const {
  Statement statement = prepare(sql);
  check(statement.step(), "a query for one number gave no row");
  return statement.integer(0);
}

void Database::forbid_writes() const { execute("PRAGMA query_only=ON"); }

Transaction::Transaction(const Database& database) : database_(&database) {
  database.execute("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  if (database_ == nullptr) return;
  try {
    database_->execute("ROLLBACK");
  } catch (const Error&) {
    // SQLite has rolled back by itself (disk full, I/O error): nothing is left to undo.
  }
}

void Transaction::commit() {
  database_->execute("COMMIT");
  database_ = nullptr;
}

std::string database_library() {
  return fmt::format("SQLite {} (rollback journal, synchronous EXTRA; no WAL)",
                     sqlite3_libversion());
}

}  // namespace organ::registry
