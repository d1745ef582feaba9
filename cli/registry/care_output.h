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
void add_registry_argument(Command& command, std::filesystem::path& folder);
std::filesystem::path registry_folder(const Context& context, const std::filesystem::path& folder);
// Says which it is: one word too many on the command line is taken for it.
void note_registry(const Context& context, const std::filesystem::path& folder);

nlohmann::json to_json(const registry::DamagedObject& object);
nlohmann::json escaped(const std::vector<std::string>& texts);

// Data on stdout.
void print_object(const Context& context, const char* label, const registry::DamagedObject& object);
void print_finding(const Context& context, const char* label, const format::Finding& finding);

}  // namespace organ::cli
