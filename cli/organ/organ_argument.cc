// SPDX-License-Identifier: Apache-2.0
#include "cli/organ/organ_argument.h"

#include <algorithm>

#include "cli/frame/command.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"
#include "format/base/path_status.h"
#include "format/manifest/reference.h"
#include "registry/lockfile/locking.h"
#include "registry/oci/oci.h"
#include "registry/trust/attested.h"

namespace organ::cli {
namespace {

std::optional<registry::Registry> open_registry_if_there(const Context& context, const Work& work) {
  const std::filesystem::path folder = context.registry_path();
  if (!context.registry && !is_there(folder)) return std::nullopt;
  return open_registry(context, registry::Registry::Mode::read, work);
}

// The folder is taken where both are meant by one text; nobody should have to guess which.
void note_namesake(const Context& context, const OrganArgument& folder) {
  if (folder.text.starts_with('/') || folder.text.starts_with('.') || !folder.registry) return;
  try {
    const auto version = folder.registry->resolve(format::Reference::parse(folder.text));
    context.note(fmt::format("{}: the folder is taken; {}:{} is what the registry has of this name",
                             quote(folder.text), version.name, version.version));
  } catch (const Error&) {
    return;  // no reference, or none that the registry has
  }
}

using Lock = std::optional<registry::LockFile>;

bool is_name(const std::string& text) {
  try {
    format::check_name(text);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// A word without a version may be meant as a folder.
bool may_be_meant_as_folder(const std::string& text) {
  return text.find_first_of(":@") == text.npos;
}

// `registry`: its folder, where one was looked into, and `hint` what that said.
Error neither_here_nor_there(const std::string& text, const std::string& registry,
                             const std::string& hint) {
  if (is_file(text)) {
    return Error(ErrorCode::invalid_argument, quote(text) + ": is not a folder",
                 "an organ is a folder with organ.json and its layers, or a name of the registry");
  }
  return Error(ErrorCode::not_found,
               quote(text) + ": neither a file or folder here nor a name of the registry" +
                   (registry.empty() ? "" : " " + quote(registry)),
               hint);
}

// What is wrong with a folder's path as a name helps nobody, nor that there is no registry where
// nobody spoke of one.
void require_registry_name(const Context& context, const std::string& text) {
  if (!may_be_meant_as_folder(text)) return;
  if (is_name(text) && (context.registry || is_there(context.registry_path()))) return;
  throw neither_here_nor_there(text, {},
                               "organ list shows the names; --registry says which registry");
}

registry::ResolvedVersion resolve(const registry::Registry& registry, const std::string& text,
                                  const format::Reference& reference) {
  try {
    return registry.resolve(reference);
  } catch (const Error& error) {
    const bool may_be_path = error.code() == ErrorCode::not_found && may_be_meant_as_folder(text) &&
                             registry.list({.name = reference.name, .limit = 1}).empty();
    if (may_be_path) throw neither_here_nor_there(text, registry.folder().string(), error.hint());
    throw;
  }
}

OrganArgument open_version(const Context& context, const std::string& text, const Lock& lock,
                           const Work& work) {
  require_registry_name(context, text);
  const format::Reference reference = format::Reference::parse(text);
  OrganArgument argument;
  argument.registry = open_registry(context, registry::Registry::Mode::read, work);
  if (lock) registry::require_same_log(*lock, *argument.registry);
  argument.version = lock ? registry::resolve_locked(*lock, *argument.registry, reference)
                          : resolve(*argument.registry, text, reference);
  argument.organ = argument.registry->open_organ(*argument.version);
  argument.text = argument.version->name + ":" + argument.version->version;
  argument.naming = registry::Naming::known;
  return argument;
}

OrganArgument open(const Context& context, const std::string& text, const Lock& lock,
                   const Work& work, format::OddEntries odd) {
  if (!format::looks_like_folder(text)) {
    try {
      return open_version(context, text, lock, work);
    } catch (const Error& error) {
      const bool unknown =
          error.code() == ErrorCode::not_found || error.code() == ErrorCode::invalid_argument;
      // Says why it is no organ.
      if (unknown && is_folder(text)) (void)format::OrganFolder::open(text);
      throw;
    }
  }
  if (!is_taken(text)) fail(ErrorCode::not_found, "{}: no such file or folder", quote(text));
  OrganArgument argument;
  argument.text = text;
  argument.organ = std::make_unique<format::OrganFolder>(format::OrganFolder::open(text, odd));
  if (lock) registry::require_locked(*lock, *argument.organ);
  argument.registry = open_registry_if_there(context, work);
  note_namesake(context, argument);
  return argument;
}

// From here on the name is known to be the one that was asked for.
void require_name(OrganArgument& argument, const std::string& name) {
  const std::string& own = argument.organ->manifest().name;
  const bool logged_otherwise = argument.version && argument.version->name != name;
  if (own != name || logged_otherwise) {
    fail(ErrorCode::untrusted, "{}: its {} says {}, not {}", quote(argument.text),
         own != name ? "organ.json" : "registry", quote(own != name ? own : argument.version->name),
         quote(name));
  }
  argument.naming = registry::Naming::known;
}

}  // namespace

registry::TrustVerdict OrganArgument::judge_origin(const registry::TrustOverride& override) const {
  if (version) return registry->evaluate(*version, *organ, override);
  const registry::Policy policy = registry ? registry->policy() : registry::Policy();
  auto verdict =
      registry::evaluate_policy(policy, organ->manifest().name, *organ, override, naming);
  verdict.not_established.push_back("whether it was withdrawn: it does not come from a registry");
  verdict.attestations = registry::judge_attestations(
      policy, *organ, registry::identities(organ->manifest(), organ->manifest_text()), override,
      naming);
  return verdict;
}

OrganArgument open_organ(const Context& context, const std::string& text, const Work& work) {
  return open(context, text, {}, work, format::OddEntries::refuse);
}

OrganArgument open_organ(const Context& context, const std::string& text,
                         const TrustOptions& options, const Work& work, format::OddEntries odd) {
  Lock lock;
  if (!options.locked.empty()) lock = registry::LockFile::load(options.locked);
  if (!options.as_name.empty()) format::check_name(options.as_name);
  OrganArgument argument = open(context, text, lock, work, odd);
  if (!options.as_name.empty()) require_name(argument, options.as_name);
  return argument;
}

std::string folder_of_argument(const std::string& text) {
  return format::looks_like_folder(text) ? text : std::string();
}

registry::TrustOverride TrustOptions::load() const {
  registry::TrustOverride override;
  for (const std::string& file : key_files) {
    format::PublicKey key = format::PublicKey::load(file);
    const auto is_it = [&](const format::PublicKey& one) { return one.id() == key.id(); };
    if (std::ranges::none_of(override.keys, is_it)) override.keys.push_back(std::move(key));
  }
  override.allow_unsigned = allow_unsigned;
  return override;
}

std::uint64_t Placement::position_of(const OrganArgument& opened) const {
  return position.value_or(opened.organ->manifest().extraction.first_layer);
}

Option add_placement_options(Command& command, Placement& placement) {
  const Option organ =
      command.add_path("REF|DIR", placement.organ,
                       "reference, or organ folder: what starts with / or . or holds organ.json");
  command
      .add_option("--at", placement.position,
                  "first recipient layer to replace [default: where the organ comes from]")
      .value_name("P");
  return organ;
}

void add_trust_options(Command& command, TrustOptions& options, const std::string& says_so) {
  command
      .add_path("--key", options.key_files,
                "public key that must have signed it, instead of the policy's; repeatable")
      .value_name("PUB");
  command.add_flag("--allow-unsigned", options.allow_unsigned,
                   "accept an organ without a trusted signature" + says_so);
  command
      .add_option("--as", options.as_name,
                  "the name it must have; a folder's own word gets it no weaker rule")
      .value_name("NAME");
  command
      .add_path("--locked", options.locked,
                "it must be what this file of organ lock names, of the same log")
      .value_name("FILE");
}

}  // namespace organ::cli
