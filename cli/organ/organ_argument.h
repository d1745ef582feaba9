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

// What such an argument names, opened and not verified. Move-only.
struct OrganArgument {
  std::unique_ptr<format::OrganSource> organ;
  std::string text;  // as a person would write it: the folder, or name:version
  std::optional<registry::Registry> registry;        // the registry in use, if there is one
  std::optional<registry::ResolvedVersion> version;  // set when it came from there
  // Whether its name is more than its own word: that of the registry's log, or one that was given.
  registry::Naming naming = registry::Naming::claimed;

  // Judges who signed it: by the registry's policy, or by the default policy without a registry.
  // Of a name that is only claimed no rule counts that asks for less than signatures.
  registry::TrustVerdict judge_origin(const registry::TrustOverride& override) const;
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

// Throws not_found, corrupt, invalid_argument, cancelled.
// What looks like a folder is one, also where the registry has that name (a note says so).
OrganArgument open_organ(const Context& context, const std::string& text, const Work& work = {});

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
// `says_so`: where the command notes that a trusted signature was not asked for; may be empty.
void add_trust_options(Command& command, TrustOptions& options, const std::string& says_so);

// The organ that the options allow. With --as only one of that name: throws untrusted. With
// --locked only the version that the lock file names, by its name, or by a reference that agrees:
// throws also what registry/lockfile/locking.h throws. `odd`: of a folder.
OrganArgument open_organ(const Context& context, const std::string& text,
                         const TrustOptions& options, const Work& work,
                         format::OddEntries odd = format::OddEntries::refuse);

}  // namespace organ::cli
