// SPDX-License-Identifier: Apache-2.0
#include <cctype>
#include <compare>
#include <optional>
#include <string_view>
#include <tuple>

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
    "(SELECT count(*) FROM signatures s WHERE s.version_id = v.id AND s.attestation = 0), "
    "v.log_offset, v.damage";

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

VersionInfo read_version(const Statement& row) {
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
  return info;
}

// What follows FROM versions v, and the values of its parameters.
struct Query {
  std::string rest;
  std::vector<std::string> values;
};

// Each word as a phrase of its own that may go on: nothing of it is FTS5's syntax.
std::string phrases_of(std::string_view text) {
  std::string phrases;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) phrases += "\"" + word + "\"* ";
    word.clear();
  };
  for (const char c : text) {
    const bool letter = std::isalnum(static_cast<unsigned char>(c)) != 0 || (c & 0x80) != 0;
    if (letter) {
      word += c;
    } else {
      end_word();
    }
  }
  end_word();
  return phrases;
}

Query query_of(const VersionFilter& filter) {
  Query query{.rest = "WHERE 1", .values = {}};
  const auto demand = [&](const char* column, const std::string& value) {
    if (value.empty()) return;
    query.rest += fmt::format(" AND v.{} = ?", column);
    query.values.push_back(value);
  };
  demand("name", filter.name);
  demand("model_type", filter.model_type);
  demand("license", filter.license);
  demand("donor_id", filter.donor_id);
  if (const std::string phrases = phrases_of(filter.text); !phrases.empty()) {
    query.rest += " AND v.id IN (SELECT rowid FROM texts WHERE texts MATCH ?)";
    query.values.push_back(phrases);
  }
  if (!filter.include_withdrawn) {
    query.rest += " AND v.yank_reason IS NULL AND v.revoke_reason IS NULL";
  }
  return query;
}

// The rows of several queries of the same order, as if one query had given them.
class RowMerge {
 public:
  RowMerge(const Database& database, const std::vector<Query>& queries, std::string_view order) {
    for (const Query& query : queries) {
      Statement rows =
          database.prepare(select_versions(fmt::format("{} ORDER BY {}", query.rest, order)));
      rows.bind_each(query.values);
      runs_.push_back({std::move(rows), std::nullopt});
      advance(runs_.back());
    }
  }

  std::optional<VersionInfo> next() {
    Run* first = nullptr;
    for (Run& run : runs_) {
      if (run.head && (first == nullptr || key(*run.head) < key(*first->head))) first = &run;
    }
    if (first == nullptr) return std::nullopt;
    std::optional<VersionInfo> row = std::move(first->head);
    advance(*first);
    return row;
  }

 private:
  struct Run {
    Statement rows;
    std::optional<VersionInfo> head;
  };

  // Within one merge all have an evaluation or none has.
  static std::tuple<double, std::string_view, std::uint64_t> key(const VersionInfo& version) {
    return {version.best_nll.value_or(0), version.name, version.log_index};
  }

  static void advance(Run& run) {
    run.head = run.rows.step() ? std::optional(read_version(run.rows)) : std::nullopt;
  }

  std::vector<Run> runs_;
};

std::optional<VersionInfo> first_version(Statement& rows) {
  if (!rows.step()) return std::nullopt;
  return read_version(rows);
}

BlobRef read_blob(const Statement& row, int column) {
  return {read_digest(row, column), row.integer(column + 1)};
}

// Tables in dump order with the columns that give their rows an order. The FTS5 shadow tables are
// not content.
struct DumpTable {
  const char* name;
  const char* query;
};
constexpr DumpTable kDump[] = {
    {"state", "SELECT * FROM state ORDER BY key"},
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
  return first_version(rows.bind(name, version));
}

std::optional<VersionInfo> Catalog::find(const std::string& name, const Digest& manifest) const {
  Statement rows =
      impl_->database.prepare(select_versions("WHERE v.name = ? AND v.manifest_digest = ?"));
  return first_version(rows.bind(name, manifest));
}

std::optional<VersionInfo> Catalog::newest(const std::string& name, const Wanted& wanted) const {
  Statement rows = impl_->database.prepare(
      select_versions("WHERE v.name = ? AND v.release IS NOT NULL ORDER BY v.release DESC, v.id"));
  rows.bind(name);
  while (rows.step()) {
    if (wanted(read_version_text(rows, 1))) return read_version(rows);
  }
  return std::nullopt;
}

std::optional<VersionInfo> Catalog::newest_prerelease(const std::string& name,
                                                      const Wanted& wanted) const {
  Statement rows = impl_->database.prepare(
      select_versions("WHERE v.name = ? AND v.release IS NULL ORDER BY v.id"));
  rows.bind(name);
  std::optional<VersionInfo> newest;
  std::optional<format::Version> highest;
  while (rows.step()) {
    const std::string text = read_version_text(rows, 1);
    if (!wanted(text)) continue;
    const auto version = format::Version::parse(text);
    if (highest && std::is_lteq(version.precedence(*highest))) continue;
    highest = version;
    newest = read_version(rows);
  }
  return newest;
}

void Catalog::visit(const VersionFilter& filter, const Visitor& visit) const {
  const Database& database = impl_->database;
  const Query query = query_of(filter);
  if (filter.architecture_signatures.empty()) {
    RowMerge rows(database, {query}, "v.name, v.id");
    while (auto version = rows.next()) {
      if (!visit(*std::move(version))) return;
    }
    return;
  }
  // Each along the index versions_by_fit: the first rows need not wait for all.
  for (const bool measured : {true, false}) {
    std::vector<Query> parts;
    for (const Digest& signature : filter.architecture_signatures) {
      Query part = query;
      part.rest += " AND v.architecture_signature = ? AND v.best_nll IS ";
      part.rest += measured ? "NOT NULL" : "NULL";
      part.values.push_back(signature.to_string());
      parts.push_back(std::move(part));
    }
    RowMerge rows(database, parts, measured ? "v.best_nll, v.name, v.id" : "v.name, v.id");
    while (auto version = rows.next()) {
      if (!visit(*std::move(version))) return;
    }
  }
}

std::vector<VersionInfo> Catalog::list(const VersionFilter& filter) const {
  std::vector<VersionInfo> versions;
  visit(filter, [&](VersionInfo version) {
    versions.push_back(std::move(version));
    return filter.limit == 0 || versions.size() < filter.limit;
  });
  return versions;
}

std::vector<BlobRef> Catalog::attached(std::uint64_t log_index,
                                       std::optional<Attached> kind) const {
  std::vector<BlobRef> blobs;
  Statement rows = impl_->database.prepare(
      "SELECT manifest_digest, manifest_size, attestation FROM signatures WHERE version_id = ? "
      "ORDER BY manifest_digest");
  rows.bind(log_index);
  while (rows.step()) {
    const Attached is = rows.integer(2) == 0 ? Attached::signature : Attached::attestation;
    if (!kind || *kind == is) blobs.push_back(read_blob(rows, 0));
  }
  return blobs;
}

std::vector<IndexEntry> Catalog::index_entries() const {
  std::vector<IndexEntry> entries;
  Statement rows = impl_->database.prepare(
      "SELECT id, 0, manifest_digest, manifest_size, name, version FROM versions "
      "UNION ALL SELECT log_index, 1, manifest_digest, manifest_size, '', '' FROM signatures "
      "ORDER BY 1, 2, 3");
  while (rows.step()) {
    const bool is_version = rows.integer(1) == 0;
    entries.push_back(
        {read_blob(rows, 2),
         is_version ? read_name(rows, 4) + ":" + read_version_text(rows, 5) : std::string()});
  }
  return entries;
}

std::vector<std::string> Catalog::organ_names() const {
  Statement rows = impl_->database.prepare("SELECT DISTINCT name FROM versions ORDER BY name");
  std::vector<std::string> names;
  while (rows.step()) {
    try {
      names.push_back(read_name(rows, 0));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt) throw;  // verify and fsck tell of such a row
    }
  }
  return names;
}

std::vector<std::pair<std::string, std::string>> Catalog::versions_with(const Digest& file) const {
  Statement rows = impl_->database.prepare(
      "SELECT DISTINCT v.name, v.version FROM files f JOIN versions v ON v.id = f.version_id "
      "WHERE f.digest = ? ORDER BY v.name, v.version");
  rows.bind(file);
  std::vector<std::pair<std::string, std::string>> versions;
  while (rows.step()) versions.emplace_back(read_name(rows, 0), read_version_text(rows, 1));
  return versions;
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
