// SPDX-License-Identifier: Apache-2.0
#include "registry/registry.h"

#include <sys/stat.h>

#include <algorithm>
#include <compare>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/new_folder.h"
#include "format/base/path_status.h"
#include "registry/internal/registry_impl.h"
#include "registry/oci/oci.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;
using format::Reference;
using format::Version;

constexpr char kLayoutFile[] = "oci-layout";

void make_folder(const fs::path& path) {
  if (::mkdir(path.c_str(), 0777) != 0) fail_errno(path.string(), "create folder");
}

// The first policy and the log entries that tell how it came about.
void write_policy(const RegistryPaths& paths, const CreateOptions& options, const Log& log) {
  Policy policy;
  LogPosition end = log.scan({}, [](std::uint64_t, const LogEntry&) {}).end;
  for (const auto& [pattern, key] : options.trusted) {
    if (!policy.trust(pattern, key)) continue;
    write_file(paths.trust() / (key.id().hex() + ".pem"), key.pem());
    LogEntry entry;
    entry.kind = LogKind::key;
    entry.time = log_time();
    entry.action = "trust";
    entry.key = key.id().to_string();
    entry.pattern = pattern;
    end = log.append(end, entry);
  }
  write_file(paths.policy(), policy.to_text());
}

void fill_new_registry(const RegistryPaths& paths, const CreateOptions& options) {
  make_folder(paths.root / "blobs");
  make_folder(paths.root / "blobs" / "sha256");
  make_folder(paths.organ());
  make_folder(paths.trust());
  make_folder(paths.temporary());
  write_file(paths.store_lock(), "", AtomicFile::Mode::create_new);
  write_file(paths.write_lock(), "", AtomicFile::Mode::create_new);
  const Log log = Log::create(paths.organ(), log_time());
  write_policy(paths, options, log);
  build_catalog(paths, log, BlobStore(paths.root), {});
  write_file(paths.root / kLayoutFile, kOciLayoutText);
  sync_folder(paths.root / "blobs");
}

RegistryPaths find_registry(const fs::path& folder) {
  RegistryPaths paths{folder};
  const fs::path layout = folder / kLayoutFile;
  if (!is_there(folder)) {
    throw Error(ErrorCode::not_found, quote(folder.string()) + ": no such registry",
                "organ registry init makes one");
  }
  if (!is_there(layout) || !is_folder(paths.organ())) {
    throw Error(ErrorCode::not_found, quote(folder.string()) + ": not an organ registry",
                "organ registry init makes one in an empty folder");
  }
  if (read_file(layout, kSmallFileLimit) != kOciLayoutText) {
    fail(ErrorCode::unsupported_version, "{}: expected {}", quote(layout.string()), kOciLayoutText);
  }
  return paths;
}

Policy load_policy(const RegistryPaths& paths) {
  const fs::path path = paths.policy();
  return Policy::parse(read_file(path, kSmallFileLimit, Symlinks::refuse), quote(path.string()),
                       paths.trust());
}

bool is_up_to_date(const RegistryPaths& paths, const Log& log, const Catalog& catalog) {
  const LogPosition position = catalog.position();
  const Checkpoint checkpoint = log.checkpoint();
  std::error_code error;
  return fs::file_size(paths.organ() / "log", error) == position.bytes &&
         checkpoint.size == position.entries() && checkpoint.root == position.tree.root() &&
         !catalog.index_is_stale();
}

// For registries that this process may read but not write: the views live in memory.
Catalog catalog_in_memory(const Log& log, const BlobStore& blobs, const Work& work) {
  Catalog catalog = Catalog::in_memory();
  replay(log, blobs, catalog, Recovery::none, work);
  return catalog;
}

Catalog open_catalog_for_reading(const RegistryPaths& paths, const Log& log, const BlobStore& blobs,
                                 const Work& work) {
  const FileLock lock(paths.write_lock(), FileLock::Kind::shared, kLockSeconds, work);
  if (is_there(paths.catalog())) {
    Catalog catalog = Catalog::open(paths.catalog());
    if (is_up_to_date(paths, log, catalog)) return catalog;
  }
  return catalog_in_memory(log, blobs, work);
}

Catalog open_catalog_for_writing(const RegistryPaths& paths, const Log& log, const BlobStore& blobs,
                                 const Work& work) {
  const FileLock lock(paths.write_lock(), FileLock::Kind::exclusive, kLockSeconds, work);
  // Absent is what an interrupted rebuild leaves; damaged is for a person to decide.
  if (!is_taken(paths.catalog())) return build_catalog(paths, log, blobs, work);
  Catalog catalog = Catalog::open(paths.catalog());
  bring_up_to_date(paths, log, blobs, catalog, work);
  return catalog;
}

// Readers disturb nobody: they take the write lock only when something is left to complete.
Catalog open_catalog(const RegistryPaths& paths, const Log& log, const BlobStore& blobs,
                     Registry::Mode mode, bool writable, const Work& work) {
  if (mode == Registry::Mode::read && writable && is_there(paths.catalog())) {
    const FileLock lock(paths.write_lock(), FileLock::Kind::shared, kLockSeconds, work);
    Catalog catalog = Catalog::open(paths.catalog());
    if (is_up_to_date(paths, log, catalog)) return catalog;
  }
  return writable ? open_catalog_for_writing(paths, log, blobs, work)
                  : open_catalog_for_reading(paths, log, blobs, work);
}

bool is_newer(const VersionInfo& a, const VersionInfo& b) {
  return std::is_gt(Version::parse(a.version).precedence(Version::parse(b.version)));
}

}  // namespace

std::string log_time() { return format::clock_time(); }

Registry::Registry(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Registry::Registry(Registry&&) noexcept = default;
Registry& Registry::operator=(Registry&&) noexcept = default;
Registry::~Registry() = default;

void Registry::create(const fs::path& folder, const CreateOptions& options) {
  create_folders(absolute_path(given_path(folder.native())).parent_path());
  NewFolder built(folder, {"blobs", "organ", "index.json", kLayoutFile});
  fill_new_registry({built.path()}, options);
  built.commit();
}

Registry Registry::open(const fs::path& folder, Mode mode, const Work& work) {
  const RegistryPaths paths = find_registry(folder);
  Log log(paths.organ());
  const bool writable = log.is_writable();
  if (mode == Mode::write && !writable) {
    throw Error(ErrorCode::io, quote(folder.string()) + ": may not be written by this user",
                "publishing needs the registry's log and log.key");
  }
  BlobStore blobs(paths.root);
  Policy policy = load_policy(paths);
  Catalog catalog = open_catalog(paths, log, blobs, mode, writable, work);
  if (mode == Mode::read) catalog.forbid_writes();
  return Registry(
      std::make_unique<Impl>(Impl{paths, std::move(blobs), std::move(log), std::move(policy),
                                  std::move(catalog), mode == Mode::write}));
}

RebuildReport Registry::rebuild(const fs::path& folder, const Work& work) {
  const RegistryPaths paths = find_registry(folder);
  const Log log(paths.organ());
  const FileLock lock(paths.write_lock(), FileLock::Kind::exclusive, kLockSeconds, work);
  const Catalog catalog = build_catalog(paths, log, BlobStore(paths.root), work);
  return {catalog.position().entries(), catalog.list({}).size()};
}

const fs::path& Registry::folder() const { return impl_->paths.root; }
const Policy& Registry::policy() const { return impl_->policy; }
std::string Registry::dump() const { return impl_->catalog.dump(); }

VersionInfo Registry::Impl::find_reference(const Reference& reference) const {
  std::optional<VersionInfo> found;
  if (const auto* version = std::get_if<Version>(&reference.selector)) {
    found = catalog.find(reference.name, version->to_string());
  } else if (const auto* digest = std::get_if<Digest>(&reference.selector)) {
    found = catalog.find(reference.name, *digest);
  } else if (const auto* alias = std::get_if<format::Alias>(&reference.selector)) {
    found = catalog.find_alias(reference.name, alias->name);
  } else {
    for (VersionInfo& candidate : catalog.list({.name = reference.name,
                                  .architecture_signature = {},
                                  .include_withdrawn = false,
                                  .limit = 0})) {
      if (Version::parse(candidate.version).is_prerelease()) continue;
      if (!found || is_newer(candidate, *found)) found = std::move(candidate);
    }
  }
  if (found) return *found;
  const bool known = !catalog.list({reference.name, {}, true, 1}).empty();
  throw Error(ErrorCode::not_found,
              fmt::format("{}: no such {} in {}", quote(reference.to_string()),
                          known ? "version" : "organ", quote(paths.root.string())),
              known ? "organ list " + reference.name + " shows its versions"
                    : "organ list shows what is there");
}

ResolvedVersion Registry::resolve(const Reference& reference) const {
  return impl_->find_reference(reference);
}

std::unique_ptr<StoredOrgan> Registry::Impl::open_version(const VersionInfo& version) const {
  const std::string subject = version.name + ":" + version.version;
  const BlobRef manifest{version.digest, version.manifest_size};
  std::vector<std::string> bundles;
  for (const BlobRef& signature : catalog.signatures(version.log_index)) {
    bundles.push_back(load_signature(blobs, signature, manifest, subject).text);
  }
  return std::make_unique<StoredOrgan>(blobs, load_version(blobs, manifest, subject),
                                       std::move(bundles), subject);
}

std::unique_ptr<format::OrganSource> Registry::open_organ(const ResolvedVersion& version) const {
  return impl_->open_version(version);
}

std::vector<VersionInfo> Registry::list(const VersionFilter& filter) const {
  return impl_->catalog.list(filter);
}

std::vector<LogRecord> Registry::history(const std::string& name) const {
  std::vector<LogRecord> records;
  impl_->log.scan({}, [&](std::uint64_t index, const LogEntry& entry) {
    if (name.empty() || entry.name == name) records.push_back({index, entry});
  });
  return records;
}

std::uint64_t Registry::Impl::commit(const LogEntry& entry) {
  const LogPosition end = catalog.position();
  log.append(end, entry);
  bring_up_to_date(paths, log, blobs, catalog, {});
  return end.entries();
}

void Registry::set_alias(const std::string& name, const std::string& alias,
                         const std::optional<Version>& version) {
  check(impl_->writable, "the registry was opened for reading");
  // The grammar of an alias is that of name@alias.
  const Reference reference = Reference::parse(name + "@" + alias);
  if (!std::holds_alternative<format::Alias>(reference.selector)) {
    fail(ErrorCode::invalid_argument, "{}: not an alias", quote(alias));
  }
  const FileLock lock(impl_->paths.write_lock(), FileLock::Kind::exclusive, kLockSeconds);
  bring_up_to_date(impl_->paths, impl_->log, impl_->blobs, impl_->catalog, {});
  LogEntry entry;
  entry.kind = LogKind::alias;
  entry.time = log_time();
  entry.name = name;
  entry.alias = alias;
  if (version)
    entry.version = impl_->find_reference({name, *version}).version;
  else
    impl_->find_reference(reference);
  impl_->commit(entry);
}

}  // namespace organ::registry
