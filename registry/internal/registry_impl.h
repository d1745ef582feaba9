// SPDX-License-Identifier: Apache-2.0
// What the files of Registry share.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "format/base/file_system.h"
#include "registry/blobs/blob_store.h"
#include "registry/catalog/catalog.h"
#include "registry/log/log.h"
#include "registry/oci/stored_organ.h"
#include "registry/registry.h"

namespace organ::registry {

inline constexpr std::uint64_t kSmallFileLimit = std::uint64_t{1} << 20;
// Commits take milliseconds; this bounds a queue of very many publishers.
inline constexpr double kLockSeconds = 120;

struct RegistryPaths {
  std::filesystem::path root;
  std::filesystem::path organ() const { return root / "organ"; }
  // SQLite follows no link in a path: those above the registry are resolved, one below is refused.
  std::filesystem::path catalog() const { return without_links(root) / "organ" / "catalog.db"; }
  std::filesystem::path index() const { return root / "index.json"; }
  std::filesystem::path policy() const { return organ() / "policy.json"; }
  std::filesystem::path trust() const { return organ() / "trust"; }
  std::filesystem::path temporary() const { return without_links(root) / "organ" / "tmp"; }
  // Shared by everybody who adds or reads objects, exclusive for deleting them.
  std::filesystem::path store_lock() const { return organ() / "lock"; }
  // Exclusive while log, checkpoint, catalog and index change; shared to see them all at rest.
  std::filesystem::path write_lock() const { return organ() / "write.lock"; }
};

struct Registry::Impl {
  RegistryPaths paths;
  BlobStore blobs;
  Log log;
  Policy policy;
  Catalog catalog;
  bool writable = false;

  // Adds one entry: log (the commit point), checkpoint, catalog, index.json. Requires the write
  // lock and an up-to-date catalog.
  std::uint64_t commit(const LogEntry& entry);
  // Gives the blobs their names before anything refers to them.
  void commit_version(LogEntry entry, std::vector<StagedBlob> blobs_to_link, const Work& work,
                      PublishResult& result);
  // Tells `work` of the version's bytes, when nothing is damaged.
  VerifyReport::Item verify_version(const VersionInfo& version, const TrustOverride& override,
                                    const Work& work, std::uint64_t& bytes,
                                    std::vector<BlobRef>& seen) const;
  TrustVerdict evaluate(const VersionInfo& version, const format::OrganSource& organ,
                        const TrustOverride& override) const;
  // Publishing and rebuilding both read versions back from their blobs.
  std::unique_ptr<StoredOrgan> open_version(const VersionInfo& version) const;
  VersionInfo find_reference(const format::Reference& reference) const;
};

// Takes the log's entries after the catalog's position into the catalog, completes what a crash
// left undone (torn line, missing checkpoint, stale index.json). Requires the write lock.
void bring_up_to_date(const RegistryPaths& paths, const Log& log, const BlobStore& blobs,
                      Catalog& catalog, const Work& work);
// Takes the rest of the log into `catalog`. `complete` also cuts a torn line off and signs a
// missing checkpoint before the catalog commits; without it no other file is touched. A phase of
// one item for each entry; cancelled, it changes nothing.
enum class Recovery { none, complete };
void replay(const Log& log, const BlobStore& blobs, Catalog& catalog, Recovery recovery,
            const Work& work);
// A new catalog.db from the whole log. Requires the write lock. Cancelled, the old one stays.
Catalog build_catalog(const RegistryPaths& paths, const Log& log, const BlobStore& blobs,
                      const Work& work);
void write_index(const RegistryPaths& paths, Catalog& catalog);

// The phase of reading the log's entries after the first `seen`; none when there are no others.
Work log_phase(const Log& log, std::uint64_t seen, const Work& work);

// Now, RFC 3339 UTC.
std::string log_time();

}  // namespace organ::registry
