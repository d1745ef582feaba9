// SPDX-License-Identifier: Apache-2.0
#include "train/probes/model_probes.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "format/base/error.h"
#include "train/data/task.h"
#include "train/model/model.h"
#include "train/passes/run_layers.h"
#include "train/probes/finding.h"
#include "train/probes/internal/head_probes.h"
#include "train/probes/trailing_runs.h"

namespace organ::train {
namespace {

// Long enough for windows and documents to matter, short enough to cost nothing.
constexpr std::int64_t kProbeLength = 64;

struct Probe {
  Model& model;
  ProbeLayers layers;
  Batch batch;        // one row
  at::Tensor x = {};  // (tokens, hidden): what the layers make of it, once for all that ask

  at::Tensor run(const Batch& input) const {
    return embed_and_run(model, input, layers.first, layers.last);
  }
};

// Of positions [first, end) of the first row: how many there are up to the last one that is asked
// for, what fills the row up behind them left out.
std::int64_t asked_length(const Batch& batch, std::int64_t first, std::int64_t end) {
  const auto* targets = batch.targets.const_data_ptr<std::int64_t>();
  std::int64_t last = end - 1;
  while (last > first && targets[last] < 0) --last;
  if (targets[last] < 0) return end - first;  // nothing is
  return std::min(end, last + 2) - first;
}

// The first `kProbeLength` positions of the first row (of its source and of its target), all of one
// document. Of a masked model, whose targets stand anywhere, with the padding behind them.
Batch first_row(const Batch& batch, bool masked) {
  Batch row;
  row.rows = 1;
  row.source = std::min(batch.source, kProbeLength);
  std::int64_t target = std::min(batch.length - batch.source, kProbeLength);
  if (!masked) target = asked_length(batch, batch.source, batch.source + target);
  row.length = row.source + target;
  const auto cut = [&](const at::Tensor& all) {
    return at::cat({all.narrow(0, 0, row.source), all.narrow(0, batch.source, target)});
  };
  if (batch.end_key.defined()) row.end_key = cut(batch.end_key);
  row.ids = cut(batch.ids);
  row.targets = cut(batch.targets);
  row.targets.narrow(0, row.length - 1, 1).fill_(-1);
  return row;
}

// [first, end)
std::vector<std::int64_t> positions(std::int64_t first, std::int64_t end) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(end - first));
  std::iota(all.begin(), all.end(), first);
  return all;
}

// The first thing to know: of numbers that are none, no other self-test says anything.
ProbeFinding finite(const Probe& probe) {
  const at::Tensor logits = probe.model.logits(probe.x, positions(0, probe.batch.length));
  const auto wrong = logits.isfinite().logical_not().sum().item<std::int64_t>();
  return make_finding("finite", static_cast<double>(wrong) / static_cast<double>(logits.numel()), 0,
                      "share of the logits of the first row that are NaN or infinite");
}

// What a later token may change of a logit: nothing. But an expert multiplies as many rows as
// tokens go to it, and the order of a product's sums depends on their number: rounding is left
// over.
double causality_limit(const Probe& probe, const at::Tensor& logits) {
  if (probe.model.architecture().spec().experts.count == 0) return 0;
  const double rounding = probe.model.precision() == Precision::bf16 ? 2e-2 : 1e-5;
  return rounding * logits.abs().max().item<double>();
}

ProbeFinding causality(const Probe& probe) {
  const std::int64_t first = probe.batch.source;
  const std::int64_t changed_at = first + (probe.batch.length - first) / 2;
  Batch changed = probe.batch;
  changed.ids = probe.batch.ids.clone();
  std::int64_t& id = changed.ids.mutable_data_ptr<std::int64_t>()[changed_at];
  id = (id + 1) % probe.model.vocab_size();
  const auto before = positions(first, changed_at);
  const at::Tensor logits = probe.model.logits(probe.x, before);
  const at::Tensor difference = logits - probe.model.logits(probe.run(changed), before);
  return make_finding(
      "causality", difference.abs().max().item<double>(), causality_limit(probe, logits),
      fmt::format("largest change of a logit before position {} when its token changes",
                  changed_at));
}

// Of a masked model: the share of the batch's targets that its input shows, there or at the next
// place. One in ten is shown, by chance some more of a few; all of them: nothing was hidden, or the
// targets are those of a causal model.
ProbeFinding hidden_targets(const Batch& batch) {
  const std::int64_t* ids = batch.ids.const_data_ptr<std::int64_t>();
  const std::int64_t* targets = batch.targets.const_data_ptr<std::int64_t>();
  std::int64_t shown = 0, all = 0;
  for (std::int64_t i = 0; i < batch.tokens(); ++i) {
    if (targets[i] < 0) continue;
    ++all;
    const bool next = i % batch.length + 1 < batch.length && targets[i] == ids[i + 1];
    if (targets[i] == ids[i] || next) ++shown;
  }
  return make_finding("hidden",
                      all == 0 ? 0 : static_cast<double>(shown) / static_cast<double>(all), 0.75,
                      "share of the targets that the model's input shows");
}

// Share of the batch's targets that are not the id that follows in their row.
double wrong_target_share(const Batch& batch) {
  const std::int64_t* ids = batch.ids.const_data_ptr<std::int64_t>();
  const std::int64_t* targets = batch.targets.const_data_ptr<std::int64_t>();
  std::int64_t wrong = 0, all = 0;
  for (std::int64_t i = 0; i < batch.tokens(); ++i) {
    if (targets[i] < 0 || i % batch.length == batch.length - 1) continue;
    ++all;
    if (targets[i] != ids[i + 1]) ++wrong;
  }
  return all == 0 ? 0 : static_cast<double>(wrong) / static_cast<double>(all);
}

ProbeFinding target_alignment(const Batch& batch) {
  return make_finding("shift", wrong_target_share(batch), 0,
                      "share of the targets that are not the next token of their row");
}

// The length stays as it is: dynamically scaled rotations depend on it.
ProbeFinding padding(const Probe& probe) {
  const std::int64_t length = probe.batch.length;
  const std::int64_t pads = (length - probe.batch.source) / 4, kept = length - pads;
  Batch text = probe.batch;
  text.targets = text.targets.clone();
  text.targets.narrow(0, kept - 1, pads + 1).fill_(-1);
  Batch more;
  more.rows = 2;
  more.length = length;
  more.source = text.source;
  more.ids = at::zeros({2 * length}, at::kLong);
  more.targets = at::full({2 * length}, -1, at::kLong);
  more.ids.narrow(0, 0, kept).copy_(text.ids.narrow(0, 0, kept));
  more.targets.narrow(0, 0, length).copy_(text.targets);
  if (text.end_key.defined()) more.end_key = at::cat({text.end_key, text.end_key});
  if (task_of(probe.model.architecture()) ==
      Task::hidden_tokens) {  // its tokens must not see the padding
    text.end_key = at::full({length}, kept, at::kInt);
    more.end_key = at::full({2 * length}, kept, at::kInt);
  }
  const LossSum plain = probe.model.head_loss(probe.run(text), text);
  const LossSum with_padding = probe.model.head_loss(probe.run(more), more);
  const double limit = probe.model.precision() == Precision::bf16 ? 1e-2 : 1e-5;
  const double scale = std::max(1.0, std::abs(plain.nll));
  const bool counted = plain.targets == with_padding.targets;
  return make_finding("padding",
                      counted ? std::abs(plain.nll - with_padding.nll) / scale : INFINITY, limit,
                      "relative change of the loss when padding is added");
}

// The scored part of each row of the batch.
ProbeFinding trailing_padding(const Batch& batch, PaddingIds padding) {
  const std::int64_t* targets = batch.targets.const_data_ptr<std::int64_t>();
  TrailingRuns runs;
  std::vector<std::int64_t> scored;
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    scored.clear();
    for (std::int64_t i = row * batch.length; i < (row + 1) * batch.length; ++i) {
      if (targets[i] >= 0) scored.push_back(targets[i]);
    }
    runs.add(std::span<const std::int64_t>(scored));
  }
  return runs.finding(padding);
}

ProbedHead probed_head(Model& model) {
  ProbedHead head;
  head.vocab_size = model.vocab_size();
  head.chunk = model.head_chunk();
  head.loss = [&model](const at::Tensor& x, const Batch& batch, at::Tensor* per_token) {
    return model.head_loss(x, batch, 1.0, nullptr, per_token);
  };
  head.uniform_loss = [&model](const at::Tensor& targets, at::Tensor* per_token) {
    return model.uniform_loss(targets, per_token);
  };
  head.logits = [&model](const at::Tensor& x, const std::vector<std::int64_t>& positions) {
    return model.logits(x, positions);
  };
  return head;
}

}  // namespace

std::vector<ProbeFinding> run_probes(Model& model, ProbeLayers layers, const Batch& batch,
                                     PaddingIds padding_ids) {
  const bool masked = task_of(model.architecture()) == Task::hidden_tokens;
  Probe probe{model, layers, first_row(batch, masked)};
  probe.x = probe.run(probe.batch);
  std::vector<ProbeFinding> findings;
  if (masked) {
    findings = {finite(probe), hidden_targets(batch), trailing_padding(batch, padding_ids)};
  } else {
    findings = {finite(probe), causality(probe), target_alignment(batch),
                trailing_padding(batch, padding_ids)};
  }
  if (probe.batch.targets.ge(0).any().item<bool>()) {
    const ProbedHead head = probed_head(model);
    findings.push_back(probe_loss(head, probe.x, probe.batch));
    findings.push_back(padding(probe));
    findings.push_back(probe_uniform(head));
  }
  return findings;
}

}  // namespace organ::train
