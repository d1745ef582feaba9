// SPDX-License-Identifier: Apache-2.0
// The argument REF|DIR of many commands: an organ folder or a version of the registry.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/frame/command.h"
#include "cli/frame/context.h"
#include "format/organ/organ_source.h"
#include "registry/registry.h"
#include "registry/trust/policy.h"

namespace organ::cli {

struct OrganArgument {
  std::unique_ptr<format::OrganSource> organ;
  std::string text;  // as a person would write it: the folder, or name:version
  std::optional<registry::Registry> registry;        // the registry in use, if there is one
  std::optional<registry::ResolvedVersion> version;  // set when it came from there

  // Judges who signed it: by the registry's policy, or by the default policy without a registry.
  // The name that counts is that of the registry's log, for a folder `as_name`; without either it
  // is what the organ says of itself, and then no rule counts that asks for less than signatures.
  registry::TrustVerdict judge_origin(const registry::TrustOverride& override,
                                      const std::string& as_name = {}) const;
};

// The positional argument "organ" and the option --at of the commands that bring an organ and a
// recipient together.
struct Placement {
  std::string organ;
  std::optional<std::uint64_t> position;

  // --at, else the layer the organ comes from.
  std::uint64_t position_of(const OrganArgument& opened) const;
};
// Returns the positional argument.
Option add_placement_options(Command& command, Placement& placement);

// Throws not_found, corrupt, invalid_argument, cancelled. With a lock file only the version that it
// names, by its name, or by a reference that agrees; throws also what
// registry/lockfile/locking.h throws.
OrganArgument open_organ(const Context& context, const std::string& text, const Work& work = {},
                         const std::filesystem::path& locked = {});

// The argument as a folder that nothing may be written into; empty for what can only be a
// reference.
std::string folder_of_argument(const std::string& text);

// The options --key, --allow-unsigned, --as and --locked.
struct TrustOptions {
  std::vector<std::string> key_files;
  bool allow_unsigned = false;
  std::string as_name;
  std::filesystem::path locked;  // a lock file

  registry::TrustOverride load() const;  // throws for a file that is no public key
};
void add_trust_options(Command& command, TrustOptions& options);

}  // namespace organ::cli
