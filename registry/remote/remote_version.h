// SPDX-License-Identifier: Apache-2.0
// The small objects of a version in another registry: kilobytes that say all but the weights.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "format/manifest/manifest.h"
#include "registry/remote/repository.h"

namespace organ::registry {

struct RemoteVersion {
  BlobRef manifest;        // the OCI manifest: the identity
  std::string organ_text;  // organ.json
  format::Manifest organ;
  std::vector<std::string> bundles;  // of its signatures
  std::vector<std::string> attestations = {};
  std::size_t left_out = 0;  // of both, beyond those that are looked at
};

// Reads manifest, organ.json and signatures of the tag or digest that the reference names. Proves
// that the manifest has the digest that was asked for, and that it is the one that organ writes of
// this organ.json, so that publishing it here gives the same identity. Throws not_found, corrupt,
// invalid_argument (neither tag nor digest).
RemoteVersion read_version(const Repository& repository);

}  // namespace organ::registry
