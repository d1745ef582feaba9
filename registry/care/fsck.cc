// SPDX-License-Identifier: Apache-2.0
#include "registry/care/fsck.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <span>
#include <utility>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "registry/care/orphans.h"
#include "registry/care/store_scan.h"
#include "registry/log/merkle.h"
#include "registry/views.h"

namespace organ::registry {
namespace {

using format::Finding;

void take_views(VerifyReport::Item item, FsckReport& report) {
  for (Finding& finding : item.findings) report.views.push_back(std::move(finding));
}

void require_file(const std::filesystem::path& path) {
  const PathStatus status = path_status(path, Symlinks::refuse);
  if (status == PathStatus::nothing || status == PathStatus::file) return;
  fail(ErrorCode::corrupt, "{}: not a regular file", quote(path.string()));
}

// A cache that is never synced: whatever it holds is no damage, and is said.
void check_tree_file(const RegistryPaths& paths, const Log& log, FsckReport& report) {
  const std::filesystem::path path = paths.organ() / "log.tree";
  if (!is_taken(path)) return report.notes.push_back("organ/log.tree: is not there");
  MerkleTree tree;
  std::string expected;
  log.scan({}, [&](const LogPlace&, const LogEntry& entry) {
    for (const Digest& hash : tree.append(merkle_leaf(entry.to_text()))) {
      expected.append(hash.bytes().begin(), hash.bytes().end());
    }
  });
  const UniqueFd fd = open_regular(path, Symlinks::refuse);
  std::string found(std::min<std::uint64_t>(file_size(fd.get(), path.string()), expected.size()),
                    '\0');
  read_at(fd.get(), 0, std::as_writable_bytes(std::span(found)), path.string());
  if (found != expected) {
    report.notes.push_back(
        "organ/log.tree: is not what the log gives, so proofs read the whole log; the next entry "
        "makes one that is not there");
  }
}

void check_views(const RegistryPaths& paths, const Log& log, const BlobStore& blobs,
                 const Work& work, FsckReport& report) {
  std::optional<FileLock> lock;  // where no writer ever was, none is made for a look
  if (is_taken(paths.write_lock())) {
    lock.emplace(paths.write_lock(), FileLock::Kind::shared, kLockSeconds, work);
  }
  collect(report.views, "organ/catalog.db", [&] {
    require_file(paths.catalog());
    take_views(verify_catalog(paths, log, blobs, work, report.notes), report);
  });
  if (!is_taken(paths.index())) {
    report.notes.push_back("index.json: is not there; organ registry index writes it");
  } else if (report.views.empty()) {
    take_views(verify_index(paths, log), report);
  }
  collect(report.views, "organ/log.tree", [&] { check_tree_file(paths, log, report); });
  // The log may have grown since it was read.
  const LoggedState now = read_log(log, work.uncounted());
  collect(report.views, "organ/policy.json", [&] { check_policy_view(paths, now.facts); });
}

void check_met(const RegistryPaths& paths, const Log& log, const OpenOptions& options,
               FsckReport& report) {
  collect(report.records, "organ/log", [&] {
    const auto met = meet(paths, log, options);
    if (met && met->first_use) {
      report.notes.push_back("is met for the first time; its log key is " + met->known.log_key);
    }
  });
}

bool is_readable_checkpoint(const Log& log) {
  try {
    log.checkpoint();
    return true;
  } catch (const Error&) {
    return false;
  }
}

void check_log(const Log& log, const LoggedState& state, FsckReport& report) {
  report.entries = state.entries;
  report.versions = state.versions.size();
  if (state.damage) {
    collect(report.records, is_readable_checkpoint(log) ? "organ/log" : "organ/checkpoint",
            [&] { throw Error(*state.damage); });
  }
  if (state.beyond > 0) {
    report.notes.push_back("organ/log: ends with what a writer left; the next one completes it");
  }
}

// What was taken down is no damage; what is left of it all the same is to be known.
void tell_takedowns(const BlobStore& blobs, const LoggedState& state, const StoreScan& scan,
                    FsckReport& report) {
  for (const auto& [key, takedown] : state.facts.takedowns()) {
    report.notes.push_back(fmt::format("{}:{}: {}; its weights are not expected here", key.first,
                                       key.second, describe(takedown)));
  }
  for (const LoggedVersion& version : state.versions) {
    report.removed += version.content_expected ? 0 : 1;
  }
  for (const auto& [subject, files] : leftover_weights(blobs, state, scan.referred)) {
    report.notes.push_back(fmt::format(
        "{}: {} of it still here although it was taken down: organ takedown {} takes them "
        "away",
        subject, counted(files.size(), "object"), subject));
  }
}

// A takedown takes away what was referred to when the log was read, behind an entry that says so.
StoreScan scan_as_logged(const BlobStore& blobs, const Log& log, LoggedState& state,
                         const Work& work) {
  StoreScan scan = scan_store(blobs, state, ScanDepth::everything, work);
  while (!scan.damaged.empty()) {
    LoggedState now = read_log(log, work.uncounted());
    if (now.facts.takedowns() == state.facts.takedowns()) break;
    scan = {};
    state = std::move(now);
    scan = scan_store(blobs, state, ScanDepth::everything, work.uncounted());
  }
  return scan;
}

// `state` is what it was, or newer.
void check_objects(const RegistryPaths& paths, const Log& log, const OpenOptions& options,
                   LoggedState& state, const Work& work, FsckReport& report) {
  const BlobStore blobs(paths.root);
  StoreScan scan = scan_as_logged(blobs, log, state, work);
  tell_takedowns(blobs, state, scan, report);
  for (DamagedUse& one : scan.damaged) report.objects.push_back(std::move(one.damage));
  if (!report.objects.empty()) forget_reads(paths.root, options.read_memory, work, report.notes);
  report.affected = std::move(scan.affected);
  report.checked = scan.checked;
  report.bytes = scan.bytes;
  std::ranges::move(scan.notes, std::back_inserter(report.notes));
  for (const StoredBlob& blob : orphans_of(blobs, scan.referred, report.notes)) {
    ++report.orphans;
    report.orphan_bytes += blob.size;
  }
}

}  // namespace

FsckReport fsck(const std::filesystem::path& folder, const OpenOptions& options, const Work& work) {
  FsckReport report;
  const RegistryPaths paths = find_registry(folder);
  std::optional<Log> log;
  collect(report.records, "organ/trust/log.vkey", [&] { log.emplace(paths.organ()); });
  if (!log) return report;  // nothing says what has to be here
  LoggedState state = read_log(*log, work.uncounted());
  check_log(*log, state, report);
  if (!state.damage) check_met(paths, *log, options, report);
  check_objects(paths, *log, options, state, work, report);
  if (state.damage) {
    report.notes.push_back("the views were not compared: what they are made from is damaged");
  } else {
    check_views(paths, *log, BlobStore(paths.root), work, report);
  }
  return report;
}

}  // namespace organ::registry
