// SPDX-License-Identifier: Apache-2.0
#include "registry/care/stats.h"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "format/base/file.h"
#include "registry/care/orphans.h"
#include "registry/care/store_walk.h"

namespace organ::registry {
namespace {

// What versions refer to: sizes by digest, and whether it is as large as it must be.
struct Counted {
  std::map<Digest, std::uint64_t> sizes;
  std::set<Digest> damaged;
  std::uint64_t logical = 0;
};

void count_version(const BlobStore& blobs, const LoggedVersion& version, Counted& counted) {
  std::set<Digest> own;
  walk_version(blobs, version,
               {.seen =
                    [&](const ObjectUse& use, const std::string*) {
                      if (own.insert(use.blob.digest).second) counted.logical += use.blob.size;
                      const bool is_new =
                          counted.sizes.try_emplace(use.blob.digest, use.blob.size).second;
                      if (is_new && !blobs.has(use.blob.digest, use.blob.size)) {
                        counted.damaged.insert(use.blob.digest);
                      }
                    },
                .unusable =
                    [&](const ObjectUse& use, const Error& why) {
                      if (why.code() != ErrorCode::unsupported_version)
                        counted.damaged.insert(use.blob.digest);
                    }});
}

}  // namespace

StoreStats store_stats(const std::filesystem::path& folder, const OpenOptions& options,
                       const Work& work) {
  const RegistryPaths paths = find_registry(folder);
  const Log log(paths.organ());
  const LoggedState state = read_log(log, work.uncounted());
  if (state.damage) throw Error(*state.damage);
  meet(paths, log, options);
  const BlobStore blobs(paths.root);
  StoreStats stats{.entries = state.entries,
                   .log_bytes = size_of_file(paths.organ() / "log") - state.beyond,
                   .first_entry = state.first_time,
                   .last_entry = state.last_time};
  Counted counted;
  std::set<std::string> names;
  for (const LoggedVersion& version : state.versions) {
    work.require_wanted();
    names.insert(version.name);
    stats.removed += version.content_expected ? 0 : 1;
    count_version(blobs, version, counted);
  }
  stats.names = names.size();
  stats.versions = state.versions.size();
  stats.logical = counted.logical;
  stats.objects = counted.sizes.size();
  std::uint64_t once = 0;
  for (const auto& [digest, size] : counted.sizes) once += size;
  stats.shared = counted.logical - once;
  stats.damaged = counted.damaged.size();
  std::vector<std::string> strangers;
  for (const StoredBlob& blob : blobs_in(blobs.folder(), strangers)) {
    if (counted.sizes.contains(blob.digest)) {
      stats.stored += blob.size;
    } else {
      ++stats.orphans;
      stats.orphan_bytes += blob.size;
    }
  }
  stats.quarantined = bytes_below(paths.quarantine());
  stats.partial = bytes_below(paths.partial());
  return stats;
}

}  // namespace organ::registry
