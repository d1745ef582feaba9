// SPDX-License-Identifier: Apache-2.0
// Which keys of a config.json are read under which name, which must not be set, and which are
// known to change nothing. What is on no list is told to the caller, never passed over in silence.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/architecture/internal/families.h"
#include "format/base/json.h"

namespace organ::format::internal {

// A key of any family that changes the function; null (but for yes_alone) or the harmless value is
// accepted, of families that do not handle the key themselves.
struct Harmless {
  std::string_view key;
  enum class Value : std::uint8_t { null, no, yes, yes_alone, zero, one, empty } value;
  std::string_view text;  // the value, for people
};
std::span<const Harmless> harmless_keys();

// The same config with every alias under the key it stands for, which it overrides as transformers
// 5.23 lets it (PreTrainedConfig.attribute_map). `config` is an object.
Json resolve_aliases(const Json& config, const Family& family);

// ArchitectureReader::own_code.
std::vector<std::string> own_code(const JsonObject& config);

// Throws incompatible for a key that changes what layers compute in a way that is not implemented.
void refuse_unsupported_keys(const JsonObject& config, const Family& family);

// The keys that are not null and of which nothing is known, those in rope_parameters and
// rope_scaling as "rope_parameters.NAME"; sorted.
std::vector<std::string> unknown_keys(const Json& config, const Family& family);

// What no layer sees of a config, at any depth: ids, outer tables, dropout, defaults of
// generation, names, versions. Opaque layers are signed and compared without it.
bool is_outside_layers(std::string_view key);

}  // namespace organ::format::internal
