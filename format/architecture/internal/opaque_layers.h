// SPDX-License-Identifier: Apache-2.0
// Layers of a family whose maths organ does not know: found by their tensors' names, described by
// everything that can be seen.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/architecture/architecture.h"
#include "format/base/error.h"
#include "format/base/json.h"

namespace organ::format::internal {

// model.layers.3.mlp.experts.0.w1 is the tensor mlp.experts.0.w1 of module 3 of model.layers. Views
// of the name that was given.
struct Numbered {
  std::string_view list, rest;  // rest is "" when the tensor itself has the number
  std::uint64_t index = 0;
};
// By the leftmost part between dots that is a decimal number; one at the very start of the name is
// passed over. nullopt where there is none.
std::optional<Numbered> outermost_number(std::string_view tensor_name);

// Numbered modules among tensor names: NAME.0.REST, NAME.1.REST, …
struct LayerList {
  std::string name;         // model.layers
  std::uint64_t count = 0;  // of different numbers
  std::string flaw;         // why it cannot be a model's layers; "" when it can
};

// The outermost numbered modules, sorted by name. Names with a number that no other writer would
// write (007) number nothing.
std::vector<LayerList> find_layer_lists(std::span<const TensorInfo* const> tensors);

// What is known of such a model. Immutable.
struct OpaqueLayers {
  std::string stack;                             // name of the list: model.layers
  std::string prefix;                            // "model.layers."
  std::string config;                            // as it is signed, canonical text
  std::vector<std::vector<LayerTensor>> layers;  // tensors of each, sorted by name
  Error reason;                                  // why the maths is not known
};

// The canonical text of the config without what no layer sees (schemas/architecture.md), reals as
// hex float strings. Throws
// incompatible when it is too deep or too large to be signed.
std::string signed_config(const Json& config, std::string_view subject);

// The same of a config that was signed with more of it, by an organ of before.
Json without_outer_keys(const Json& signed_config);

// The signed form of layers [first, first + count) of such a model (schemas/architecture.md).
Json opaque_fields(const Architecture& model, const OpaqueLayers& opaque, std::uint64_t first,
                   std::uint64_t count);

}  // namespace organ::format::internal
