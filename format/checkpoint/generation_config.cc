// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "format/base/path_status.h"
#include "format/checkpoint/checkpoint_config.h"
#include "format/checkpoint/folder_rules.h"

namespace organ::format {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 20;
constexpr std::string_view kFile = "generation_config.json";

std::int32_t read_id(const JsonObject& config, const Json& value) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > INT32_MAX) {
    config.fail_field("eos_token_id", "expected an id or a list of ids");
  }
  return value.get<std::int32_t>();
}

}  // namespace

GenerationConfig GenerationConfig::of_config(const Checkpoint& checkpoint) {
  return {std::string(kConfigFile), std::make_shared<const Json>(CheckpointConfig::of(checkpoint))};
}

GenerationConfig GenerationConfig::of(const Checkpoint& checkpoint) {
  if (!is_there(checkpoint.folder() / kFile)) {
    return of_config(checkpoint);
  }
  JsonLimits limits;
  limits.bytes = kMaxBytes;
  limits.foreign = true;
  const std::string text = read_model_file(checkpoint.folder(), kFile, kMaxBytes);
  GenerationConfig config{std::string(kFile),
                          std::make_shared<const Json>(parse_json(text, limits, kFile))};
  (void)JsonObject(*config.settings, config.file);  // says so where it is none
  return config;
}

std::vector<std::int32_t> GenerationConfig::stop_ids() const {
  const JsonObject config(*settings, file);
  std::vector<std::int32_t> ids;
  if (config.is_null("eos_token_id")) return ids;
  const Json& value = config.at("eos_token_id");
  if (!value.is_array()) return {read_id(config, value)};
  for (const Json& id : value) ids.push_back(read_id(config, id));
  return ids;
}

}  // namespace organ::format
