// SPDX-License-Identifier: Apache-2.0
#include "registry/registry.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <compare>
#include <thread>
#include <utility>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/base/new_folder.h"
#include "format/base/path_status.h"
#include "registry/internal/registry_impl.h"
#include "registry/log/merkle.h"
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
  LogPosition end = log.scan({}, [](const LogPlace&, const LogEntry&) {}).end;
  for (const auto& [pattern, key] : options.trusted) {
    if (!policy.trust(pattern, key)) continue;
    write_file(paths.trust() / (key.id().hex() + ".pem"), key.pem());
    LogEntry entry;
    entry.kind = LogKind::key;
    entry.time = log_time();
    entry.action = "trust";
    entry.key = key.id().to_string();
    entry.pattern = pattern;
    end = log.append(end, entry, log.verifier_key());
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
  write_file(paths.store_gate(), "", AtomicFile::Mode::create_new);
  write_file(paths.write_lock(), "", AtomicFile::Mode::create_new);
  const Log log = Log::create(paths.organ(), log_time());
  write_policy(paths, options, log);
  FactsUpTo seen;
  build_catalog(paths, log, BlobStore(paths.root), seen, {});
  write_file(paths.root / kLayoutFile, kOciLayoutText);
  sync_folder(paths.root / "blobs");
}

// A folder that a group shares was prepared for all of it: what lies in it is the group's as the
// folder is, the log's key to read.
void share_like(const fs::path& shared, const fs::path& folder) {
  for (const std::string& name : list_folder(folder)) {
    const fs::path path = folder / name;
    const bool within = is_folder(path);
    if (within) share_like(shared, path);
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) fail_errno(path.string(), "open");
    const unsigned wanted = within ? 0777 : name == "log.key" ? 0640 : 0666;
    set_permissions_in(shared, fd.get(), wanted, path.string());
    sync_fd(fd.get(), path.string());
  }
}

bool is_up_to_date(const Log& log, const Catalog& catalog) {
  const LogPosition position = catalog.position();
  const Checkpoint checkpoint = log.checkpoint();
  return checkpoint.size == position.entries() && checkpoint.root == position.tree.root();
}

// Who only reads writes nothing: where the catalog lags or its last writer died, the views live in
// memory.
Catalog open_for_reading(const RegistryPaths& paths, const Log& log, const BlobStore& blobs,
                         const Work& work) {
  const FileLock lock(paths.write_lock(), FileLock::Kind::shared, kLockSeconds, work);
  const bool at_rest = !is_taken(fs::path(paths.catalog()) += "-journal");
  if (at_rest && is_there(paths.catalog())) {
    if (std::optional<Catalog> catalog = Catalog::open(paths.catalog())) {
      if (is_up_to_date(log, *catalog)) {
        catalog->forbid_writes();
        return std::move(*catalog);
      }
      require_prefix(paths, log, catalog->position());
    }
  }
  Catalog catalog = Catalog::in_memory();
  replay(log, blobs, catalog, work);
  catalog.forbid_writes();
  return catalog;
}

FactsUpTo facts_of(const std::optional<KnownLogs::Met>& met) {
  if (!met) return {};
  return {met->known.facts, met->known.end};
}

// The newest release of a name that was not withdrawn; with a range, the newest version in that.
std::optional<VersionInfo> newest_of(const Catalog& catalog, const LogFacts& facts,
                                     const std::string& name, const format::VersionRange* range) {
  const auto wanted = [&](const std::string& candidate) {
    return !facts.yanked(name, candidate) && !facts.revoked(name, candidate) &&
           !facts.taken_down(name, candidate) && !facts.hidden(name, candidate) &&
           (range == nullptr || range->contains(Version::parse(candidate)));
  };
  std::optional<VersionInfo> release = catalog.newest(name, wanted);
  if (range == nullptr || !range->may_contain_prereleases()) return release;
  std::optional<VersionInfo> early = catalog.newest_prerelease(name, wanted);
  const bool is_newer =
      early &&
      (!release ||
       std::is_gt(Version::parse(early->version).precedence(Version::parse(release->version))));
  return is_newer ? early : release;
}

// With its withdrawals and aliases as the log says, whatever its row does.
VersionInfo as_logged(VersionInfo version, const LogFacts& now) {
  version.yank_reason = now.yanked(version.name, version.version);
  version.revoke_reason = now.revoked(version.name, version.version);
  version.superseded = now.superseded(version.name, version.version);
  version.taken_down = now.taken_down(version.name, version.version);
  if (const auto entry = now.hidden(version.name, version.version)) {
    version.unwitnessed = fmt::format(
        "not witnessed: too few witnesses have cosigned entry {} of the log yet", *entry);
  }
  version.aliases = now.aliases_of(version.name, version.version);
  return version;
}

}  // namespace

FileLock share_store(const RegistryPaths& paths, const Work& work) {
  const FileLock gate(paths.store_gate(), FileLock::Kind::shared, kLockSeconds, work);
  return {paths.store_lock(), FileLock::Kind::shared, kLockSeconds, work};
}

FileLock own_store(const RegistryPaths& paths, const Work& work) {
  // Whoever holds it may ask for it once more behind the gate (pull does, to publish): the gate is
  // not kept shut until the end, and stays open long enough to be passed.
  constexpr double kTurn = 10;  // seconds
  constexpr auto kOpen = std::chrono::milliseconds(200);
  for (double left = kLockSeconds;; left -= kTurn) {
    {
      const FileLock gate(paths.store_gate(), FileLock::Kind::exclusive, kLockSeconds, work);
      try {
        return {paths.store_lock(), FileLock::Kind::exclusive, kTurn, work};
      } catch (const Error& error) {
        if (error.code() != ErrorCode::conflict || left <= kTurn) throw;
      }
    }
    std::this_thread::sleep_for(kOpen);
  }
}

RegistryPaths find_registry(const fs::path& folder) {
  // An empty path must not become the working folder by the names below it.
  RegistryPaths paths{given_path(folder.native())};
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

std::string log_time() { return format::clock_time(); }

std::uint64_t seconds_now() { return static_cast<std::uint64_t>(format::clock_seconds()); }

LogEntry entry_of(LogKind kind) {
  LogEntry entry;
  entry.kind = kind;
  entry.time = log_time();
  return entry;
}

Registry::Registry(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Registry::Registry(Registry&&) noexcept = default;
Registry& Registry::operator=(Registry&&) noexcept = default;
Registry::~Registry() = default;

void Registry::create(const fs::path& folder, const CreateOptions& options) {
  create_folders(absolute_path(given_path(folder.native())).parent_path());
  NewFolder built(folder, {"blobs", "organ", "index.json", kLayoutFile});
  fill_new_registry({built.path()}, options);
  if (is_shared_folder(folder)) share_like(folder, built.path());
  built.commit();
}

Registry Registry::open(const fs::path& folder, Mode mode, const OpenOptions& options,
                        const Work& work) {
  const RegistryPaths paths = find_registry(folder);
  Log log(paths.organ());
  if (mode == Mode::write && !log.is_writable()) {
    throw Error(ErrorCode::io, quote(folder.string()) + ": may not be written by this user",
                "publishing needs the registry's log and log.key");
  }
  BlobStore blobs(paths.root);
  std::optional<KnownLogs::Met> met = meet(paths, log, options);
  FactsUpTo seen = facts_of(met);
  const auto opened = [&](Catalog catalog) {
    auto impl = std::make_unique<Impl>(paths, std::move(blobs), std::move(log), std::move(catalog),
                                       mode == Mode::write);
    impl->adopt(options, std::move(seen));
    if (met) impl->adopt(*met);
    const bool is_good = impl->require_state();
    if (met && is_good) impl->remember(*met);
    return impl;
  };
  if (mode == Mode::read) return Registry(opened(open_for_reading(paths, log, blobs, work)));
  const FileLock lock(paths.write_lock(), FileLock::Kind::exclusive, kLockSeconds, work);
  Catalog catalog = open_for_writing(paths, log, blobs, seen, work);
  const std::vector<std::string> notices = bring_up_to_date(paths, log, blobs, catalog, seen, work);
  auto impl = opened(std::move(catalog));
  impl->notices.insert(impl->notices.end(), notices.begin(), notices.end());
  return Registry(std::move(impl));
}

RebuildReport Registry::rebuild(const fs::path& folder, const OpenOptions& options,
                                const Work& work) {
  const RegistryPaths paths = find_registry(folder);
  const Log log(paths.organ());
  FactsUpTo seen = facts_of(meet(paths, log, options));
  const FileLock lock(paths.write_lock(), FileLock::Kind::exclusive, kLockSeconds, work);
  const Catalog catalog = build_catalog(paths, log, BlobStore(paths.root), seen, work);
  return {catalog.position().entries(), catalog.list({}).size()};
}

const fs::path& Registry::folder() const { return impl_->paths.root; }
std::string Registry::log_key() const { return impl_->root().log_key; }
std::uint64_t Registry::log_size() const { return impl_->log.checkpoint().size; }
const Policy& Registry::policy() const { return impl_->policy(); }
std::string Registry::dump() const { return impl_->catalog.dump(); }
std::vector<std::string> Registry::organ_names() const { return impl_->catalog.organ_names(); }
std::vector<std::string> Registry::take_notices() { return std::exchange(impl_->notices, {}); }

VersionInfo Registry::Impl::find_reference(const Reference& reference) const {
  std::optional<VersionInfo> found;
  const auto* range = std::get_if<format::VersionRange>(&reference.selector);
  if (const auto* version = std::get_if<Version>(&reference.selector)) {
    found = catalog.find(reference.name, version->to_string());
  } else if (const auto* digest = std::get_if<Digest>(&reference.selector)) {
    found = catalog.find(reference.name, *digest);
  } else if (const auto* alias = std::get_if<format::Alias>(&reference.selector)) {
    if (const auto pointed = facts().alias(reference.name, alias->name)) {
      found = catalog.find(reference.name, *pointed);
    }
  } else {
    found = newest_of(catalog, facts(), reference.name, range);
  }
  if (found) {
    prove(*found);
    return as_logged(*std::move(found), facts());
  }
  const bool known = !catalog.list({.name = reference.name, .limit = 1}).empty();
  const bool newest = std::holds_alternative<std::monostate>(reference.selector);
  const char* what = range != nullptr ? "no version in this range that was not withdrawn"
                     : newest         ? "every version was withdrawn, or is a pre-release"
                                      : "no such version";
  throw Error(ErrorCode::not_found,
              fmt::format("{}: {} in {}", quote(reference.to_string()),
                          known ? what : "no such organ", quote(paths.root.string())),
              known ? "organ list " + reference.name + " shows its versions"
                    : meant_hint(nearest_name(catalog.organ_names(), reference.name),
                                 "organ list shows what is there"));
}

ResolvedVersion Registry::resolve(const Reference& reference) const {
  return impl_->find_reference(reference);
}

StoredBundles Registry::Impl::load_bundles(const VersionInfo& version, Attached kind,
                                           std::vector<format::Finding>& damaged) const {
  const std::string subject = version.name + ":" + version.version;
  StoredBundles bundles;
  for (const BlobRef& signature : attached_to(version, kind)) {
    try {
      bundles.texts.push_back(
          load_signature(blobs, signature, {version.digest, version.manifest_size}, subject).text);
    } catch (const UnreadableBlob& error) {
      bundles.unread.push_back(error);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt) throw;
      damaged.push_back(
          format::Finding::of((kind == Attached::signature ? "signature " : "attestation ") +
                                  signature.digest.to_string(),
                              error));
    }
  }
  return bundles;
}

std::unique_ptr<StoredOrgan> Registry::Impl::open_version(const VersionInfo& version) const {
  const std::string subject = version.name + ":" + version.version;
  const auto load = [&](Attached kind) {
    std::vector<format::Finding> damaged;
    StoredBundles bundles = load_bundles(version, kind, damaged);
    bundles.damaged = std::move(damaged);
    return bundles;
  };
  StoredBundles signatures = load(Attached::signature);
  StoredBundles attestations = load(Attached::attestation);
  const auto takedown = facts().taken_down(version.name, version.version);
  return std::make_unique<StoredOrgan>(
      blobs, load_version(blobs, {version.digest, version.manifest_size}, subject),
      std::move(signatures), std::move(attestations), subject,
      takedown ? describe(*takedown) : std::string());
}

std::unique_ptr<format::OrganSource> Registry::open_organ(const ResolvedVersion& version) const {
  return impl_->open_version(version);
}

std::vector<VersionInfo> Registry::list(const VersionFilter& filter) const {
  VersionFilter all = filter;
  all.include_withdrawn = true;  // the log says which are
  std::vector<VersionInfo> versions;
  const LogFacts& now = impl_->facts();
  impl_->catalog.visit(all, [&](VersionInfo row) {
    VersionInfo version = as_logged(std::move(row), now);
    const bool hidden =
        version.yank_reason || version.revoke_reason || version.taken_down || version.unwitnessed;
    if (!hidden || filter.include_withdrawn) versions.push_back(std::move(version));
    return filter.limit == 0 || versions.size() < filter.limit;
  });
  return versions;
}

std::uint64_t Registry::write_index(const Work& work) {
  const FileLock lock = impl_->lock_to_write(work);
  work.require_wanted();
  return registry::write_index(impl_->paths, impl_->catalog);
}

std::vector<LogRecord> Registry::history(const std::string& name) const {
  std::vector<LogRecord> records;
  LogFacts facts;
  add_facts(impl_->log, {}, facts, [&](const LogPlace& place, const LogEntry& entry) {
    if (name.empty() || entry.name == name) records.push_back({place.index, entry});
  });
  return records;
}

Digest Registry::log_root(std::uint64_t entries) const {
  MerkleTree tree;
  LogFacts facts;
  add_facts(impl_->log, {}, facts, [&](const LogPlace& place, const LogEntry& entry) {
    if (place.index < entries) tree.append(merkle_leaf(entry.to_text()));
  });
  if (tree.size() < entries) {
    fail(ErrorCode::invalid_argument, "the root of {} of a log that has {}",
         counted(entries, "entry"), tree.size());
  }
  return tree.root();
}

}  // namespace organ::registry
