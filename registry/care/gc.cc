// SPDX-License-Identifier: Apache-2.0
#include "registry/care/gc.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "registry/blobs/own_folder.h"
#include "registry/care/gc_protocol.h"
#include "registry/care/orphans.h"
#include "registry/care/quarantine.h"
#include "registry/care/store_walk.h"
#include "registry/remote/download.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;

// Every digest that an entry refers to, whatever became of the version since: yanked and revoked
// ones too. Of one that was taken down all but its weights.
std::set<Digest> referred_by(const BlobStore& blobs, const LoggedState& state, const Work& work) {
  std::set<Digest> all;
  walk_all(blobs, state, work,
           [&](const LoggedVersion&, const ObjectUse& use) { all.insert(use.blob.digest); });
  return all;
}

class FolderStore final : public GcStore {
 public:
  FolderStore(const fs::path& folder, OpenOptions options, const Work& work)
      : paths_(find_registry(folder)),
        log_(paths_.organ()),
        blobs_(paths_.root),
        quarantine_(paths_),
        options_(std::move(options)),
        work_(work) {}

  std::string origin() const override { return log_.origin(); }
  // Compares it with what the user has seen; lock() does so too.
  void meet_it() const { meet(paths_, log_, options_); }

  void lock() override {
    lock_.emplace(own_store(paths_, work_));
    // A publisher that died behind its entry left a line that counts once it is completed.
    notices_ = Registry::open(paths_.root, Registry::Mode::write, options_, work_).take_notices();
  }

  std::vector<GcThing> things(GcAction action) override {
    return action == GcAction::purge ? quarantine_.things() : collectable();
  }

  std::set<Digest> needed(GcAction action) override {
    std::set<Digest> all = referred_by(blobs_, read_log(log_, work_.uncounted()), work_);
    if (action == GcAction::collect) return all;
    // A quarantined object may be the last good copy of what a version misses.
    std::set<Digest> missing;
    for (const GcThing& thing : quarantine_.things()) {
      if (all.contains(thing.digest) && !is_whole(thing.digest)) missing.insert(thing.digest);
    }
    return missing;
  }

  void take_away(GcAction action, const GcThing& thing) override {
    if (action == GcAction::purge) return remove_path(paths_.root / thing.place);
    if (thing.place.starts_with("organ/")) return remove_partial(thing);
    quarantine_.set_aside(thing.digest);
  }

  void finish(GcAction) override {
    quarantine_.sync();
    blobs_.sync();
  }

  std::vector<std::string> take_notices() { return std::move(notices_); }

 private:
  std::vector<GcThing> collectable() const {
    std::vector<std::string> strangers;
    std::vector<GcThing> things;
    for (const StoredBlob& blob : blobs_in(blobs_.folder(), strangers)) {
      things.push_back({"blobs/sha256/" + blob.digest.hex(), blob.digest, blob.size, blob.changed,
                        "no entry refers to it"});
    }
    add_partial(things);
    return things;
  }

  // Files of interrupted pulls, by the version's manifest.
  void add_partial(std::vector<GcThing>& things) const {
    if (!is_own_folder(paths_.partial())) return;
    for (const std::string& name : list_folder(paths_.partial())) {
      std::vector<std::string> strangers;
      const fs::path folder = paths_.partial() / name;
      struct stat status {};
      if (!digest_named(name) || ::lstat(folder.c_str(), &status) != 0 ||
          !S_ISDIR(status.st_mode)) {
        continue;
      }
      GcThing thing{"organ/partial/" + name, Digest(), bytes_below(folder),
                    std::max<std::int64_t>(status.st_mtime, status.st_ctime),
                    "an interrupted pull"};
      for (const StoredBlob& file : blobs_in(folder, strangers)) {
        thing.changed = std::max(thing.changed, file.changed);
      }
      things.push_back(std::move(thing));
    }
  }

  // One that an older organ is pulling into, without the registry's lock, is left to it.
  void remove_partial(const GcThing& thing) const {
    PartialFolder::remove_unused(paths_.root / thing.place);
  }

  bool is_whole(const Digest& digest) const {
    struct stat status {};
    if (::lstat(blobs_.path(digest).c_str(), &status) != 0) {
      if (errno == ENOENT) return false;
      fail_errno(blobs_.path(digest).string(), "stat");
    }
    return blobs_.is_whole(digest, static_cast<std::uint64_t>(status.st_size), work_.uncounted());
  }

  RegistryPaths paths_;
  Log log_;
  BlobStore blobs_;
  Quarantine quarantine_;
  OpenOptions options_;
  Work work_;
  std::optional<FileLock> lock_;
  std::vector<std::string> notices_;
};

}  // namespace

GcPlan plan_gc(const fs::path& folder, GcAction action, unsigned days, const OpenOptions& options,
               const Work& work) {
  FolderStore store(folder, options, work);
  store.meet_it();
  return plan_gc(store, action, format::clock_seconds(), days);
}

GcPlan apply_gc(const fs::path& folder, const std::string& token, const OpenOptions& options,
                const Work& work) {
  FolderStore store(folder, options, work);
  GcPlan plan = apply_gc(store, token, format::clock_seconds());
  plan.notices = store.take_notices();
  return plan;
}

}  // namespace organ::registry
