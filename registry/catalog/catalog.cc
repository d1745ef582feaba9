// SPDX-License-Identifier: Apache-2.0
#include "registry/catalog/catalog.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/base/path_status.h"
#include "registry/catalog/internal/catalog_impl.h"
#include "registry/catalog/internal/migrations.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;
using format::Manifest;

constexpr std::uint64_t kApplicationId = 0x4F52474E;  // "ORGN"
constexpr char kSchemaQuery[] =
    "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";

void make_tables(const Database& database) {
  Transaction transaction(database);
  for (const std::string_view migration : kMigrations) database.execute(std::string(migration));
  database.execute(fmt::format("PRAGMA application_id={}", kApplicationId));
  database.execute(fmt::format("PRAGMA user_version={}", kMigrations.size()));
  transaction.commit();
}

void initialise(const Database& database) {
  make_tables(database);
  database.prepare("INSERT INTO state VALUES ('position.bytes', '0'), ('position.tree', ?)")
      .bind(MerkleTree().to_text())
      .run();
}

std::string schema_of(const Database& database) {
  std::string text;
  Statement rows = database.prepare(kSchemaQuery);
  while (rows.step()) {
    for (int i = 0; i < rows.columns(); ++i) text += rows.canonical(i) + " ";
    text += "\n";
  }
  return text;
}

// A file with other tables, triggers or views than ours is never queried further.
void check_schema(const Database& database, const std::string& subject) {
  const Database fresh({}, Database::Open::memory);
  make_tables(fresh);
  if (schema_of(database) != schema_of(fresh)) {
    throw Error(ErrorCode::corrupt, subject + ": its tables are not those of a catalog",
                kRebuildHint);
  }
}

std::string state(const Database& database, const char* key) {
  Statement row = database.prepare("SELECT value FROM state WHERE key = ?");
  if (!row.bind(key).step()) {
    throw Error(ErrorCode::corrupt, fmt::format("catalog: state '{}' is missing", key),
                kRebuildHint);
  }
  return row.text(0);
}

void set_state(const Database& database, const char* key, const std::string& value) {
  database.prepare("UPDATE state SET value = ? WHERE key = ?").bind(value, key).run();
}

std::optional<std::pair<dev_t, ino_t>> file_at(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) return std::pair(status.st_dev, status.st_ino);
  if (errno != ENOENT) fail_errno(path.string(), "stat");
  return std::nullopt;
}

std::uint64_t total_bytes(const PublishedContent& content) {
  std::uint64_t bytes = content.organ_json.size;
  for (const auto& file : content.organ.files) bytes = checked_add(bytes, file.size, "organ size");
  return bytes;
}

// A text that orders releases as SemVer's precedence does; nothing for a pre-release.
std::optional<std::string> release_order(const std::string& text) {
  const format::Version version = format::Version::parse(text);
  if (version.is_prerelease()) return std::nullopt;
  constexpr std::size_t kDigits = 20;  // of 2^64
  std::string order;
  std::string_view rest = std::string_view(text).substr(0, text.find('+'));
  while (!rest.empty()) {
    const std::string_view number = rest.substr(0, rest.find('.'));
    order.append(kDigits - number.size(), '0').append(number);
    rest.remove_prefix(std::min(rest.size(), number.size() + 1));
  }
  return order;
}

// The best figure of the organ at work: lower is better.
std::optional<double> best_nll(const Manifest& organ) {
  std::optional<double> best;
  for (const auto& evaluation : organ.evaluations) {
    if (evaluation.subject != "after_recovery" && evaluation.subject != "as_transplanted") continue;
    if (!best || evaluation.nll < *best) best = evaluation.nll;
  }
  return best;
}

}  // namespace

Catalog::Catalog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Catalog::Catalog(Catalog&&) noexcept = default;
Catalog& Catalog::operator=(Catalog&&) noexcept = default;
Catalog::~Catalog() = default;

Catalog Catalog::create(const fs::path& path) {
  auto impl = std::make_unique<Impl>(Impl{Database(path, Database::Open::create)});
  initialise(impl->database);
  impl->file = file_at(path);
  return Catalog(std::move(impl));
}

Catalog Catalog::in_memory() {
  auto impl = std::make_unique<Impl>(Impl{Database({}, Database::Open::memory)});
  initialise(impl->database);
  return Catalog(std::move(impl));
}

std::optional<Catalog> Catalog::open(const fs::path& path) {
  if (!is_taken(path)) {
    fail(ErrorCode::not_found, "{}: is missing", quote(path.string()));
  }
  const std::string subject = quote(path.string());
  auto impl = std::make_unique<Impl>(Impl{Database(path, Database::Open::existing)});
  const Database& database = impl->database;
  if (database.number("PRAGMA application_id") != kApplicationId) {
    throw Error(ErrorCode::corrupt, subject + ": not a catalog of organ", kRebuildHint);
  }
  const std::uint64_t version = database.number("PRAGMA user_version");
  if (version > kMigrations.size()) {
    throw Error(ErrorCode::unsupported_version,
                fmt::format("{}: catalog version {}, this organ knows {}", subject, version,
                            kMigrations.size()),
                "a newer organ wrote it");
  }
  if (version < kMigrations.size()) return std::nullopt;
  check_schema(database, subject);
  impl->file = file_at(path);
  return Catalog(std::move(impl));
}

bool Catalog::is_at(const fs::path& path) const {
  return impl_->file && impl_->file == file_at(path);
}

LogPosition Catalog::position() const {
  LogPosition position;
  const std::string bytes = state(impl_->database, "position.bytes");
  try {
    position.bytes = std::stoull(bytes);
  } catch (const std::exception&) {
    throw Error(ErrorCode::corrupt, "catalog: log position " + quote(bytes) + " is not a number",
                kRebuildHint);
  }
  const std::string tree = state(impl_->database, "position.tree");
  position.tree = parse_stored([&] { return MerkleTree::parse(tree, "position.tree"); });
  return position;
}

void Catalog::forbid_writes() { impl_->database.forbid_writes(); }

struct Catalog::Update::State {
  const Database& database;
  Transaction transaction;

  explicit State(const Database& db) : database(db), transaction(db) {}

  std::uint64_t version_id(const LogEntry& entry) const;
  void require_free(const LogEntry& entry) const;
  void add_version(const LogPlace& place, const LogEntry& entry,
                   const PublishedContent& content) const;
  void add_damaged(const LogPlace& place, const LogEntry& entry, const std::string& damage) const;
  void add_details(std::uint64_t id, const Manifest& organ) const;
  void add_evaluations(std::uint64_t id, const Manifest& organ) const;
  void add_signatures(std::uint64_t id, std::uint64_t index, const LogEntry& entry) const;
  void set_alias(std::uint64_t index, const LogEntry& entry) const;
  void set_reason(const char* column, const LogEntry& entry) const;
};

std::uint64_t Catalog::Update::State::version_id(const LogEntry& entry) const {
  Statement row =
      database.prepare("SELECT id, manifest_digest FROM versions WHERE name = ? AND version = ?");
  if (!row.bind(entry.name, entry.version).step()) {
    fail(ErrorCode::corrupt, "log: {} entry for {}:{}, which was never published",
         to_string(entry.kind), entry.name, entry.version);
  }
  if (entry.manifest && entry.manifest->digest.to_string() != row.text(1)) {
    fail(ErrorCode::corrupt, "log: {} entry for {}:{} names another manifest than was published",
         to_string(entry.kind), entry.name, entry.version);
  }
  return row.integer(0);
}

void Catalog::Update::State::require_free(const LogEntry& entry) const {
  Statement taken = database.prepare("SELECT id FROM versions WHERE name = ? AND version = ?");
  if (taken.bind(entry.name, entry.version).step()) {
    fail(ErrorCode::corrupt, "log: silent re-tag: {}:{} was published at entry {} already",
         entry.name, entry.version, taken.integer(0));
  }
}

void Catalog::Update::State::add_version(const LogPlace& place, const LogEntry& entry,
                                         const PublishedContent& content) const {
  const Manifest& organ = content.organ;
  std::optional<Digest> tokenizer;
  if (organ.tokenizer) tokenizer = organ.tokenizer->digest;
  std::optional<std::string> mode;
  if (organ.training) mode = organ.training->mode;
  database
      .prepare(
          "INSERT INTO versions VALUES "
          "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,NULL,NULL,?,NULL,?)")
      .bind(place.index, entry.name, entry.version, entry.manifest->digest, entry.manifest->size,
            content.organ_json.digest, content.organ_json.size, entry.time, organ.created,
            organ.description, organ.license, organ.architecture.model_type,
            organ.architecture.signature, tokenizer, organ.extraction.donor_id,
            organ.extraction.donor_revision, organ.extraction.config_digest,
            organ.extraction.first_layer, organ.extraction.layer_count,
            organ.extraction.donor_layer_count, mode, total_bytes(content), best_nll(organ),
            place.offset, release_order(entry.version))
      .run();
  database
      .prepare(
          "INSERT INTO texts (rowid, name, description, donor, license) "
          "VALUES (?,?,?,?,?)")
      .bind(place.index, entry.name, organ.description, organ.extraction.donor_id,
            organ.license.value_or(""))
      .run();
}

void Catalog::Update::State::add_damaged(const LogPlace& place, const LogEntry& entry,
                                         const std::string& damage) const {
  const Digest unknown;
  database
      .prepare(
          "INSERT INTO versions VALUES "
          "(?,?,?,?,?,?,0,?,'','',NULL,'',?,NULL,'',NULL,?,0,0,0,NULL,0,NULL,NULL,NULL,?,?,?)")
      .bind(place.index, entry.name, entry.version, entry.manifest->digest, entry.manifest->size,
            unknown, entry.time, unknown, unknown, place.offset, damage,
            release_order(entry.version))
      .run();
  database
      .prepare("INSERT INTO texts (rowid, name, description, donor, license) VALUES (?,?,'','','')")
      .bind(place.index, entry.name)
      .run();
}

void Catalog::Update::State::add_details(std::uint64_t id, const Manifest& organ) const {
  Statement file = database.prepare("INSERT INTO files VALUES (?,?,?,?,?)");
  Statement tensor = database.prepare("INSERT INTO tensors VALUES (?,?,?,?,?)");
  for (const auto& entry : organ.files) {
    file.bind(id, entry.path, to_string(entry.role), entry.size, entry.digest).run();
    for (const auto& info : entry.tensors) {
      tensor
          .bind(id, entry.path, info.name, format::to_string(info.dtype),
                format::to_string(info.shape))
          .run();
    }
  }
  Statement field = database.prepare("INSERT INTO architecture_fields VALUES (?,?,?)");
  const Json fields = json_of(organ.architecture.layer);
  for (const auto& [key, value] : fields.items()) {
    field.bind(id, key, canonical_json(value)).run();
  }
  Statement layer = database.prepare("INSERT INTO lineage VALUES (?,?,?)");
  for (std::uint64_t i = 0; i < organ.extraction.layer_digests.size(); ++i) {
    layer.bind(id, organ.extraction.first_layer + i, organ.extraction.layer_digests[i]).run();
  }
  add_evaluations(id, organ);
}

void Catalog::Update::State::add_evaluations(std::uint64_t id, const Manifest& organ) const {
  Statement insert =
      database.prepare("INSERT INTO evaluations VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  for (std::uint64_t i = 0; i < organ.evaluations.size(); ++i) {
    const format::Evaluation& e = organ.evaluations[i];
    insert
        .bind(id, i, e.subject, e.position, e.protocol, e.context, e.stride, e.tokens, e.nll,
              e.perplexity, e.bits_per_byte, e.dataset, e.dataset_digest, e.tokenizer_digest)
        .run();
  }
}

void Catalog::Update::State::add_signatures(std::uint64_t id, std::uint64_t index,
                                            const LogEntry& entry) const {
  Statement insert = database.prepare("INSERT OR IGNORE INTO signatures VALUES (?,?,?,?,?)");
  const std::uint64_t attests = entry.kind == LogKind::attestation ? 1 : 0;
  for (const BlobRef& blob : entry.signatures) {
    insert.bind(id, blob.digest, blob.size, index, attests).run();
  }
}

void Catalog::Update::State::set_alias(std::uint64_t index, const LogEntry& entry) const {
  if (entry.version.empty()) {
    database.prepare("DELETE FROM aliases WHERE name = ? AND alias = ?")
        .bind(entry.name, entry.alias)
        .run();
    return;
  }
  database.prepare("INSERT OR REPLACE INTO aliases VALUES (?,?,?,?)")
      .bind(entry.name, entry.alias, version_id(entry), index)
      .run();
}

void Catalog::Update::State::set_reason(const char* column, const LogEntry& entry) const {
  std::optional<std::string> reason;
  if (!entry.withdrawn) reason = entry.reason;
  database.prepare(fmt::format("UPDATE versions SET {} = ? WHERE id = ?", column))
      .bind(reason, version_id(entry))
      .run();
}

Catalog::Update::Update(Catalog& catalog)
    : state_(std::make_unique<State>(catalog.impl_->database)) {}
Catalog::Update::~Update() = default;

void Catalog::Update::add_damaged(const LogPlace& place, const LogEntry& entry,
                                  const std::string& damage) {
  state_->require_free(entry);
  state_->add_damaged(place, entry, damage);
  state_->add_signatures(place.index, place.index, entry);
}

void Catalog::Update::add(const LogPlace& place, const LogEntry& entry,
                          const PublishedContent* content) {
  const std::uint64_t index = place.index;
  switch (entry.kind) {
    case LogKind::publish:
      if (content == nullptr) fail(ErrorCode::internal, "a publish entry comes with its content");
      state_->require_free(entry);
      state_->add_version(place, entry, *content);
      state_->add_details(index, content->organ);
      state_->add_signatures(index, index, entry);
      break;
    case LogKind::signature:
    case LogKind::attestation:
      state_->add_signatures(state_->version_id(entry), index, entry);
      break;
    case LogKind::alias: state_->set_alias(index, entry); break;
    case LogKind::yank: state_->set_reason("yank_reason", entry); break;
    case LogKind::revoke: state_->set_reason("revoke_reason", entry); break;
    case LogKind::supersede:
    case LogKind::takedown: (void)state_->version_id(entry); break;  // LogFacts has the rest
    case LogKind::key:
    case LogKind::policy:
    case LogKind::root:
    case LogKind::key_end: break;  // LogFacts: never asked of a database
  }
}

void Catalog::Update::commit(const LogPosition& position) {
  set_state(state_->database, "position.bytes", std::to_string(position.bytes));
  set_state(state_->database, "position.tree", position.tree.to_text());
  state_->transaction.commit();
}

}  // namespace organ::registry
