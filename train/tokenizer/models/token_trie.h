// SPDX-License-Identifier: Apache-2.0
// Tokens as a tree of bytes, for models that look for tokens at every place of a text. Immutable
// and thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace organ::train {

// The longest token: a walk takes at most that many steps for a byte of text. Whoever reads a
// vocabulary holds it to that; the trie itself takes any.
inline constexpr std::size_t kMaxTrieTokenBytes = 1024;

// Keeps no view of the tokens that it was made of. Takes 12 bytes for each text that a token begins
// with, which are as many as the tokens have bytes at most, and one.
class TokenTrie {
 public:
  // A place in the tree: the text on the way from the root. Means nothing to another trie.
  using Node = std::uint32_t;
  static constexpr Node kRoot = 0;
  static constexpr Node kNone = UINT32_MAX;

  // Every token by its id; of equal texts the last id counts, empty ones are left out.
  explicit TokenTrie(const std::vector<std::string>& tokens);

  // The node after one more byte, kNone when no token goes on so. `node` is not kNone, from which
  // there is no step. Bytes may be of any text: nothing here asks for UTF-8.
  Node step(Node node, unsigned char byte) const {
    if (node == kRoot) return first_[byte];
    const Entry& entry = nodes_[node];
    Node low = entry.first_child;
    Node high = low + entry.child_count;
    while (high - low > 8) {
      const Node middle = low + (high - low) / 2;
      (nodes_[middle].label <= byte ? low : high) = middle;
    }
    for (; low < high; ++low) {
      if (nodes_[low].label == byte) return low;
    }
    return kNone;
  }
  // The node after all bytes of `text`; kNone from kNone, and when no token goes on so.
  Node walk(Node node, std::string_view text) const;
  // The token that ends at the node, -1 for none, as for the root: the text so far is no token, but
  // a longer one begins so. `node` is not kNone.
  std::int32_t id(Node node) const { return nodes_[node].id; }

 private:
  // Siblings lie side by side, sorted by label.
  struct Entry {
    Node first_child = 0;
    std::int32_t id = -1;
    std::uint16_t child_count = 0;
    unsigned char label = 0;  // the byte that leads here from the parent
  };
  std::vector<Entry> nodes_;
  std::array<Node, 256> first_;  // children of the root
};

}  // namespace organ::train
