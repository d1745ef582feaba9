// SPDX-License-Identifier: Apache-2.0
// What `organ fsck`, `repair` and `gc` share: which registry, and how damage is shown.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "cli/frame/command.h"
#include "cli/frame/context.h"
#include "registry/care/damage.h"

namespace organ::cli {

// The positional argument REGISTRY; without it the registry in use.
// `folder` is borrowed and lives as long as the program; empty: not given.
void add_registry_argument(Command& command, std::filesystem::path& folder);
// Throws invalid_argument where both it and --registry were given, or none is known.
std::filesystem::path registry_folder(const Context& context, const std::filesystem::path& folder);
// Says which it is: one word too many on the command line is taken for it.
void note_registry(const Context& context, const std::filesystem::path& folder);

// Texts are escaped; byte ranges of pieces half open, as in DamagedObject.
nlohmann::json to_json(const registry::DamagedObject& object);
nlohmann::json escaped(const std::vector<std::string>& texts);

// Data on stdout.
void print_object(const Context& context, const char* label, const registry::DamagedObject& object);
void print_finding(const Context& context, const char* label, const format::Finding& finding);

}  // namespace organ::cli
