// SPDX-License-Identifier: Apache-2.0
// Rotary positions of a config.json, both generations.
#pragma once

#include "format/architecture/architecture.h"
#include "format/architecture/internal/families.h"
#include "format/base/json.h"

namespace organ::format::internal {

// Fills rope_theta and rope_scaling of a spec whose head_dim is known. Throws incompatible for a
// rope_type that is not implemented, a partial_rotary_factor other than 1 or parameters by layer;
// corrupt for an odd head_dim, numbers out of range and two places that contradict each other.
// `max_positions` is the original length where the config names none. `config` has its aliases
// resolved.
void read_rope(const JsonObject& config, const Family& family, std::uint64_t max_positions,
               LayerSpec& spec);

}  // namespace organ::format::internal
