// SPDX-License-Identifier: Apache-2.0
// What each kind of layer calls its tensors, and the order in which training keeps them. The tables
// are the place where a family of known maths gets its names.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "format/architecture/architecture.h"
#include "train/weights/parameter.h"

namespace organ::train {

// What a kind of layer calls its tensors. Projections are named without ".weight" and ".bias";
// where several are one fused matrix, by the first of them. Experts' matrices and sinks are no
// projections: these are names of tensors. "" where the layer has none. Views of constants.
struct TensorNames {
  // Whole names of tensors, of all that the kind may have; a layer need not have each of them.
  std::span<const std::string_view> storage_order;  // parts of one fused matrix are adjacent
  std::string_view qkv, attention_output, query_norm, key_norm;
  std::string_view mlp_in, mlp_out;  // gate and up, or the only one; down
  std::string_view sinks = "", router = "";
  std::string_view cross_query = "", cross_key_value = "", cross_output = "", cross_norm = "";
  std::string_view attention_norm, mlp_norm;
  // Of the projections, but not of a router, which is always out_in.
  Orientation orientation;
};

// The first kind that has all of these tensors, by their names alone; it lives as long as the
// program. `tensors` is not empty. Throws incompatible when no kind of layer that training knows
// has them.
const TensorNames& tensor_names(const std::vector<format::LayerTensor>& tensors);

}  // namespace organ::train
