// SPDX-License-Identifier: Apache-2.0
// Short ways to ask for the architecture that a config describes.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "format/architecture/architecture.h"
#include "format/base/digest.h"

namespace organ::test {

format::Architecture architecture_of(const nlohmann::json& config);
// The error that it gives, as error_of shows it.
std::string refusal_of(const nlohmann::json& config);
// Of layers [first, first + count).
Digest signature_of(const nlohmann::json& config, std::uint64_t first = 0, std::uint64_t count = 3);
// How many numbers one layer holds.
std::uint64_t layer_parameters(const format::Architecture& model);

}  // namespace organ::test
