// SPDX-License-Identifier: Apache-2.0
#include "registry/care/store_scan.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "registry/care/object_check.h"

namespace organ::registry {
namespace {

using Key = std::pair<Digest, std::uint64_t>;

Key key_of(const ObjectUse& use) { return {use.blob.digest, use.blob.size}; }

// Files that are open at one time.
constexpr std::size_t kBatch = 64;

// Nothing happens to what cannot be used.
void pass_over(const ObjectUse&, const Error&) {}

class Scanner {
 public:
  Scanner(const BlobStore& blobs, const LoggedState& state) : blobs_(blobs), state_(state) {}

  StoreScan run(ScanDepth depth, const Work& work) {
    for (const LoggedVersion& version : state_.versions) {
      work.require_wanted();
      look_at(version);
    }
    if (depth == ScanDepth::everything) check_files(work);
    if (!scan_.damaged.empty()) attribute();
    return std::move(scan_);
  }

 private:
  struct File {
    ObjectUse use;  // without its entry, which lives no longer than the walk
    const LoggedVersion* version = nullptr;
    bool described = false;  // by an organ.json that can be read
  };

  void look_at(const LoggedVersion& version) {
    walk_version(
        blobs_, version,
        {.seen = [&](const ObjectUse& use, const std::string*) { see(version, use); },
         .unusable = [&](const ObjectUse& use, const Error& why) { refuse(version, use, why); }});
  }

  void see(const LoggedVersion& version, const ObjectUse& use) {
    scan_.referred.insert(use.blob.digest);
    if (seen_.insert(key_of(use)).second) {
      ++scan_.checked;
      scan_.bytes += use.blob.size;
    }
    if (use.kind != ObjectKind::file) return;
    File& file = files_[key_of(use)];
    if (file.described || (file.version != nullptr && use.entry == nullptr)) return;
    file = {.use = use, .version = &version, .described = use.entry != nullptr};
    file.use.entry = nullptr;
  }

  void refuse(const LoggedVersion& version, const ObjectUse& use, const Error& why) {
    if (why.code() == ErrorCode::unsupported_version) {
      scan_.notes.push_back(version.subject() + ": " + why.message());
      return;
    }
    if (places_.contains(key_of(use))) return;
    const bool mendable = !blobs_.is_whole(use.blob.digest, use.blob.size);
    add(use, damage_of(blobs_, use, why.message()), {}, version, mendable);
  }

  void add(const ObjectUse& use, DamagedObject damage, std::vector<Digest> pieces,
           const LoggedVersion& version, bool mendable) {
    places_[key_of(use)] = scan_.damaged.size();
    scan_.damaged.push_back({std::move(damage), std::move(pieces), &version, mendable});
  }

  // What the organ.json of a version says of a file.
  std::optional<format::FileEntry> entry_of(const File& file) const {
    std::optional<format::FileEntry> entry;
    walk_version(blobs_, *file.version,
                 {.seen =
                      [&](const ObjectUse& use, const std::string*) {
                        if (use.entry != nullptr && key_of(use) == key_of(file.use)) {
                          entry = *use.entry;
                        }
                      },
                  .unusable = pass_over});
    return entry;
  }

  void check_files(const Work& work) {
    std::uint64_t bytes = 0;
    std::vector<const File*> batch;
    for (const auto& [key, file] : files_) bytes += key.second;
    const Work checking = work.phase("checking", bytes);
    for (const auto& [key, file] : files_) {
      batch.push_back(&file);
      if (batch.size() == kBatch) check_batch(std::exchange(batch, {}), checking);
    }
    check_batch(batch, checking);
  }

  // Each file is read once, several side by side; those that are not what their names say once
  // more.
  void check_batch(const std::vector<const File*>& batch, const Work& work) {
    for (const File* file : suspects(batch, work)) {
      std::vector<Digest> pieces;
      auto damage = check_file(
          blobs_, file->use, [&] { return entry_of(*file); }, pieces, work.uncounted());
      if (damage) add(file->use, *std::move(damage), std::move(pieces), *file->version, true);
    }
  }

  std::vector<const File*> suspects(const std::vector<const File*>& batch, const Work& work) const {
    std::vector<const File*> found, whole;
    std::vector<UniqueFd> fds;
    std::vector<HashRange> ranges;
    for (const File* file : batch) {
      UniqueFd fd = open_as_it_is(blobs_.path(file->use.blob.digest));
      if (!fd || file_size(fd.get(), file->use.file) != file->use.blob.size) {
        found.push_back(file);
        continue;
      }
      ranges.push_back({fd.get(), 0, file->use.blob.size});
      fds.push_back(std::move(fd));
      whole.push_back(file);
    }
    try {
      const std::vector<Digest> digests = hash_ranges(ranges, "objects", work);
      for (std::size_t i = 0; i < whole.size(); ++i) {
        if (digests[i] != whole[i]->use.blob.digest) found.push_back(whole[i]);
      }
    } catch (const Error& error) {
      // One of them cannot be read: each is looked at alone.
      if (error.code() != ErrorCode::io && error.code() != ErrorCode::corrupt) throw;
      found = batch;
    }
    return found;
  }

  // Which versions need what is damaged: once more through what is small.
  void attribute() {
    for (const LoggedVersion& version : state_.versions) {
      bool harmed = false;
      walk_version(blobs_, version,
                   {.seen =
                        [&](const ObjectUse& use, const std::string*) {
                          const auto place = places_.find(key_of(use));
                          if (place == places_.end()) return;
                          harmed = true;
                          auto& versions = scan_.damaged[place->second].damage.versions;
                          const std::string subject = version.subject();
                          if (versions.empty() || versions.back() != subject) {
                            versions.push_back(subject);
                          }
                        },
                    .unusable = pass_over});
      if (harmed) scan_.affected.push_back(version.subject());
    }
  }

  const BlobStore& blobs_;
  const LoggedState& state_;
  std::set<Key> seen_;
  std::map<Key, File> files_;
  std::map<Key, std::size_t> places_;  // among the damaged
  StoreScan scan_;
};

}  // namespace

StoreScan scan_store(const BlobStore& blobs, const LoggedState& state, ScanDepth depth,
                     const Work& work) {
  return Scanner(blobs, state).run(depth, work);
}

}  // namespace organ::registry
