// SPDX-License-Identifier: Apache-2.0
#include <string_view>

#include <fmt/core.h>

#include "format/base/fail.h"
#include "format/manifest/reference.h"
#include "registry/catalog/internal/catalog_impl.h"

namespace organ::registry {
namespace {

// The columns that read_version takes, in its order.
constexpr char kVersionColumns[] =
    "v.name, v.version, v.manifest_digest, v.manifest_size, v.id, v.published, v.description, "
    "v.license, v.model_type, v.architecture_signature, v.first_layer, v.layer_count, "
    "v.donor_layer_count, v.donor_id, v.bytes, v.best_nll, v.yank_reason, v.revoke_reason, "
    "(SELECT count(*) FROM signatures s WHERE s.version_id = v.id), v.log_offset, v.damage";

std::string select_versions(std::string_view rest) {
  return fmt::format("SELECT {} FROM versions v {}", kVersionColumns, rest);
}

Digest read_digest(const Statement& row, int column) {
  return parse_stored([&] { return Digest::parse(row.text(column), "digest"); });
}

std::string read_name(const Statement& row, int column) {
  std::string name = row.text(column);
  parse_stored([&] { format::check_name(name); });
  return name;
}

std::string read_version_text(const Statement& row, int column) {
  return parse_stored([&] { return format::Version::parse(row.text(column)).to_string(); });
}

std::string read_alias(const Statement& row, int column) {
  std::string alias = row.text(column);
  // The grammar of an alias is that of name@alias.
  const auto selector =
      parse_stored([&] { return format::Reference::parse("name@" + alias).selector; });
  if (!std::holds_alternative<format::Alias>(selector)) {
    throw Error(ErrorCode::corrupt, "catalog: " + quote(alias) + ": not an alias", kRebuildHint);
  }
  return alias;
}

std::vector<std::string> aliases_of(const Database& database, std::uint64_t id) {
  std::vector<std::string> aliases;
  Statement rows =
      database.prepare("SELECT alias FROM aliases WHERE version_id = ? ORDER BY alias");
  rows.bind(id);
  while (rows.step()) aliases.push_back(read_alias(rows, 0));
  return aliases;
}

VersionInfo read_version(const Database& database, const Statement& row) {
  VersionInfo info;
  info.name = read_name(row, 0);
  info.version = read_version_text(row, 1);
  info.digest = read_digest(row, 2);
  info.manifest_size = row.integer(3);
  info.log_index = row.integer(4);
  info.published = row.text(5);
  info.description = row.text(6);
  info.license = row.optional_text(7);
  info.model_type = row.text(8);
  info.architecture_signature = read_digest(row, 9);
  info.first_layer = row.integer(10);
  info.layer_count = row.integer(11);
  info.donor_layer_count = row.integer(12);
  info.donor_id = row.text(13);
  info.bytes = row.integer(14);
  info.best_nll = row.optional_real(15);
  info.yank_reason = row.optional_text(16);
  info.revoke_reason = row.optional_text(17);
  info.signature_count = row.integer(18);
  info.log_offset = row.integer(19);
  info.damage = row.optional_text(20);
  info.aliases = aliases_of(database, info.log_index);
  return info;
}

std::optional<VersionInfo> first_version(const Database& database, Statement& rows) {
  if (!rows.step()) return std::nullopt;
  return read_version(database, rows);
}

BlobRef read_blob(const Statement& row, int column) {
  return {read_digest(row, column), row.integer(column + 1)};
}

// Tables in dump order with the columns that give their rows an order. The views state.index.stale
// and the FTS5 shadow tables are not content.
struct DumpTable {
  const char* name;
  const char* query;
};
constexpr DumpTable kDump[] = {
    {"state", "SELECT * FROM state WHERE key <> 'index.stale' ORDER BY key"},
    {"versions", "SELECT * FROM versions ORDER BY id"},
    {"files", "SELECT * FROM files ORDER BY version_id, path"},
    {"tensors", "SELECT * FROM tensors ORDER BY version_id, path, name"},
    {"architecture_fields", "SELECT * FROM architecture_fields ORDER BY version_id, key"},
    {"lineage", "SELECT * FROM lineage ORDER BY version_id, layer"},
    {"evaluations", "SELECT * FROM evaluations ORDER BY version_id, number"},
    {"signatures", "SELECT * FROM signatures ORDER BY version_id, manifest_digest"},
    {"aliases", "SELECT * FROM aliases ORDER BY name, alias"},
    {"texts", "SELECT rowid, * FROM texts ORDER BY rowid"},
};

}  // namespace

std::optional<VersionInfo> Catalog::find(const std::string& name,
                                         const std::string& version) const {
  Statement rows = impl_->database.prepare(select_versions("WHERE v.name = ? AND v.version = ?"));
  return first_version(impl_->database, rows.bind(name, version));
}

std::optional<VersionInfo> Catalog::find(const std::string& name, const Digest& manifest) const {
  Statement rows =
      impl_->database.prepare(select_versions("WHERE v.name = ? AND v.manifest_digest = ?"));
  return first_version(impl_->database, rows.bind(name, manifest));
}

std::optional<VersionInfo> Catalog::find_alias(const std::string& name,
                                               const std::string& alias) const {
  Statement rows = impl_->database.prepare(
      select_versions("JOIN aliases a ON a.version_id = v.id WHERE a.name = ? AND a.alias = ?"));
  return first_version(impl_->database, rows.bind(name, alias));
}

std::vector<VersionInfo> Catalog::list(const VersionFilter& filter) const {
  std::string rest = "WHERE 1";
  std::vector<std::string> values;
  if (!filter.name.empty()) {
    rest += " AND v.name = ?";
    values.push_back(filter.name);
  }
  if (filter.architecture_signature) {
    rest += " AND v.architecture_signature = ?";
    values.push_back(filter.architecture_signature->to_string());
  }
  if (!filter.include_withdrawn) rest += " AND v.yank_reason IS NULL AND v.revoke_reason IS NULL";
  rest += filter.architecture_signature ? " ORDER BY v.best_nll IS NULL, v.best_nll, v.name, v.id"
                                        : " ORDER BY v.name, v.id";
  if (filter.limit > 0) rest += fmt::format(" LIMIT {}", filter.limit);
  Statement rows = impl_->database.prepare(select_versions(rest));
  rows.bind_each(values);
  std::vector<VersionInfo> versions;
  while (rows.step()) versions.push_back(read_version(impl_->database, rows));
  return versions;
}

std::vector<BlobRef> Catalog::signatures(std::uint64_t log_index) const {
  std::vector<BlobRef> blobs;
  Statement rows = impl_->database.prepare(
      "SELECT manifest_digest, manifest_size FROM signatures WHERE version_id = ? "
      "ORDER BY manifest_digest");
  rows.bind(log_index);
  while (rows.step()) blobs.push_back(read_blob(rows, 0));
  return blobs;
}

std::vector<IndexEntry> Catalog::index_entries() const {
  std::vector<IndexEntry> entries;
  Statement rows = impl_->database.prepare(
      "SELECT id, 0, manifest_digest, manifest_size, name, version FROM versions "
      "UNION ALL SELECT version_id, 1, manifest_digest, manifest_size, '', '' FROM signatures "
      "ORDER BY 1, 2, 3");
  while (rows.step()) {
    const bool is_version = rows.integer(1) == 0;
    entries.push_back(
        {read_blob(rows, 2),
         is_version ? read_name(rows, 4) + ":" + read_version_text(rows, 5) : std::string()});
  }
  return entries;
}

bool Catalog::has_damage() const {
  return impl_->database.number(
             "SELECT EXISTS (SELECT 1 FROM versions WHERE damage IS NOT NULL)") != 0;
}

std::string Catalog::dump() const {
  std::string text;
  for (const DumpTable& table : kDump) {
    Statement rows = impl_->database.prepare(table.query);
    while (rows.step()) {
      text += table.name;
      for (int i = 0; i < rows.columns(); ++i) text += "\t" + rows.canonical(i);
      text += "\n";
    }
  }
  return text;
}

}  // namespace organ::registry
