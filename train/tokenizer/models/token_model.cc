// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/models/token_model.h"

#include <fmt/core.h>

namespace organ::train {

Vocabulary::Vocabulary(std::vector<std::string> tokens, std::uint32_t empty_tokens)
    : tokens_(std::move(tokens)), count_(empty_tokens) {
  ids_.reserve(tokens_.size());
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    if (tokens_[i].empty()) continue;
    ids_.insert_or_assign(tokens_[i], static_cast<std::int32_t>(i));
    ++count_;
  }
}

std::optional<std::int32_t> Vocabulary::id_of(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::int32_t> Vocabulary::byte_ids() const {
  std::vector<std::int32_t> ids;
  ids.reserve(256);
  for (unsigned byte = 0; byte < 256; ++byte) {
    ids.push_back(id_of(fmt::format("<0x{:02X}>", byte)).value_or(-1));
  }
  return ids;
}

}  // namespace organ::train
