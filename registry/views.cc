// SPDX-License-Identifier: Apache-2.0
// Keeping catalog.db and index.json equal to what log and blobs say.
#include <algorithm>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "registry/internal/registry_impl.h"
#include "registry/oci/oci.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;

PublishedContent load_content(const BlobStore& blobs, const LogEntry& entry) {
  return load_version(blobs, entry.manifest.value(), entry.name + ":" + entry.version).content;
}

// Only holders of the write lock make temporary files outside blobs/, so whatever lies there now
// was left by a process that died; those in blobs/ are locked by who writes them.
void remove_leftovers(const RegistryPaths& paths) {
  std::error_code ignored;  // what cannot be removed harms nobody
  for (const std::string& name : list_folder(paths.temporary())) {
    fs::remove_all(paths.temporary() / name, ignored);
  }
  BlobStore(paths.root).remove_leftovers();
  for (const fs::path& folder : {paths.root, paths.organ(), paths.trust()}) {
    for (const std::string& name : list_folder(folder)) {
      if (name.starts_with('.') && name.ends_with(".tmp")) fs::remove(folder / name, ignored);
    }
  }
}

// A prefix that does not lead to the checkpoint's root: is the log damaged, or was the catalog
// made from another history?
[[noreturn]] void explain_mismatch(const RegistryPaths& paths, const Log& log,
                                   const LogPosition& seen, const Error& error) {
  if (error.code() != ErrorCode::corrupt || seen.entries() == 0) throw error;
  log.scan({}, [](std::uint64_t, const LogEntry&) {});  // throws when the log itself is damaged
  throw Error(ErrorCode::corrupt,
              fmt::format("{}: it has seen {} log entries that are not this log's",
                          quote(paths.catalog().string()), seen.entries()),
              "if the registry was not rolled back, organ registry rebuild makes the catalog anew");
}

}  // namespace

Work log_phase(const Log& log, std::uint64_t seen, const Work& work) {
  const std::uint64_t entries = log.checkpoint().size;
  if (seen >= entries) return work.uncounted();
  return work.phase("reading the log", entries - seen, Unit::items);
}

void replay(const Log& log, const BlobStore& blobs, Catalog& catalog, Recovery recovery,
            const Work& work) {
  Catalog::Update update(catalog);
  const LogPosition from = catalog.position();
  const Work reading = log_phase(log, from.entries(), work);
  const LogScan scan = log.scan(from, [&](std::uint64_t index, const LogEntry& entry) {
    reading.advance(1);
    if (entry.kind == LogKind::publish) {
      const PublishedContent content = load_content(blobs, entry);
      update.add(index, entry, &content);
    } else {
      update.add(index, entry, nullptr);
    }
  });
  // Only what the checkpoint covers (or will at once) may enter: it must never run ahead.
  if (recovery == Recovery::complete && scan.needs_recovery()) log.recover(scan);
  if (scan.end.entries() > from.entries()) update.commit(scan.end);
}

void write_index(const RegistryPaths& paths, Catalog& catalog) {
  write_file(paths.index(), index_text(catalog.index_entries()));
  catalog.mark_index_written();
}

void bring_up_to_date(const RegistryPaths& paths, const Log& log, const BlobStore& blobs,
                      Catalog& catalog, const Work& work) {
  remove_leftovers(paths);
  const LogPosition seen = catalog.position();
  try {
    replay(log, blobs, catalog, Recovery::complete, work);
  } catch (const Error& error) {
    explain_mismatch(paths, log, seen, error);
  }
  if (catalog.index_is_stale()) write_index(paths, catalog);
}

Catalog build_catalog(const RegistryPaths& paths, const Log& log, const BlobStore& blobs,
                      const Work& work) {
  remove_leftovers(paths);
  const TempFolder temporary(paths.temporary(), "catalog");
  const fs::path fresh = temporary.path() / "catalog.db";
  {
    Catalog catalog = Catalog::create(fresh);
    replay(log, blobs, catalog, Recovery::complete, work);
  }
  // An old journal beside a new database would be played into it: the old pair goes first.
  remove_path(paths.catalog());
  remove_path(fs::path(paths.catalog()) += "-journal");
  sync_folder(paths.organ());
  rename_path(fresh, paths.catalog());
  sync_folder(paths.organ());
  Catalog catalog = Catalog::open(paths.catalog());
  write_index(paths, catalog);
  return catalog;
}

}  // namespace organ::registry
