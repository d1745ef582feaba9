// SPDX-License-Identifier: Apache-2.0
#include "registry/log/merkle_proof.h"

#include <bit>
#include <set>

#include <doctest/doctest.h>

using namespace organ;
using namespace organ::registry;

namespace {

struct Probe {
  bool right;
  std::uint64_t first, second;
  std::size_t hash, root;
  std::vector<std::size_t> proof;
};
#include "tests/data/rfc6962_proofs.inc"

Digest hash_at(std::size_t place) { return Digest::parse_hex(kHashes[place]); }

std::vector<Digest> proof_of(const Probe& probe) {
  std::vector<Digest> proof;
  for (const std::size_t place : probe.proof) proof.push_back(hash_at(place));
  return proof;
}

// A tree of entries "0", "1", …, with all its hashes in the order in which they became final.
struct Grown {
  explicit Grown(std::uint64_t size) {
    for (std::uint64_t i = 0; i < size; ++i) {
      leaves.push_back(merkle_leaf(std::to_string(i)));
      for (const Digest& hash : tree.append(leaves.back())) hashes.push_back(hash);
      roots.push_back(tree.root());
    }
  }
  SubtreeRoots subtrees() const {
    return [this](std::uint64_t first, std::uint64_t count) {
      REQUIRE(std::has_single_bit(count));
      REQUIRE(first % count == 0);
      return hashes.at(final_place(first, count));
    };
  }
  TreeHead head(std::uint64_t size) const { return {size, roots.at(size)}; }

  MerkleTree tree;
  std::vector<Digest> leaves, hashes, roots{MerkleTree().root()};
};

constexpr std::uint64_t kMost = 200;

}  // namespace

TEST_CASE("merkle proof: the probes of transparency-dev/merkle") {
  std::size_t right = 0;
  for (const Probe& probe : kInclusion) {
    const auto root =
        root_from_inclusion(probe.first, probe.second, hash_at(probe.hash), proof_of(probe));
    CHECK((root == hash_at(probe.root)) == probe.right);
    right += probe.right ? 1 : 0;
  }
  for (const Probe& probe : kConsistency) {
    CHECK(is_beginning({probe.first, hash_at(probe.hash)}, {probe.second, hash_at(probe.root)},
                       proof_of(probe)) == probe.right);
    right += probe.right ? 1 : 0;
  }
  CHECK(right == 11);
}

TEST_CASE("merkle proof: the examples of RFC 6962, section 2.1.3") {
  // Seven entries d0 to d6; its letters name the nodes.
  const Grown grown(7);
  const auto& leaf = grown.leaves;
  const Digest g = merkle_node(leaf[0], leaf[1]), h = merkle_node(leaf[2], leaf[3]),
               i = merkle_node(leaf[4], leaf[5]), k = merkle_node(g, h);
  const auto subtrees = grown.subtrees();
  const auto proof_of_entry = [&](std::uint64_t index) {
    return inclusion_proof(index, 7, subtrees);
  };
  using Proof = std::vector<Digest>;
  const Digest l = merkle_node(i, leaf[6]);
  CHECK(proof_of_entry(0) == Proof{leaf[1], h, l});
  CHECK(proof_of_entry(3) == Proof{leaf[2], g, l});
  CHECK(proof_of_entry(4) == Proof{leaf[5], leaf[6], k});
  CHECK(proof_of_entry(6) == Proof{i, k});
  CHECK(consistency_proof(3, 7, subtrees) == Proof{leaf[2], leaf[3], g, l});
  CHECK(consistency_proof(4, 7, subtrees) == Proof{l});
  CHECK(consistency_proof(6, 7, subtrees) == Proof{i, leaf[6], k});
  CHECK(merkle_node(k, l) == grown.roots[7]);
}

TEST_CASE("merkle proof: every entry of every tree up to 200 entries") {
  const Grown grown(kMost);
  for (std::uint64_t size = 1; size <= kMost; ++size) {
    REQUIRE(subtree_root(0, size, grown.subtrees()) == grown.roots[size]);
    for (std::uint64_t index = 0; index < size; ++index) {
      const auto proof = inclusion_proof(index, size, grown.subtrees());
      REQUIRE(root_from_inclusion(index, size, grown.leaves[index], proof) == grown.roots[size]);
      // Nowhere else, and of nothing else.
      REQUIRE(root_from_inclusion(index ^ 1, size, grown.leaves[index], proof) !=
              grown.roots[size]);
      REQUIRE(root_from_inclusion(index, size, merkle_leaf("x"), proof) != grown.roots[size]);
    }
    REQUIRE(root_from_inclusion(size, size, grown.leaves[0], {}) == std::nullopt);
  }
}

TEST_CASE("merkle proof: every tree is the beginning of every later one up to 200 entries") {
  const Grown grown(kMost);
  const Digest other = merkle_leaf("x");
  for (std::uint64_t second = 1; second <= kMost; ++second) {
    REQUIRE(is_beginning(grown.head(0), grown.head(second), {}));
    for (std::uint64_t first = 1; first <= second; ++first) {
      const auto proof = consistency_proof(first, second, grown.subtrees());
      REQUIRE(proof.size() <= kLongestProof);
      REQUIRE(is_beginning(grown.head(first), grown.head(second), proof));
      REQUIRE_FALSE(is_beginning({first, other}, grown.head(second), proof));
      REQUIRE_FALSE(is_beginning(grown.head(first), {second, other}, proof));
      if (first < second) {
        REQUIRE_FALSE(is_beginning({first + 1, grown.roots[first]}, grown.head(second), proof));
        REQUIRE_FALSE(is_beginning(grown.head(second), grown.head(first), proof));
      }
    }
  }
}

TEST_CASE("merkle proof: one hash changed, left out, doubled or added is refused") {
  const Grown grown(kMost);
  for (const std::uint64_t size : {1u, 2u, 3u, 7u, 8u, 9u, 64u, 65u, 200u}) {
    for (const std::uint64_t first : {std::uint64_t{1}, (size + 1) / 2, size - 1}) {
      if (first == 0 || first > size) continue;
      const auto inclusion = inclusion_proof(first - 1, size, grown.subtrees());
      const auto consistency = consistency_proof(first, size, grown.subtrees());
      const auto refused = [&](const std::vector<Digest>& bad, bool of_entry) {
        if (of_entry) {
          REQUIRE(root_from_inclusion(first - 1, size, grown.leaves[first - 1], bad) !=
                  grown.roots[size]);
        } else {
          REQUIRE_FALSE(is_beginning(grown.head(first), grown.head(size), bad));
        }
      };
      for (const bool of_entry : {true, false}) {
        const auto& good = of_entry ? inclusion : consistency;
        for (std::size_t i = 0; i < good.size(); ++i) {
          auto bad = good;
          bad[i] = merkle_leaf("x");
          refused(bad, of_entry);
          bad = good;
          bad.erase(bad.begin() + static_cast<std::ptrdiff_t>(i));
          refused(bad, of_entry);
          bad = good;
          bad.insert(bad.begin() + static_cast<std::ptrdiff_t>(i), bad[i]);
          refused(bad, of_entry);
        }
        auto longer = good;
        longer.push_back(grown.roots[size]);
        refused(longer, of_entry);
      }
    }
  }
}

TEST_CASE("merkle proof: no two subtrees share a place") {
  std::set<std::uint64_t> places;
  for (std::uint64_t count = 1; count <= 64; count *= 2) {
    for (std::uint64_t first = 0; first + count <= 64; first += count) {
      CHECK(places.insert(final_place(first, count)).second);
    }
  }
  CHECK(places.size() == final_count(64));
  CHECK(*places.rbegin() == final_count(64) - 1);
}

TEST_CASE("merkle proof: the largest sizes are no loop and no overflow") {
  const std::vector<Digest> longest(kLongestProof, merkle_leaf("x"));
  CHECK(root_from_inclusion(UINT64_MAX - 1, UINT64_MAX, merkle_leaf("x"), longest) == std::nullopt);
  CHECK_FALSE(is_beginning({UINT64_MAX - 1, longest[0]}, {UINT64_MAX, longest[0]}, longest));
  CHECK_FALSE(is_beginning({1, longest[0]}, {UINT64_MAX, longest[0]}, longest));
}
