// SPDX-License-Identifier: Apache-2.0
#include "tests/support/architectures.h"

#include <nlohmann/json.hpp>

#include "format/architecture/architecture_reader.h"
#include "tests/support/support.h"

namespace organ::test {

using format::Architecture;

Architecture architecture_of(const nlohmann::json& config) {
  return format::ArchitectureReader::from_config(config, "config.json");
}

std::string refusal_of(const nlohmann::json& config) {
  return error_of([&] { architecture_of(config); });
}

Digest signature_of(const nlohmann::json& config, std::uint64_t first, std::uint64_t count) {
  return Architecture::signature(architecture_of(config).layer_fields(first, count));
}

std::uint64_t layer_parameters(const Architecture& model) {
  std::uint64_t sum = 0;
  for (const format::LayerTensor& tensor : model.tensors()) {
    std::uint64_t product = 1;
    for (const auto dimension : tensor.shape) product *= dimension;
    sum += product;
  }
  return sum;
}

}  // namespace organ::test
