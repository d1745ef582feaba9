// SPDX-License-Identifier: Apache-2.0
#include "train/tokenizer/lead_in.h"

#include "format/base/fail.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::train {
namespace {

std::vector<std::int32_t> bos_of(const Tokenizer& tokenizer) {
  if (const auto id = tokenizer.bos()) return {*id};
  throw Error(ErrorCode::invalid_argument,
              "--lead-in bos: the tokenizer names no bos_token to put before a document",
              "--lead-in none puts nothing there");
}

}  // namespace

std::string_view to_string(LeadIn lead_in) {
  switch (lead_in) {
    case LeadIn::automatic: return "auto";
    case LeadIn::bos: return "bos";
    case LeadIn::none: return "none";
  }
  return {};
}

std::optional<LeadIn> parse_lead_in(std::string_view name) {
  for (const LeadIn each : {LeadIn::automatic, LeadIn::bos, LeadIn::none}) {
    if (to_string(each) == name) return each;
  }
  return std::nullopt;
}

std::vector<std::int32_t> lead_in_ids(LeadIn choice, const Tokenizer& tokenizer) {
  switch (choice) {
    case LeadIn::automatic: return tokenizer.before_text();
    case LeadIn::bos: return bos_of(tokenizer);
    case LeadIn::none: break;
  }
  return {};
}

std::vector<std::int32_t> rolling_lead_in(LeadIn choice, const Tokenizer& tokenizer) {
  if (choice == LeadIn::bos || (choice == LeadIn::automatic && tokenizer.bos())) {
    return bos_of(tokenizer);
  }
  if (choice == LeadIn::none) {
    fail(ErrorCode::invalid_argument,
         "--lead-in none: P0w predicts the first token of a document from the id before it");
  }
  if (const auto id = tokenizer.eos()) return {*id};
  throw Error(ErrorCode::invalid_argument,
              "tokenizer: names neither bos_token nor eos_token to put before a document");
}

}  // namespace organ::train
