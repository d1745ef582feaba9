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

// The longest token: a walk takes at most that many steps for a byte of text.
inline constexpr std::size_t kMaxTrieTokenBytes = 1024;

class TokenTrie {
 public:
  using Node = std::uint32_t;
  static constexpr Node kRoot = 0;
  static constexpr Node kNone = UINT32_MAX;

  // Every token by its id; of equal texts the last id counts, empty ones are left out.
  explicit TokenTrie(const std::vector<std::string>& tokens);

  // The node after one more byte, kNone when no token goes on so.
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
  Node walk(Node node, std::string_view text) const;
  // The token that ends at the node, -1 for none.
  std::int32_t id(Node node) const { return nodes_[node].id; }

 private:
  // Siblings lie side by side, sorted by label.
  struct Entry {
    Node first_child = 0;
    std::int32_t id = -1;
    std::uint16_t child_count = 0;
    unsigned char label = 0;
  };
  std::vector<Entry> nodes_;
  std::array<Node, 256> first_;  // children of the root
};

}  // namespace organ::train
