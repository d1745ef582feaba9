// SPDX-License-Identifier: Apache-2.0
// What an adapter does at one projection of a layer, beside its weights.
#pragma once

#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "train/adapter/adapter.h"
#include "train/weights/projection.h"

namespace organ::train {

// Stateless; borrows its numbers and the place of their gradients.
class Adaptation {
 public:
  virtual ~Adaptation() = default;
  // The adapted output of `base` for x working [n, in]; the result working [n, out].
  virtual at::Tensor forward(const Projection& base, const at::Tensor& x) const = 0;
  // The gradient of x; adds those of the adapter's numbers and of the base's weights, where they
  // train. `base` and `input` are of the same rows as in forward.
  virtual at::Tensor backward(const Projection& base, const at::Tensor& dy,
                              const MakeInput& input) const = 0;
};

// The tensors of an adapter at one projection; only those of its kind are defined. Values working,
// but of IA3 fp32 in both precisions; gradients fp32.
struct AdapterParameters {
  AdapterKind kind = AdapterKind::lora;
  AdaptedProjection projection = {};
  Parameter lora_a = {}, lora_b = {};                          // [rank, in], [out, rank]
  Parameter ia3 = {};                                          // [out] or, feed-forward, [in]
  Parameter down = {}, down_bias = {}, up = {}, up_bias = {};  // [size, out], …, [out, size], …
};

// One of the projections that a product computes at once: columns [first_column, + projection.out)
// of its output; 0 of a product that is not fused.
struct AdaptedPart {
  std::int64_t first_column = 0;
  AdapterParameters parameters;
};

// Of all adapted parts of one product with `out` columns, all of one kind. Throws incompatible
// for an adapter that scales the input of a part of a fused product, internal for a bottleneck
// behind a part of one and for virtual tokens. `parts` is not empty.
std::unique_ptr<Adaptation> make_adaptation(std::vector<AdaptedPart> parts, std::int64_t out);

}  // namespace organ::train
