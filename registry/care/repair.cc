// SPDX-License-Identifier: Apache-2.0
#include "registry/care/repair.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/base/path_status.h"
#include "registry/care/internal/log_repair.h"
#include "registry/care/internal/repair_source.h"
#include "registry/care/quarantine.h"
#include "registry/care/store_scan.h"
#include "registry/catalog/catalog.h"
#include "registry/views.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;
using Piece = DamagedObject::Piece;
using Taken = std::vector<std::pair<std::string, std::uint64_t>>;

// An object put together from pieces; the digest of each is known, or that of the whole alone.
class Assembly {
 public:
  Assembly(const DamagedUse& use, const Work& work) : use_(use), work_(work) {}

  // Writes the object into an empty file; -1: nowhere. Returns its digest. Where no source has a
  // piece it goes on, so that `lacking` names them all.
  Digest write(int fd, const std::vector<RepairSource*>& sources) {
    taken_.clear();
    lacking_.clear();
    const BlobRef& blob = use_.damage.blob;
    Sha256Hasher whole;
    std::vector<std::byte> buffer(
        static_cast<std::size_t>(std::min<std::uint64_t>(kChunkSize, blob.size)));
    for (std::uint64_t at = 0; at < blob.size; at += kChunkSize) {
      const auto piece = std::span(buffer).first(
          static_cast<std::size_t>(std::min<std::uint64_t>(kChunkSize, blob.size - at)));
      work_.require_wanted();
      if (!read_piece(sources, at, piece)) {
        lacking_.push_back({at, at + piece.size()});
        continue;
      }
      whole.update(piece);
      if (fd >= 0) write_at(fd, at, piece, "blob " + blob.digest.to_string());
    }
    return whole.finish();
  }

  const std::vector<Piece>& lacking() const { return lacking_; }
  Taken taken() const {
    Taken list(taken_.begin(), taken_.end());
    return list;
  }

 private:
  bool read_piece(const std::vector<RepairSource*>& sources, std::uint64_t at,
                  std::span<std::byte> piece) {
    const WantedObject wanted{use_.damage.kind, use_.damage.blob, use_.version};
    for (RepairSource* source : sources) {
      if (!source->read(wanted, at, piece)) continue;
      const bool known = !use_.pieces.empty();
      if (known && sha256(piece) != use_.pieces[static_cast<std::size_t>(at / kChunkSize)]) {
        continue;
      }
      taken_[source->describe()] += piece.size();
      return true;
    }
    return false;
  }

  const DamagedUse& use_;
  Work work_;
  std::map<std::string, std::uint64_t> taken_;
  std::vector<Piece> lacking_;
};

class Mender {
 public:
  Mender(const RegistryPaths& paths, const RepairOptions& options, const Work& work)
      : blobs_(paths.root), quarantine_(paths), own_(own_texts(blobs_)), options_(options) {
    for (const std::string& text : options.sources) {
      sources_.push_back(open_source(text, options.remote, work));
    }
  }

  // True when the object is whole now, or would be.
  bool mend(const DamagedUse& use, RepairReport& report, const Work& work) {
    // What stays damaged behind its mending (a medium that gives nothing back) would be mended for
    // ever.
    if (!use.mendable || mended_.contains(use.damage.blob.digest)) {
      report.left.push_back(use.damage);
      return false;
    }
    const std::vector<std::unique_ptr<RepairSource>> near = near_sources(use);
    std::vector<RepairSource*> all;
    all.reserve(near.size() + 1 + sources_.size());
    for (const auto& source : near) all.push_back(source.get());
    all.push_back(own_.get());
    for (const auto& source : sources_) all.push_back(source.get());
    std::vector<Piece> lacking{{0, use.damage.blob.size}};
    // Without digests of pieces each source is good for the whole or for nothing.
    const std::size_t groups = use.pieces.empty() ? all.size() : 1;
    for (std::size_t i = 0; i < groups; ++i) {
      const auto group = use.pieces.empty() ? std::vector<RepairSource*>{all[i]} : all;
      if (attempt(use, group, lacking, report, work)) return true;
    }
    report.left.push_back(use.damage);
    report.left.back().pieces = std::move(lacking);
    return false;
  }

  void tell_problems(RepairReport& report) const {
    for (const auto& source : sources_) {
      if (source->problem().empty()) continue;
      report.notes.push_back(source->describe() + " did not answer: " + source->problem());
    }
  }

 private:
  // The object itself, then copies of it in the quarantine.
  std::vector<std::unique_ptr<RepairSource>> near_sources(const DamagedUse& use) const {
    const Digest& digest = use.damage.blob.digest;
    std::vector<std::unique_ptr<RepairSource>> near;
    near.push_back(file_source(blobs_.path(digest), "itself"));
    for (const fs::path& copy : quarantine_.copies_of(digest)) {
      near.push_back(file_source(copy, "the quarantine"));
    }
    return near;
  }

  bool attempt(const DamagedUse& use, const std::vector<RepairSource*>& group,
               std::vector<Piece>& lacking, RepairReport& report, const Work& work) {
    const BlobRef& blob = use.damage.blob;
    Assembly assembly(use, work);
    try {
      if (options_.dry_run) {
        const Digest found = assembly.write(-1, group);
        if (!assembly.lacking().empty()) lacking = assembly.lacking();
        if (!assembly.lacking().empty() || found != blob.digest) return false;
      } else {
        require_space(blobs_.folder(), blob.size);
        StagedBlob staged = blobs_.stage_written(blob.digest, blob.size, work.uncounted(),
                                                 [&](int fd) { return assembly.write(fd, group); });
        quarantine_.keep_damaged(blob.digest, blob.size);
        blobs_.link(std::move(staged));
        blobs_.sync();
        mended_.insert(blob.digest);
        if (options_.changed) options_.changed();
      }
    } catch (const Error& error) {
      // What came together has another digest.
      if (error.code() != ErrorCode::corrupt) throw;
      if (!assembly.lacking().empty()) lacking = assembly.lacking();
      return false;
    }
    work.advance(blob.size);
    report.mended.push_back({use.damage, assembly.taken()});
    return true;
  }

  BlobStore blobs_;
  Quarantine quarantine_;
  std::unique_ptr<RepairSource> own_;
  std::vector<std::unique_ptr<RepairSource>> sources_;
  const RepairOptions& options_;
  std::set<Digest> mended_;
};

// Versions in log order that are in one of the lists.
std::vector<std::string> in_log_order(const LoggedState& state, const std::set<std::string>& some) {
  std::vector<std::string> ordered;
  for (const LoggedVersion& version : state.versions) {
    if (some.contains(version.subject())) ordered.push_back(version.subject());
  }
  return ordered;
}

Work mending_phase(const StoreScan& scan, const Work& work) {
  std::uint64_t bytes = 0;
  for (const DamagedUse& use : scan.damaged) bytes += use.damage.blob.size;
  return work.phase("mending", bytes);
}

// What is small says what there must be: it is mended first, as often as that shows more damage.
void mend_small(Mender& mender, const BlobStore& blobs, const LoggedState& state, bool dry_run,
                std::set<std::string>& affected, RepairReport& report, const Work& work) {
  for (bool again = true; again;) {
    again = false;
    const StoreScan scan = scan_store(blobs, state, ScanDepth::small_objects, work);
    affected.insert(scan.affected.begin(), scan.affected.end());
    RepairReport round;
    const Work mending = mending_phase(scan, work);
    for (const DamagedUse& use : scan.damaged) again |= mender.mend(use, round, mending);
    if (!again || dry_run) return;  // what is left is met again by the whole scan
    std::ranges::move(round.mended, std::back_inserter(report.mended));
  }
}

// What could not be read when its row was written is whole now.
void renew_catalog(const RegistryPaths& paths, const OpenOptions& options, const Work& work,
                   RepairReport& report) {
  try {
    if (!is_taken(paths.catalog())) return;
    const auto catalog = Catalog::open(paths.catalog());
    if (!catalog || !catalog->has_damage()) return;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::unsupported_version) {
      throw;
    }
    report.notes.push_back(error.message());
    return;
  }
  Registry::rebuild(paths.root, options, work.committed());
  report.notes.push_back("the catalog was made anew");
}

}  // namespace

RepairReport repair(const fs::path& folder, const RepairOptions& repair_options,
                    const OpenOptions& options, const Work& work) {
  const RegistryPaths paths = find_registry(folder);
  const Log log(paths.organ());
  const BlobStore blobs(paths.root);
  Mender mender(paths, repair_options, work);
  RepairReport report;
  LoggedState state = read_log(log, work.uncounted());
  if (state.damage) {
    const std::string source =
        repair_log(paths, log, repair_options.sources, repair_options.dry_run, work);
    if (source.empty()) throw Error(*state.damage);
    report.log_from = source;
    if (!repair_options.dry_run && repair_options.changed) repair_options.changed();
    if (repair_options.dry_run) return report;  // only then is known what objects there must be
    state = read_log(log, work.uncounted());
    if (state.damage) throw Error(*state.damage);
  }
  meet(paths, log, options);
  std::optional<FileLock> lock;
  if (!repair_options.dry_run) {
    lock.emplace(share_store(paths, work));
    // What was taken down before this lock was had is not brought back.
    state = read_log(log, work.uncounted());
    if (state.damage) throw Error(*state.damage);
    create_folders(blobs.folder(), Rights::folder);
    blobs.remove_leftovers();
  }
  std::set<std::string> before, after;
  mend_small(mender, blobs, state, repair_options.dry_run, before, report, work);
  const StoreScan scan = scan_store(blobs, state, ScanDepth::everything, work);
  before.insert(scan.affected.begin(), scan.affected.end());
  const Work mending = mending_phase(scan, work);
  for (const DamagedUse& use : scan.damaged) mender.mend(use, report, mending);
  for (const DamagedObject& object : report.left) {
    after.insert(object.versions.begin(), object.versions.end());
  }
  report.affected_before = in_log_order(state, before);
  report.affected_after = in_log_order(state, after);
  mender.tell_problems(report);
  if (!report.left.empty() || !report.mended.empty()) {
    forget_reads(paths.root, options.read_memory, work, report.notes);
  }
  // Also what a run that was ended behind its last object left.
  if (!repair_options.dry_run && (!report.mended.empty() || report.left.empty())) {
    renew_catalog(paths, options, work, report);
  }
  return report;
}

}  // namespace organ::registry
