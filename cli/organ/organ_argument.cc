// SPDX-License-Identifier: Apache-2.0
#include "cli/organ/organ_argument.h"

#include "cli/frame/command.h"
#include "format/base/path_status.h"
#include "format/manifest/reference.h"

namespace organ::cli {
namespace {

std::optional<registry::Registry> open_registry_if_there(const Context& context, const Work& work) {
  const std::filesystem::path folder = context.registry_path();
  if (!context.registry && !is_there(folder)) return std::nullopt;
  return registry::Registry::open(folder, registry::Registry::Mode::read, work);
}

}  // namespace

registry::TrustVerdict OrganArgument::judge_origin(const registry::TrustOverride& override) const {
  if (version) return registry->evaluate(*version, *organ, override);
  return registry::evaluate_policy(registry ? registry->policy() : registry::Policy(),
                                   organ->manifest().name, *organ, override);
}

OrganArgument open_organ(const Context& context, const std::string& text, const Work& work) {
  OrganArgument argument;
  argument.text = text;
  if (format::looks_like_folder(text)) {
    argument.organ = std::make_unique<format::OrganFolder>(format::OrganFolder::open(text));
    argument.registry = open_registry_if_there(context, work);
    return argument;
  }
  const format::Reference reference = format::Reference::parse(text);
  argument.registry =
      registry::Registry::open(context.registry_path(), registry::Registry::Mode::read, work);
  argument.version = argument.registry->resolve(reference);
  argument.organ = argument.registry->open_organ(*argument.version);
  argument.text = argument.version->name + ":" + argument.version->version;
  return argument;
}

registry::TrustOverride TrustOptions::load() const {
  registry::TrustOverride override;
  for (const std::string& file : key_files) {
    override.keys.push_back(format::PublicKey::load(file));
  }
  override.allow_unsigned = allow_unsigned;
  return override;
}

std::uint64_t Placement::position_of(const OrganArgument& opened) const {
  return position.value_or(opened.organ->manifest().extraction.first_layer);
}

Option add_placement_options(Command& command, Placement& placement) {
  const Option organ = command.add_path("organ", placement.organ, "reference or organ folder");
  command
      .add_option("--at", placement.position,
                  "first recipient layer to replace [default: where the organ comes from]")
      .value_name("P");
  return organ;
}

void add_trust_options(Command& command, TrustOptions& options) {
  command
      .add_path("--key", options.key_files,
                "public key that must have signed it, instead of the policy's")
      .value_name("PUB");
  command.add_flag("--allow-unsigned", options.allow_unsigned,
                   "accept an organ without a trusted signature; noted in the receipt");
}

}  // namespace organ::cli
