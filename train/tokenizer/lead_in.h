// SPDX-License-Identifier: Apache-2.0
// What stands before each document: context that its first token is predicted from, no target
// itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "format/base/error.h"

#pragma GCC visibility push(default)

namespace organ::train {

class Tokenizer;

// automatic: what the tokenizer puts before a text by itself, as transformers does when it encodes
// one. bos: the beginning-of-sequence id. none: nothing.
enum class LeadIn : std::uint8_t { automatic, bos, none };
std::string_view to_string(LeadIn lead_in);  // "auto", "bos", "none"
std::optional<LeadIn> parse_lead_in(std::string_view name);

// The ids that `choice` puts before a document. Throws invalid_argument for bos where the tokenizer
// names no bos_token.
std::vector<std::int32_t> lead_in_ids(LeadIn choice, const Tokenizer& tokenizer);

// The one id before each document that is measured in rolling windows (P0w). automatic: the
// beginning-of-sequence id, else the end-of-sequence id, as lm-eval does. Throws invalid_argument
// for none, and where the tokenizer names no such id.
std::vector<std::int32_t> rolling_lead_in(LeadIn choice, const Tokenizer& tokenizer);

}  // namespace organ::train

#pragma GCC visibility pop
