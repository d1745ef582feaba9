// SPDX-License-Identifier: Apache-2.0
// Keeping catalog.db and index.json equal to what log and blobs say.
#include <algorithm>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/base/path_status.h"
#include "registry/internal/registry_impl.h"
#include "registry/oci/oci.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;

// Only holders of the write lock make temporary files outside blobs/, so whatever lies there now
// was left by a process that died; those in blobs/ are locked by who writes them.
void remove_leftovers(const RegistryPaths& paths) {
  std::error_code ignored;  // what cannot be removed harms nobody
  for (const std::string& name : list_folder(paths.temporary())) {
    fs::remove_all(paths.temporary() / name, ignored);
  }
  BlobStore(paths.root).remove_leftovers();
  for (const fs::path& folder :
       {paths.root, paths.organ(), paths.trust(), witness_folder(paths.organ())}) {
    if (!is_folder(folder)) continue;
    for (const std::string& name : list_folder(folder)) {
      if (name.starts_with('.') && name.ends_with(".tmp")) fs::remove(folder / name, ignored);
    }
  }
}

// What cannot be read of one version harms that version alone.
void add_published(Catalog::Update& update, const BlobStore& blobs, const LogPlace& place,
                   const LogEntry& entry) {
  std::optional<PublishedContent> content;
  std::string damage;
  try {
    content = load_version(blobs, *entry.manifest, entry.name + ":" + entry.version).content;
  } catch (const UnreadableBlob& error) {
    damage = error.message();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::unsupported_version) throw;
    damage = error.message();
  }
  if (content) {
    update.add(place, entry, &*content);
  } else {
    update.add_damaged(place, entry, damage);
  }
}

// The prefix that was seen does not lead to the checkpoint's root: is the log damaged, or was the
// catalog made from another history?
[[noreturn]] void explain_mismatch(const RegistryPaths& paths, const Log& log,
                                   const LogPosition& seen, const LogError& error) {
  if (seen.entries() == 0) throw error;
  log.scan({}, [](const LogPlace&, const LogEntry&) {});  // throws when the log itself is damaged
  throw Error(ErrorCode::corrupt,
              fmt::format("{}: it has seen {} of another log", quote(paths.catalog().string()),
                          counted(seen.entries(), "log entry")),
              "if the registry was not rolled back, organ registry rebuild makes the catalog anew");
}

// Everything a crash left undone in log and catalog. Who may say what was announced follows from
// the entries.
std::vector<std::string> complete(const RegistryPaths& paths, const Log& log,
                                  const BlobStore& blobs, Catalog& catalog, FactsUpTo& facts,
                                  const Work& work) {
  std::vector<std::string> notices;
  const LogPosition seen = catalog.position();
  try {
    for (;;) {
      const LogScan scan = replay(log, blobs, catalog, work);
      facts.read_on(log);
      const Log::Recovered recovered =
          log.recover(scan, paths.quarantine(), facts.facts.root()->log_key);
      if (recovered == Log::Recovered::taken_in) continue;
      if (recovered == Log::Recovered::set_aside) {
        notices.push_back(fmt::format(
            "{}: a line behind the last signed entry, which no publisher "
            "announced, was taken out of the log; {} keeps it",
            quote((paths.organ() / "log").string()), quote(paths.quarantine().string())));
      }
      return notices;
    }
  } catch (const LogError& error) {
    if (error.code() == ErrorCode::untrusted) throw;
    explain_mismatch(paths, log, seen, error);
  }
}

}  // namespace

Work log_phase(const Log& log, std::uint64_t seen, const Work& work) {
  const std::uint64_t entries = log.checkpoint().size;
  if (seen >= entries) return work.uncounted();
  return work.phase("reading the log", entries - seen, Unit::items);
}

LogScan replay(const Log& log, const BlobStore& blobs, Catalog& catalog, const Work& work) {
  Catalog::Update update(catalog);
  const LogPosition from = catalog.position();
  const Work reading = log_phase(log, from.entries(), work);
  LogScan scan = log.scan(from, [&](const LogPlace& place, const LogEntry& entry) {
    reading.advance(1);
    if (entry.kind == LogKind::publish) {
      add_published(update, blobs, place, entry);
    } else {
      update.add(place, entry, nullptr);
    }
  });
  if (scan.end.entries() > from.entries()) update.commit(scan.end);
  return scan;
}

void require_prefix(const RegistryPaths& paths, const Log& log, const LogPosition& seen) {
  try {
    log.scan(seen, [](const LogPlace&, const LogEntry&) {});
  } catch (const LogError& error) {
    explain_mismatch(paths, log, seen, error);
  }
}

std::uint64_t write_index(const RegistryPaths& paths, const Catalog& catalog) {
  const std::vector<IndexEntry> entries = catalog.index_entries();
  write_file(paths.index(), index_text(entries), AtomicFile::Mode::replace, 0666, Rights::folder);
  return static_cast<std::uint64_t>(
      std::ranges::count_if(entries, [](const IndexEntry& entry) { return !entry.tag.empty(); }));
}

std::vector<std::string> bring_up_to_date(const RegistryPaths& paths, const Log& log,
                                          const BlobStore& blobs, Catalog& catalog,
                                          FactsUpTo& facts, const Work& work) {
  if (!catalog.is_at(paths.catalog())) {
    catalog = open_for_writing(paths, log, blobs, facts, work);
  }
  return complete(paths, log, blobs, catalog, facts, work);
}

Catalog open_for_writing(const RegistryPaths& paths, const Log& log, const BlobStore& blobs,
                         FactsUpTo& facts, const Work& work) {
  remove_leftovers(paths);
  // Absent is what an interrupted rebuild leaves; damaged is for a person to decide.
  if (is_taken(paths.catalog())) {
    if (std::optional<Catalog> catalog = Catalog::open(paths.catalog())) {
      return std::move(*catalog);
    }
  }
  return build_catalog(paths, log, blobs, facts, work);
}

Catalog build_catalog(const RegistryPaths& paths, const Log& log, const BlobStore& blobs,
                      FactsUpTo& facts, const Work& work) {
  remove_leftovers(paths);
  const TempFolder temporary(paths.temporary(), "catalog");
  const fs::path fresh = temporary.path() / "catalog.db";
  {
    Catalog catalog = Catalog::create(fresh);
    complete(paths, log, blobs, catalog, facts, work);
  }
  const UniqueFd made = open_regular(fresh, Symlinks::refuse);
  set_permissions_in(paths.organ(), made.get(), 0666, fresh.string());  // SQLite asked the umask
  // An old journal beside a new database would be played into it: the old pair goes first.
  remove_path(paths.catalog());
  remove_path(fs::path(paths.catalog()) += "-journal");
  sync_folder(paths.organ());
  rename_path(fresh, paths.catalog());
  sync_folder(paths.organ());
  std::optional<Catalog> catalog = Catalog::open(paths.catalog());
  check(catalog.has_value(), "a new catalog is of an older organ");
  write_index(paths, *catalog);
  return std::move(*catalog);
}

}  // namespace organ::registry
