// SPDX-License-Identifier: Apache-2.0
#include "registry/care/takedown.h"

#include <algorithm>
#include <map>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "registry/blobs/own_folder.h"
#include "registry/care/orphans.h"
#include "registry/care/quarantine.h"
#include "registry/care/store_walk.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;
using Object = TakedownReport::Object;

// What other versions need, of the objects that are asked about: their subjects by digest.
using Needed = std::map<Digest, std::vector<std::string>>;

Needed needed_by_others(const BlobStore& blobs, const LoggedState& state,
                        const LoggedVersion& version, const std::vector<format::FileEntry>& weights,
                        const Work& work) {
  Needed needed;
  for (const format::FileEntry& file : weights) needed[file.digest];
  walk_all(
      blobs, state, work,
      [&](const LoggedVersion& other, const ObjectUse& use) {
        const auto found = needed.find(use.blob.digest);
        if (found == needed.end()) return;
        std::vector<std::string>& subjects = found->second;
        if (subjects.empty() || subjects.back() != other.subject()) {
          subjects.push_back(other.subject());
        }
      },
      version.subject());
  return needed;
}

const LoggedVersion& logged(const LoggedState& state, const VersionInfo& version) {
  const auto found = std::ranges::find_if(state.versions, [&](const LoggedVersion& one) {
    return one.name == version.name && one.version == version.version;
  });
  check(found != state.versions.end(), "a version of the catalog that the log does not have");
  return *found;
}

class Taker {
 public:
  Taker(const RegistryPaths& paths, TakedownReport& report)
      : paths_(paths), blobs_(paths.root), quarantine_(paths), report_(report) {
    (void)is_own_folder(paths_.partial());
  }

  // What goes and what stays. Throws before anything is written.
  void plan(const Log& log, const VersionInfo& version, const Work& work) {
    const LoggedState state = read_log(log, work.uncounted());
    if (state.damage) throw Error(*state.damage);
    const LoggedVersion& own = logged(state, version);
    const std::vector<format::FileEntry> weights = weights_of(blobs_, own);
    const Needed needed = needed_by_others(blobs_, state, own, weights, work);
    for (const format::FileEntry& file : weights) {
      Object object{file.path, {file.digest, file.size}, needed.at(file.digest)};
      (object.versions.empty() ? going_ : report_.kept).push_back(std::move(object));
    }
  }

  // Copies first: what is left of an ended takedown is found by its names among the objects.
  void take_away() {
    for (const Object& object : going_) {
      report_.copies += quarantine_.forget(object.blob.digest, report_.bytes);
      remove_partial(object.blob.digest);
    }
    quarantine_.sync();
    for (Object& object : going_) {
      const fs::path path = blobs_.path(object.blob.digest);
      if (!is_taken(path)) continue;
      remove_path(path);
      report_.bytes += object.blob.size;
      report_.removed.push_back(std::move(object));
    }
    blobs_.sync();
  }

  void foretell() {
    for (Object& object : going_) {
      if (!is_taken(blobs_.path(object.blob.digest))) continue;
      report_.bytes += object.blob.size;
      report_.removed.push_back(std::move(object));
    }
  }

 private:
  // Of interrupted pulls, of this version or of others.
  void remove_partial(const Digest& digest) {
    if (!is_folder(paths_.partial())) return;
    for (const std::string& name : list_folder(paths_.partial())) {
      const fs::path folder = paths_.partial() / name;
      if (path_status(folder, Symlinks::refuse) != PathStatus::folder) continue;
      const auto stored = stored_at(folder / digest.hex(), digest);
      if (!stored) continue;
      remove_path(folder / digest.hex());
      sync_folder(folder);
      report_.bytes += stored->size;
      ++report_.copies;
    }
  }

  const RegistryPaths& paths_;
  BlobStore blobs_;
  Quarantine quarantine_;
  TakedownReport& report_;
  std::vector<Object> going_;
};

}  // namespace

TakedownReport take_down(const fs::path& folder, const std::string& name,
                         const format::Version& version, const std::optional<std::string>& reason,
                         bool dry_run, const OpenOptions& options, const Work& work) {
  const RegistryPaths paths = find_registry(folder);
  std::optional<FileLock> lock;
  if (!dry_run) lock.emplace(own_store(paths, work));
  Registry registry = Registry::open(
      paths.root, dry_run ? Registry::Mode::read : Registry::Mode::write, options, work);
  const VersionInfo found = registry.resolve({name, version});
  if (!reason && !found.taken_down && !dry_run) {
    fail(ErrorCode::invalid_argument, "{}:{}: a takedown needs a reason", found.name,
         found.version);
  }
  TakedownReport report;
  report.name = found.name;
  report.version = found.version;
  Taker taker(paths, report);
  taker.plan(Log(paths.organ()), found, work);
  if (dry_run) {
    taker.foretell();
    return report;
  }
  work.require_wanted();  // from here on it is completed
  if (reason) registry.withdraw(Registry::Withdrawal::takedown, name, version, reason);
  try {
    taker.take_away();
  } catch (Error& error) {
    error.with_context("taking its weights away; the takedown is in the log: run it again");
    throw;
  }
  report.takedown = registry.resolve({name, version}).taken_down;
  report.notices = registry.take_notices();
  return report;
}

}  // namespace organ::registry
