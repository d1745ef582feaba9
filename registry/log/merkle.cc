// SPDX-License-Identifier: Apache-2.0
#include "registry/log/merkle.h"

#include <bit>
#include <charconv>

#include "format/base/fail.h"

namespace organ::registry {
namespace {

void update(Sha256Hasher& hasher, const Digest& digest) {
  hasher.update(std::as_bytes(std::span(digest.bytes())));
}

}  // namespace

Digest merkle_node(const Digest& left, const Digest& right) {
  Sha256Hasher hasher;
  hasher.update(std::string_view("\x01", 1));
  update(hasher, left);
  update(hasher, right);
  return hasher.finish();
}

Digest merkle_leaf(std::string_view data) {
  Sha256Hasher hasher;
  hasher.update(std::string_view("\0", 1));
  hasher.update(data);
  return hasher.finish();
}

std::vector<Digest> MerkleTree::append(const Digest& leaf) {
  std::vector<Digest> final_hashes{leaf};
  Digest top = leaf;
  // A carry of binary addition: every trailing one bit of the size joins two equal subtrees.
  for (std::uint64_t bits = size_; (bits & 1) != 0; bits >>= 1) {
    top = merkle_node(subtrees_.back(), top);
    subtrees_.pop_back();
    final_hashes.push_back(top);
  }
  subtrees_.push_back(top);
  ++size_;
  return final_hashes;
}

Digest MerkleTree::root() const {
  if (subtrees_.empty()) return sha256(std::string_view());
  Digest root = subtrees_.back();
  for (std::size_t i = subtrees_.size() - 1; i-- > 0;) root = merkle_node(subtrees_[i], root);
  return root;
}

std::string MerkleTree::to_text() const {
  std::string text = std::to_string(size_) + ":";
  for (const Digest& subtree : subtrees_) text += subtree.hex();
  return text;
}

MerkleTree MerkleTree::parse(std::string_view text, std::string_view subject) {
  MerkleTree tree;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), tree.size_);
  const std::size_t at = static_cast<std::size_t>(end - text.data());
  const std::size_t count = static_cast<std::size_t>(std::popcount(tree.size_));
  constexpr std::size_t kHex = Digest::kHexSize;
  if (error != std::errc() || at >= text.size() || text[at] != ':' ||
      text.size() - at - 1 != count * kHex) {
    fail(ErrorCode::corrupt, "{}: not a Merkle tree state: {}", subject, quote(text));
  }
  for (std::size_t i = 0; i < count; ++i) {
    try {
      tree.subtrees_.push_back(Digest::parse_hex(text.substr(at + 1 + i * kHex, kHex), subject));
    } catch (const Error& bad) {
      throw Error(ErrorCode::corrupt, bad.what());
    }
  }
  return tree;
}

}  // namespace organ::registry
