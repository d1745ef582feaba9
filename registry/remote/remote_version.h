// SPDX-License-Identifier: Apache-2.0
// The small objects of a version in another registry: kilobytes that say all but the weights.
#pragma once

#include <string>

#include "format/manifest/manifest.h"
#include "format/signature/attached_bundles.h"
#include "registry/remote/repository.h"

namespace organ::registry {

struct RemoteVersion {
  BlobRef manifest;        // the OCI manifest: the identity
  std::string organ_text;  // organ.json
  format::Manifest organ;
  format::AttachedBundles attached;  // left out: also what is neither signature nor about it
};

// Reads manifest, organ.json and signatures of the tag or digest that the reference names. Proves
// that the manifest has the digest that was asked for, and that it is the one that organ writes of
// this organ.json, so that publishing it here gives the same identity. Throws not_found, corrupt,
// invalid_argument (neither tag nor digest).
RemoteVersion read_version(const Repository& repository);

}  // namespace organ::registry
