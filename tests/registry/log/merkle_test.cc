// SPDX-License-Identifier: Apache-2.0
#include "registry/log/merkle.h"

#include <doctest/doctest.h>

#include "tests/support/support.h"

using namespace organ;
using namespace organ::registry;

namespace {

// RFC 6962, section 2.1 written down literally: the definition by the largest power of two.
Digest reference_root(const std::vector<std::string>& leaves, std::size_t from, std::size_t to) {
  if (to == from) return sha256(std::string_view());
  if (to - from == 1) return merkle_leaf(leaves[from]);
  std::size_t k = 1;
  while (2 * k < to - from) k *= 2;
  Sha256Hasher hasher;
  hasher.update(std::string_view("\x01", 1));
  for (const Digest& half :
       {reference_root(leaves, from, from + k), reference_root(leaves, from + k, to)}) {
    hasher.update(std::as_bytes(std::span(half.bytes())));
  }
  return hasher.finish();
}

}  // namespace

TEST_CASE("merkle tree: known roots of Certificate Transparency's test vectors") {
  // certificate-transparency/cpp/merkletree/merkle_tree_test.cc inputs: "", 0x00, 0x10, "20 21".
  MerkleTree tree;
  CHECK(tree.root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  tree.append(merkle_leaf(""));
  CHECK(tree.root().hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
  tree.append(merkle_leaf(std::string_view("\0", 1)));
  CHECK(tree.root().hex() == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
  tree.append(merkle_leaf("\x10"));
  CHECK(tree.root().hex() == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
}

TEST_CASE("merkle tree: every size up to 70 has the root of the recursive definition") {
  MerkleTree tree;
  std::vector<std::string> leaves;
  for (int i = 0; i < 70; ++i) {
    leaves.push_back("entry " + std::to_string(i));
    tree.append(merkle_leaf(leaves.back()));
    REQUIRE(tree.root() == reference_root(leaves, 0, leaves.size()));
    REQUIRE(MerkleTree::parse(tree.to_text(), "x").root() == tree.root());
  }
}

TEST_CASE("merkle tree: refuses a state whose subtrees do not fit its size") {
  const std::string one_subtree_of_three = "3:" + std::string(64, '0');
  for (const std::string& text :
       {std::string(), std::string("1"), std::string("1:"), std::string("2:00"), std::string("x:"),
        std::string("-1:"), one_subtree_of_three, "1:" + std::string(64, 'z')}) {
    CHECK(test::error_of([&] { MerkleTree::parse(text, "state"); }).starts_with("corrupt: state"));
  }
}
