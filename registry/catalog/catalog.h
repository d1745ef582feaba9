// SPDX-License-Identifier: Apache-2.0
// organ/catalog.db: what the log and the blobs say, arranged for queries. A cache: never the only
// place of anything. SQLite, rollback journal, synchronous=EXTRA, numbered migrations in
// registry/catalog/sql/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "format/manifest/manifest.h"
#include "format/manifest/reference.h"
#include "registry/catalog/version_info.h"
#include "registry/log/log.h"

namespace organ::registry {

// Name and version of the database library, and what its version means for us.
std::string database_library();

// What a publish entry refers to.
struct PublishedContent {
  format::Manifest organ;
  BlobRef organ_json;
};

// What a bundle is that is attached to a version: by it somebody signed the files, or states
// something of them.
enum class Attached { signature, attestation };

// One line of index.json: a version (tag name:version) or a signature of one (no tag).
struct IndexEntry {
  BlobRef manifest;
  std::string tag;
};

// Move-only, not thread-safe; several processes may have the file open. Every function throws
// corrupt naming `organ registry rebuild` for a damaged or foreign file (names, versions, aliases
// and digests that are none included), conflict when another
// process holds it for more than 10 s.
class Catalog {
 public:
  static Catalog create(const std::filesystem::path& path);  // throws already_exists
  // Nothing for a catalog of an older organ: it is made anew, never converted. Throws not_found,
  // unsupported_version (made by a newer organ), corrupt (application id, schema that is not
  // exactly ours).
  static std::optional<Catalog> open(const std::filesystem::path& path);
  // An empty one, which lives as long as the value.
  static Catalog in_memory();
  Catalog(Catalog&&) noexcept;
  Catalog& operator=(Catalog&&) noexcept;
  ~Catalog();

  LogPosition position() const;  // how much of the log is in here
  // Whether the file at `path` is still the one that is open: a rebuild puts another one there.
  bool is_at(const std::filesystem::path& path) const;

  // Log entries go in by one transaction together with the position behind them.
  class Update {
   public:
    explicit Update(Catalog& catalog);
    ~Update();
    // `content` belongs to publish entries. Throws corrupt when an entry contradicts the earlier
    // ones (a taken version, an unknown one).
    void add(const LogPlace& place, const LogEntry& entry, const PublishedContent* content);
    // A publish entry whose objects cannot be read, and why.
    void add_damaged(const LogPlace& place, const LogEntry& entry, const std::string& damage);
    void commit(const LogPosition& position);

   private:
    struct State;
    std::unique_ptr<State> state_;
  };

  void forbid_writes();

  std::optional<VersionInfo> find(const std::string& name, const std::string& version) const;
  std::optional<VersionInfo> find(const std::string& name, const Digest& manifest) const;
  // The newest release of a name for which `wanted` is true; it is asked from the newest on.
  using Wanted = std::function<bool(const std::string& version)>;
  std::optional<VersionInfo> newest(const std::string& name, const Wanted& wanted) const;
  // The same of its pre-releases; all of them are looked at.
  std::optional<VersionInfo> newest_prerelease(const std::string& name, const Wanted& wanted) const;
  std::vector<VersionInfo> list(const VersionFilter& filter) const;
  // Each once, ascending. For hints: what is no name is left out.
  std::vector<std::string> organ_names() const;
  // The same rows one by one, until `visit` returns false. The limit of the filter is not looked
  // at.
  using Visitor = std::function<bool(VersionInfo version)>;
  void visit(const VersionFilter& filter, const Visitor& visit) const;
  // The manifests of what came with that publish entry or later: of one kind, or all.
  std::vector<BlobRef> attached(std::uint64_t log_index, std::optional<Attached> kind = {}) const;
  std::vector<IndexEntry> index_entries() const;  // in log order
  // Versions, by name and version, that list a file with this digest.
  std::vector<std::pair<std::string, std::string>> versions_with(const Digest& file) const;
  bool has_damage() const;

  // Every row of every table in a fixed order, one per line: equal text, equal content.
  std::string dump() const;

 private:
  struct Impl;
  explicit Catalog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace organ::registry
