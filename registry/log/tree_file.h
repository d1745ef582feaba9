// SPDX-License-Identifier: Apache-2.0
// organ/log.tree: the hashes of the log's Merkle tree, 32 bytes each, in the order in which they
// become final: each leaf, then every perfect subtree that it completes. With it an entry is proved
// to be in the tree by O(log n) reads. A cache that nobody trusts: what it gives is compared with
// the signed root, and it is made again from the log.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <utility>
#include <vector>

#include "format/base/digest.h"
#include "registry/log/merkle_proof.h"

namespace organ::registry {

class TreeFile {
 public:
  explicit TreeFile(std::filesystem::path path) : path_(std::move(path)) {}

  // Lends what the file says, which may be wrong, to `use`. False when the file is missing, or too
  // short for what is asked of it; `use` may have been called then.
  bool read(const std::function<void(const SubtreeRoots& subtrees)>& use) const;

  // Adds what becomes final with entry `index`. False when the file lacks hashes of entries before
  // it, or is missing: then it is to be made anew. What stands at that place is written over,
  // nothing is synced. Throws io.
  bool append(std::uint64_t index, const std::vector<Digest>& final_hashes) const;
  // Makes the file anew, at once or not at all, of all hashes in their order. Throws io.
  void replace(const std::vector<Digest>& hashes) const;

 private:
  std::filesystem::path path_;
};

}  // namespace organ::registry
