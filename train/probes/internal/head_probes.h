// SPDX-License-Identifier: Apache-2.0
// The self-tests of a head and its loss (train/probes/model_probes.h), apart from the model, so
// that a wrong head can be put before them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "train/model/model.h"
#include "train/probes/model_probes.h"

namespace organ::train {

// What the probes ask of a head; the functions are those of Model.
// `x`: fp32 [positions, hidden_size], the stream that enters the head. `per_token`, unless null,
// receives the loss of each position in nats; positions without a target (below 0) cost nothing.
struct ProbedHead {
  std::int64_t vocab_size = 0;
  std::int64_t chunk = 0;  // rows of logits computed at once
  std::function<LossSum(const at::Tensor& x, const Batch& batch, at::Tensor* per_token)> loss;
  std::function<LossSum(const at::Tensor& targets, at::Tensor* per_token)> uniform_loss;
  std::function<at::Tensor(const at::Tensor& x, const std::vector<std::int64_t>& positions)> logits;
};

// 0 .. end - 1.
std::vector<std::int64_t> positions_before(std::int64_t end);

// shift: the loss of each position of the stream x against -ln softmax of its logits, in fp64.
ProbeFinding probe_loss(const ProbedHead& head, const at::Tensor& x, const Batch& batch);

// uniform: where all logits are equal, each row of more than one chunk costs ln(vocab_size), and
// the sum counts each row once.
ProbeFinding probe_uniform(const ProbedHead& head);

}  // namespace organ::train
