// SPDX-License-Identifier: Apache-2.0
// Proofs about the tree of merkle.h: that an entry is in it (RFC 6962, section 2.1.1), that one
// tree is the beginning of another (section 2.1.2). They are checked as RFC 9162 writes it down
// (sections 2.1.3.2 and 2.1.4.2): only with exactly the hashes that the sizes ask for.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "registry/log/merkle.h"

namespace organ::registry {

// Of a tree of 2^64 - 1 entries; a consistency proof has one hash more than its levels.
inline constexpr std::size_t kLongestProof = 65;

// The root of the perfect subtree over entries first to first + count - 1; `count` is a power of
// two that divides `first`.
using SubtreeRoots = std::function<Digest(std::uint64_t first, std::uint64_t count)>;

// Where that root stands in the order in which hashes become final (MerkleTree::append), from 0.
std::uint64_t final_place(std::uint64_t first, std::uint64_t count);
// How many hashes are final with so many entries.
std::uint64_t final_count(std::uint64_t entries);

// The root over entries first to end - 1, first < end, of a range that halving a tree as RFC 6962
// does gives: its perfect subtrees begin at multiples of their size.
Digest subtree_root(std::uint64_t first, std::uint64_t end, const SubtreeRoots& subtrees);

// From the leaf's sibling up; index < size.
std::vector<Digest> inclusion_proof(std::uint64_t index, std::uint64_t size,
                                    const SubtreeRoots& subtrees);
// That the tree of `first` entries is the beginning of that of `second`; 0 < first <= second.
std::vector<Digest> consistency_proof(std::uint64_t first, std::uint64_t second,
                                      const SubtreeRoots& subtrees);

// The root of `size` entries when the entry with this leaf hash is number `index` and the proof
// says the truth of the others; nothing when these sizes have no proof of this length.
std::optional<Digest> root_from_inclusion(std::uint64_t index, std::uint64_t size,
                                          const Digest& leaf, std::span<const Digest> proof);

// A growing tree with all its final hashes in memory: 64 bytes an entry. Not thread-safe.
class TreeHashes {
 public:
  void append(const Digest& leaf);
  const MerkleTree& tree() const { return tree_; }
  // Of the tree as it is when it is asked; lives as long as this object.
  SubtreeRoots subtrees() const;

 private:
  MerkleTree tree_;
  std::vector<Digest> hashes_;
};

// A tree and its size; of no entries it is the hash of nothing.
struct TreeHead {
  std::uint64_t size = 0;
  Digest root;
};
// Whether the proof shows that `first` is the beginning of `second`. Between equal trees, and from
// the empty one, only an empty proof does.
bool is_beginning(const TreeHead& first, const TreeHead& second, std::span<const Digest> proof);

}  // namespace organ::registry
