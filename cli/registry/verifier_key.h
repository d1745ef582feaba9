// SPDX-License-Identifier: Apache-2.0
// Options whose value is a C2SP verifier key, NAME+HASH+KEY.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace organ::cli {

// The text of a file with one verifier key, as organ key generate writes it. Throws not_found, io,
// corrupt where it is longer than any.
std::string read_verifier_file(const std::filesystem::path& file);

// The key that was typed, or that stands in the file FILE.vkey that was. Throws invalid_argument
// naming the option for what is none, not_found, io.
std::string given_verifier_key(std::string_view option, const std::string& text);
// Empty where none was given.
std::string given_verifier_key(std::string_view option, const std::optional<std::string>& text);
std::vector<std::string> given_verifier_keys(std::string_view option,
                                             const std::vector<std::string>& texts);

}  // namespace organ::cli
