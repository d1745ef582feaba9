// SPDX-License-Identifier: Apache-2.0
// The Merkle tree of RFC 6962, section 2.1: leaf = SHA-256(0x00 || data), inner node =
// SHA-256(0x01 || left || right), the empty tree = SHA-256 of nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"

namespace organ::registry {

// Hash of a leaf, and of an inner node above two hashes.
Digest merkle_leaf(std::string_view data);
Digest merkle_node(const Digest& left, const Digest& right);

// A growing tree kept as the roots of its perfect subtrees, largest first: appending and the root
// take O(log n). A value.
class MerkleTree {
 public:
  std::uint64_t size() const { return size_; }  // leaves
  // Returns the hashes that are final with it: the leaf, then each subtree that it completes.
  std::vector<Digest> append(const Digest& leaf);
  // Of all leaves so far.
  Digest root() const;

  // "SIZE:HEX…": the size in decimal and the subtree roots, largest first, 64 digits each.
  std::string to_text() const;
  // Throws corrupt naming `subject`. That the hashes are those of any leaves is not known.
  static MerkleTree parse(std::string_view text, std::string_view subject);

 private:
  std::uint64_t size_ = 0;
  std::vector<Digest> subtrees_;  // one per set bit of size_
};

}  // namespace organ::registry
