// SPDX-License-Identifier: Apache-2.0
// The views of a registry compared with what they are made from. Nothing is written.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "registry/blobs/blob_store.h"
#include "registry/log/facts.h"
#include "registry/registry_paths.h"

namespace organ::registry {

// Whatever stops the check of one thing (corrupt, not_found, untrusted, unsupported_version, an
// object that the medium does not give: UnreadableBlob) becomes a finding about that thing,
// not_found as corrupt; a failing machine (io) and what somebody else holds or asks for (conflict,
// cancelled) end the run. A finding of code io says that nobody knows: nothing may be made anew or
// given up for it.
void collect(std::vector<format::Finding>& findings, const std::string& subject,
             const std::function<void()>& action);

// Damage was found in this registry, or an object could not be read: what was read before does not
// count any more. `notes` says so where that cannot be written down. Throws cancelled.
void forget_reads(const std::filesystem::path& registry, const std::filesystem::path& memory,
                  const Work& work, std::vector<std::string>& notes);

// catalog.db as it is now. A catalog of before damage was done, or of before it was mended, differs
// from one that is made now. What is no damage goes to `notes`. Requires the write lock, shared.
VerifyReport::Item verify_catalog(const RegistryPaths& paths, const Log& log,
                                  const BlobStore& blobs, const Work& work,
                                  std::vector<std::string>& notes);
// index.json: it lists what there was when it was written, the first entries. Requires the same.
VerifyReport::Item verify_index(const RegistryPaths& paths, const Log& log);
// Throws untrusted when policy.json shows other rules than the entries that made `facts`.
void check_policy_view(const RegistryPaths& paths, const LogFacts& facts);

}  // namespace organ::registry
