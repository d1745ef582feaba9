// SPDX-License-Identifier: Apache-2.0
#include "registry/lockfile/locking.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "format/base/fail.h"

namespace organ::registry {
namespace {

using format::Finding;
using format::Reference;
using format::Version;

constexpr char kUpdateHint[] =
    "organ lock --update NAME takes what there is now into the lock file";

LockedOrgan locked_now(const Registry& registry, const Reference& reference) {
  const ResolvedVersion version = registry.resolve(reference);
  require_not_revoked(version);
  const auto organ = registry.open_organ(version);
  LockedOrgan locked{.name = version.name,
                     .asked = reference.to_string(),
                     .version = version.version,
                     .manifest = {version.digest, version.manifest_size},
                     .files = {},
                     .log_index = version.log_index};
  const std::string& text = organ->manifest_text();
  locked.files.push_back({std::string(format::kManifestFile), {sha256(text), text.size()}});
  for (const format::FileEntry& file : organ->manifest().files) {
    locked.files.push_back({file.path, {file.digest, file.size}});
  }
  return locked;
}

// Behind whatever was resolved before, so that each publish entry is among them.
void take_checkpoint(LockFile& lock, const Registry& registry) {
  lock.log_key = registry.log_key();
  lock.log_size = registry.log_size();
  lock.log_root = registry.log_root(lock.log_size);
}

bool agrees(const Reference& reference, const LockedOrgan& locked) {
  struct Visitor {
    const Reference& reference;
    const LockedOrgan& locked;
    bool operator()(std::monostate) const { return true; }
    bool operator()(const Version& version) const { return version.to_string() == locked.version; }
    bool operator()(const Digest& digest) const { return digest == locked.manifest.digest; }
    bool operator()(const format::Alias&) const { return reference.to_string() == locked.asked; }
    bool operator()(const format::VersionRange& range) const {
      return range.contains(Version::parse(locked.version));
    }
  };
  return std::visit(Visitor{reference, locked}, reference.selector);
}

std::string subject_of(const LockedOrgan& locked) { return locked.name + ":" + locked.version; }

ResolvedVersion version_of(const LockedOrgan& locked, const Registry& registry) {
  ResolvedVersion version = registry.resolve({locked.name, Version::parse(locked.version)});
  if (version.digest != locked.manifest.digest) {
    fail(ErrorCode::untrusted, "{}: is {} in this registry, was locked as {}", subject_of(locked),
         version.digest.to_string(), locked.manifest.digest.to_string());
  }
  return version;
}

// What the reference that was asked means now; a finding when that is another version.
void check_asked(const LockedOrgan& locked, const Registry& registry,
                 std::vector<Finding>& findings) {
  const auto add = [&](std::string message) {
    findings.push_back({ErrorCode::incompatible, subject_of(locked), std::move(message)});
  };
  try {
    const ResolvedVersion now = registry.resolve(Reference::parse(locked.asked));
    if (now.version == locked.version) return;
    add(fmt::format("is out of date: {} is {} now", locked.asked, now.version));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
    add(fmt::format("is out of date: {}", error.message()));
  }
}

void check_organ(const LockedOrgan& locked, const Registry& registry,
                 std::vector<Finding>& findings) {
  try {
    const ResolvedVersion version = version_of(locked, registry);
    require_not_revoked(version);
    if (version.yank_reason) {
      findings.push_back({ErrorCode::incompatible, subject_of(locked),
                          "is yanked: " + escape_text(*version.yank_reason)});
      return;
    }
  } catch (const Error& error) {
    const ErrorCode code = error.code();
    if (code != ErrorCode::untrusted && code != ErrorCode::not_found) throw;
    findings.push_back(Finding::of(subject_of(locked), error));
    return;
  }
  check_asked(locked, registry, findings);
}

}  // namespace

LockFile lock_versions(const Registry& registry, const std::vector<Reference>& references) {
  if (references.empty()) fail(ErrorCode::invalid_argument, "nothing to lock");
  LockFile lock;
  for (const Reference& reference : references) {
    lock.organs.push_back(locked_now(registry, reference));
  }
  std::ranges::sort(lock.organs, {}, &LockedOrgan::name);
  const auto twice = std::ranges::adjacent_find(lock.organs, {}, &LockedOrgan::name);
  if (twice != lock.organs.end()) {
    throw Error(ErrorCode::invalid_argument, quote(twice->name) + ": is asked for twice",
                "a lock file holds one version of each name");
  }
  take_checkpoint(lock, registry);
  return lock;
}

LockFile update_lock(const LockFile& lock, const Registry& registry,
                     const std::vector<std::string>& names) {
  require_same_log(lock, registry);
  LockFile updated = lock;
  for (const std::string& name : names) {
    const LockedOrgan& before = lock.find(name);
    *std::ranges::find(updated.organs, name, &LockedOrgan::name) =
        locked_now(registry, Reference::parse(before.asked));
  }
  if (updated != lock) take_checkpoint(updated, registry);
  return updated;
}

void require_same_log(const LockFile& lock, const Registry& registry) {
  const std::string folder = quote(registry.folder().string());
  if (!registry.had_log_key(lock.log_key, lock.log_size)) {
    fail(ErrorCode::untrusted, "{}: its log key is {}, which does not follow the lock file's, {}",
         folder, registry.log_key(), escape_text(lock.log_key));
  }
  const std::uint64_t size = registry.log_size();
  if (size < lock.log_size) {
    fail(ErrorCode::untrusted,
         "{}: rollback: its log has {}, it had {} when the lock file was made", folder,
         counted(size, "entry"), lock.log_size);
  }
  if (registry.log_root(lock.log_size) != lock.log_root) {
    fail(ErrorCode::untrusted,
         "{}: fork: the root over the first {} of its log is not the lock file's", folder,
         counted(lock.log_size, "entry"));
  }
}

ResolvedVersion resolve_locked(const LockFile& lock, const Registry& registry,
                               const Reference& reference) {
  const LockedOrgan& locked = lock.find(reference.name);
  if (!agrees(reference, locked)) {
    throw Error(ErrorCode::incompatible,
                fmt::format("{}: {} is locked, asked for as {}", quote(reference.to_string()),
                            subject_of(locked), quote(locked.asked)),
                kUpdateHint);
  }
  return version_of(locked, registry);
}

void require_locked(const LockFile& lock, const format::OrganSource& organ) {
  const format::Manifest& manifest = organ.manifest();
  const LockedOrgan& locked = lock.find(manifest.name);
  const std::string subject = quote(organ.describe());
  if (manifest.version != locked.version) {
    throw Error(ErrorCode::incompatible,
                fmt::format("{}: is {}:{}, {} is locked", subject, manifest.name, manifest.version,
                            subject_of(locked)),
                kUpdateHint);
  }
  const Digest& wanted = locked.files.front().blob.digest;
  if (const Digest found = sha256(organ.manifest_text()); found != wanted) {
    fail(ErrorCode::untrusted, "{}: its organ.json has digest {}, {} was locked with {}", subject,
         found.to_string(), subject_of(locked), wanted.to_string());
  }
}

std::vector<Finding> check_lock(const LockFile& lock, const Registry& registry) {
  std::vector<Finding> findings;
  try {
    require_same_log(lock, registry);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::untrusted) throw;
    const std::string origin = lock.log_key.substr(0, lock.log_key.find('+'));
    findings.push_back(Finding::of(origin, error));
    return findings;
  }
  for (const LockedOrgan& locked : lock.organs) check_organ(locked, registry, findings);
  return findings;
}

}  // namespace organ::registry
