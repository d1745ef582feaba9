// SPDX-License-Identifier: Apache-2.0
// Options whose value is a C2SP verifier key, NAME+HASH+KEY.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace organ::cli {

// The key that was typed, or that stands in the file FILE.vkey that was (organ key generate writes
// it). Throws invalid_argument naming the option for what is none, not_found.
std::string given_verifier_key(std::string_view option, const std::string& text);
std::vector<std::string> given_verifier_keys(std::string_view option,
                                             const std::vector<std::string>& texts);

}  // namespace organ::cli
