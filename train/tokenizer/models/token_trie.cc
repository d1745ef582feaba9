// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/models/token_trie.h"

#include <algorithm>
#include <deque>
#include <numeric>

namespace organ::train {
namespace {

// The sorted tokens that begin with the text of a node.
struct Range {
  std::size_t begin, end, depth;
};

}  // namespace

// Level by level, so that the children of a node are made one after the other.
TokenTrie::TokenTrie(const std::vector<std::string>& tokens) {
  std::vector<std::int32_t> order(tokens.size());
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order,
                [&](std::int32_t id) { return tokens[static_cast<std::size_t>(id)].empty(); });
  const auto text = [&](std::size_t i) -> const std::string& {
    return tokens[static_cast<std::size_t>(order[i])];
  };
  std::ranges::stable_sort(order, [&](std::int32_t a, std::int32_t b) {
    return tokens[static_cast<std::size_t>(a)] < tokens[static_cast<std::size_t>(b)];
  });
  nodes_.emplace_back();
  std::deque<Range> ranges = {{0, order.size(), 0}};
  for (std::size_t node = 0; !ranges.empty(); ++node) {
    auto [at, end, depth] = ranges.front();
    ranges.pop_front();
    for (; at < end && text(at).size() == depth; ++at) nodes_[node].id = order[at];
    nodes_[node].first_child = static_cast<Node>(nodes_.size());
    while (at < end) {
      const char label = text(at)[depth];
      const std::size_t begin = at;
      while (at < end && text(at)[depth] == label) ++at;
      nodes_.push_back({.label = static_cast<unsigned char>(label)});
      ranges.push_back({begin, at, depth + 1});
      ++nodes_[node].child_count;
    }
  }
  first_.fill(kNone);
  for (Node child = 1; child <= nodes_[kRoot].child_count; ++child) {
    first_[nodes_[child].label] = child;
  }
}

TokenTrie::Node TokenTrie::walk(Node node, std::string_view text) const {
  for (const char c : text) {
    if (node == kNone) break;
    node = step(node, static_cast<unsigned char>(c));
  }
  return node;
}

}  // namespace organ::train
