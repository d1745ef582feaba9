// SPDX-License-Identifier: Apache-2.0
// Making lock files of what a registry has now, and comparing the two later.
#pragma once

#include <string>
#include <vector>

#include "format/base/finding.h"
#include "format/manifest/reference.h"
#include "format/organ/organ_source.h"
#include "registry/lockfile/lock_file.h"
#include "registry/registry.h"

#pragma GCC visibility push(default)

namespace organ::registry {

// What each reference is now. Throws as Registry::resolve and open_organ, untrusted (what was
// revoked or taken down is not locked), invalid_argument (none, or two of one name).
LockFile lock_versions(const Registry& registry, const std::vector<format::Reference>& references);

// Asks anew for what these names were asked for by; the others stay as they are. When that changes
// nothing, the lock is returned as it was. Throws as lock_versions and require_same_log, not_found.
LockFile update_lock(const LockFile& lock, const Registry& registry,
                     const std::vector<std::string>& names);

// Throws untrusted unless the registry's log begins with the entries of then, and has the key that
// was locked, or one that roots lead to from it. Reads the log as a whole.
void require_same_log(const LockFile& lock, const Registry& registry);

// The locked version of the reference's name, from a registry for which require_same_log held.
// Throws not_found (not in the lock, or not in the registry), incompatible (the reference does not
// agree with what is locked), untrusted (it has other content).
ResolvedVersion resolve_locked(const LockFile& lock, const Registry& registry,
                               const format::Reference& reference);

// What is compared is organ.json, by its digest; it names all files by theirs. Throws not_found
// unless the lock has an organ of this name, incompatible when its version is another,
// untrusted when it has other content. For an organ folder: of the registry it says nothing.
void require_locked(const LockFile& lock, const format::OrganSource& organ);

// What CI asks. A finding of class untrusted: another log, other content, revoked; not_found: it is
// gone; incompatible: yanked, or what it was asked for by is another version now. The subject is
// NAME:VERSION, or the log's origin. Empty: all is as locked. With another log nothing else is
// looked at. Throws what Registry::resolve does for damage.
std::vector<format::Finding> check_lock(const LockFile& lock, const Registry& registry);

}  // namespace organ::registry

#pragma GCC visibility pop
