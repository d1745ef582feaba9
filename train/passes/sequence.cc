// SPDX-License-Identifier: Apache-2.0
#include "train/passes/sequence.h"

#include <ATen/core/Tensor.h>

#include "format/base/fail.h"
#include "format/checkpoint/folder_rules.h"
#include "train/data/task.h"
#include "train/kernels/dispatch.h"
#include "train/model/model_access.h"
#include "train/passes/run_layers.h"
#include "train/positions/batch.h"

namespace organ::train {
namespace {

Batch batch_of(const LoadedModel& model, std::span<const std::int32_t> ids) {
  const format::Architecture& architecture = model.checkpoint().architecture();
  if (task_of(architecture) == Task::spans) {
    fail(ErrorCode::incompatible, "family {} reads two texts, not one sequence of ids",
         quote(architecture.model_type()));
  }
  if (ids.empty() || ids.size() > architecture.max_positions()) {
    fail(ErrorCode::invalid_argument, "sequence: {} ids are out of range, expected 1 to {}",
         ids.size(), architecture.max_positions());
  }
  format::require_no_own_adapter(model.checkpoint().folder());
  return one_sequence(std::vector<std::int64_t>(ids.begin(), ids.end()));
}

std::vector<float> on_host(const at::Tensor& numbers) {
  const at::Tensor host = numbers.cpu().contiguous();
  const std::span<const float> floats = host_floats(host);
  return {floats.begin(), floats.end()};
}

}  // namespace

std::vector<float> stream_of(const LoadedModel& model, std::span<const std::int32_t> ids,
                             std::uint64_t layer) {
  const auto layers = static_cast<std::uint64_t>(model.layer_count());
  if (layer > layers) {
    fail(ErrorCode::invalid_argument, "layer {} is out of range, expected 0 to {}", layer, layers);
  }
  const Batch batch = batch_of(model, ids);
  return with_share(model, [&](Model share) {
    return on_host(embed_and_run(share, batch, 0, static_cast<std::int64_t>(layer)));
  });
}

std::vector<float> logits_of(const LoadedModel& model, std::span<const std::int32_t> ids,
                             std::span<const std::uint64_t> places) {
  for (const std::uint64_t place : places) {
    if (place < ids.size()) continue;
    fail(ErrorCode::invalid_argument, "place {} is out of range, expected less than {}", place,
         ids.size());
  }
  const Batch batch = batch_of(model, ids);
  return with_share(model, [&](Model share) {
    return on_host(share.logits(run_model(share, batch), {places.begin(), places.end()}));
  });
}

std::vector<float> losses_of(const LoadedModel& model, std::span<const std::int32_t> ids) {
  Batch batch = batch_of(model, ids);
  const format::Architecture& architecture = model.checkpoint().architecture();
  if (task_of(architecture) != Task::next_token) {
    fail(ErrorCode::incompatible, "family {} sees the ids that follow: they have no loss",
         quote(architecture.model_type()));
  }
  std::vector<std::int64_t> targets(ids.begin() + 1, ids.end());
  targets.push_back(-1);
  batch.targets = index_tensor(targets);
  return with_share(model, [&](Model share) {
    at::Tensor per_token;
    share.head_loss(run_model(share, batch), batch, 1.0, nullptr, &per_token);
    std::vector<float> losses = on_host(per_token);
    losses.pop_back();
    return losses;
  });
}

}  // namespace organ::train
