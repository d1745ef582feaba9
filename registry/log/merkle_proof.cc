// SPDX-License-Identifier: Apache-2.0
#include "registry/log/merkle_proof.h"

#include <bit>

namespace organ::registry {
namespace {

bool is_odd(std::uint64_t number) { return (number & 1) != 0; }

// A leaf's way to the root, as its number and that of the last leaf at each level.
struct Way {
  std::uint64_t at, last;

  void up() {
    at >>= 1;
    last >>= 1;
  }
  // Whether the next hash stands to the left; levels at which the node has no sibling are passed.
  bool is_left() {
    if (!is_odd(at) && at != last) return false;
    while (!is_odd(at) && at != 0) up();
    return true;
  }
};

void add_inclusion(std::uint64_t index, std::uint64_t first, std::uint64_t end,
                   const SubtreeRoots& subtrees, std::vector<Digest>& proof) {
  if (end - first == 1) return;
  const std::uint64_t middle = first + std::bit_floor(end - first - 1);
  if (index < middle) {
    add_inclusion(index, first, middle, subtrees, proof);
    proof.push_back(subtree_root(middle, end, subtrees));
  } else {
    add_inclusion(index, middle, end, subtrees, proof);
    proof.push_back(subtree_root(first, middle, subtrees));
  }
}

// SUBPROOF of RFC 6962 over entries from to end - 1, of which those before `first` are the old
// tree's; `known`: its root is the one that whoever checks has.
void add_consistency(std::uint64_t first, std::uint64_t from, std::uint64_t end, bool known,
                     const SubtreeRoots& subtrees, std::vector<Digest>& proof) {
  if (first == end) {
    if (!known) proof.push_back(subtree_root(from, end, subtrees));
    return;
  }
  const std::uint64_t middle = from + std::bit_floor(end - from - 1);
  if (first <= middle) {
    add_consistency(first, from, middle, known, subtrees, proof);
    proof.push_back(subtree_root(middle, end, subtrees));
  } else {
    add_consistency(first, middle, end, false, subtrees, proof);
    proof.push_back(subtree_root(from, middle, subtrees));
  }
}

// Both trees from where they part.
bool lead_to(const TreeHead& first, const TreeHead& second, std::span<const Digest> proof) {
  Way way{first.size - 1, second.size - 1};
  while (is_odd(way.at)) way.up();
  // A perfect old tree is a subtree of the new one, and its root is known.
  const bool is_known = std::has_single_bit(first.size);
  Digest old_root = is_known ? first.root : proof.front();
  Digest new_root = old_root;
  for (const Digest& hash : proof.subspan(is_known ? 0 : 1)) {
    if (way.last == 0) return false;
    if (way.is_left()) {
      old_root = merkle_node(hash, old_root);
      new_root = merkle_node(hash, new_root);
    } else {
      new_root = merkle_node(new_root, hash);
    }
    way.up();
  }
  return way.last == 0 && old_root == first.root && new_root == second.root;
}

}  // namespace

std::uint64_t final_count(std::uint64_t entries) {
  return 2 * entries - static_cast<std::uint64_t>(std::popcount(entries));
}

std::uint64_t final_place(std::uint64_t first, std::uint64_t count) {
  return final_count(first + count - 1) + static_cast<std::uint64_t>(std::countr_zero(count));
}

Digest subtree_root(std::uint64_t first, std::uint64_t end, const SubtreeRoots& subtrees) {
  const std::uint64_t count = end - first;
  if (std::has_single_bit(count)) return subtrees(first, count);
  const std::uint64_t middle = first + std::bit_floor(count - 1);
  return merkle_node(subtree_root(first, middle, subtrees), subtree_root(middle, end, subtrees));
}

std::vector<Digest> inclusion_proof(std::uint64_t index, std::uint64_t size,
                                    const SubtreeRoots& subtrees) {
  std::vector<Digest> proof;
  add_inclusion(index, 0, size, subtrees, proof);
  return proof;
}

std::vector<Digest> consistency_proof(std::uint64_t first, std::uint64_t second,
                                      const SubtreeRoots& subtrees) {
  std::vector<Digest> proof;
  add_consistency(first, 0, second, true, subtrees, proof);
  return proof;
}

void TreeHashes::append(const Digest& leaf) {
  const std::vector<Digest> more = tree_.append(leaf);
  hashes_.insert(hashes_.end(), more.begin(), more.end());
}

SubtreeRoots TreeHashes::subtrees() const {
  return [this](std::uint64_t first, std::uint64_t count) {
    return hashes_.at(static_cast<std::size_t>(final_place(first, count)));
  };
}

std::optional<Digest> root_from_inclusion(std::uint64_t index, std::uint64_t size,
                                          const Digest& leaf, std::span<const Digest> proof) {
  if (index >= size) return std::nullopt;
  Way way{index, size - 1};
  Digest root = leaf;
  for (const Digest& hash : proof) {
    if (way.last == 0) return std::nullopt;
    root = way.is_left() ? merkle_node(hash, root) : merkle_node(root, hash);
    way.up();
  }
  if (way.last != 0) return std::nullopt;
  return root;
}

bool is_beginning(const TreeHead& first, const TreeHead& second, std::span<const Digest> proof) {
  if (first.size > second.size) return false;
  if (first.size == 0) return proof.empty() && first.root == MerkleTree().root();
  if (first.size == second.size) return proof.empty() && first.root == second.root;
  return !proof.empty() && lead_to(first, second, proof);
}

}  // namespace organ::registry
