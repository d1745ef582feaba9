// SPDX-License-Identifier: Apache-2.0
#include "cli/output/version.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"

namespace organ::cli {
namespace {

template <typename T>
nlohmann::json or_null(const std::optional<T>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

nlohmann::json shown(const std::optional<std::string>& text) {
  return text ? nlohmann::json(escape_text(*text)) : nlohmann::json();
}

nlohmann::json shown(const std::vector<std::string>& texts) {
  nlohmann::json list = nlohmann::json::array();
  for (const std::string& text : texts) list.push_back(escape_text(text));
  return list;
}

}  // namespace

std::string remarks(const registry::VersionInfo& version) {
  std::string text = version.signature_count > 0 ? "signed" : "unsigned";
  if (version.yank_reason) text += ", yanked";
  if (version.revoke_reason) text += ", revoked";
  if (version.taken_down) text += ", taken down";
  if (version.unwitnessed) text += ", not witnessed";
  if (version.superseded) text += ", superseded by " + escape_text(version.superseded->by);
  for (const std::string& alias : version.aliases) text += ", @" + escape_text(alias);
  return text;
}

std::string superseded_text(const registry::VersionInfo& version) {
  if (!version.superseded) return {};
  return fmt::format("by {}: {}", escape_text(version.superseded->by),
                     escape_text(version.superseded->reason, 4096));
}

void note_superseded(const Context& context, const registry::VersionInfo& version) {
  if (!version.superseded) return;
  context.note(fmt::format("{}:{} is superseded {}", escape_text(version.name),
                           escape_text(version.version), superseded_text(version)));
}

nlohmann::json superseded_json(const registry::VersionInfo& version) {
  if (!version.superseded) return nlohmann::json();
  return {{"by", escape_text(version.superseded->by)},
          {"reason", escape_text(version.superseded->reason, 4096)}};
}

nlohmann::json taken_down_json(const registry::VersionInfo& version) {
  if (!version.taken_down) return nlohmann::json();
  return {{"time", escape_text(version.taken_down->time)},
          {"reason", escape_text(version.taken_down->reason, 4096)}};
}

nlohmann::json to_json(const registry::VersionInfo& version) {
  return {{"name", escape_text(version.name)},
          {"version", escape_text(version.version)},
          {"digest", version.digest.to_string()},
          {"log_index", version.log_index},
          {"published", escape_text(version.published)},
          {"description", escape_text(version.description, 4096)},
          {"license", shown(version.license)},
          {"model_type", escape_text(version.model_type)},
          {"architecture_signature", version.architecture_signature.to_string()},
          {"first_layer", version.first_layer},
          {"layer_count", version.layer_count},
          {"donor_layer_count", version.donor_layer_count},
          {"donor_id", escape_text(version.donor_id)},
          {"bytes", version.bytes},
          {"signatures", version.signature_count},
          {"best_nll", or_null(version.best_nll)},
          {"yanked", shown(version.yank_reason)},
          {"revoked", shown(version.revoke_reason)},
          {"unwitnessed", shown(version.unwitnessed)},
          {"taken_down", taken_down_json(version)},
          {"superseded", superseded_json(version)},
          {"aliases", shown(version.aliases)}};
}

}  // namespace organ::cli
