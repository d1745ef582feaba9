// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/run_evaluations.h"

#include <cmath>

#include <fmt/core.h>

#include "train/evaluate/evaluation.h"
#include "train/evaluate/protocol.h"

namespace organ::train {
namespace {

format::Evaluation evaluation_of(const TrainedRun& run, std::string_view subject,
                                 const HeldOutLoss& loss) {
  const Dataset& data = *run.inputs.data.held_out;
  format::Evaluation evaluation;
  evaluation.subject = subject;
  evaluation.protocol = to_string(protocol_of(data.task()).value_or(Protocol::p0));
  evaluation.context = static_cast<std::uint64_t>(data.context());
  evaluation.stride = evaluation.context;
  evaluation.tokens = static_cast<std::uint64_t>(loss.targets);
  evaluation.nll = loss.nll;
  evaluation.perplexity = std::exp(loss.nll);
  evaluation.bits_per_byte = data.bits_per_byte(loss.nll);
  evaluation.dataset = data.stream().files().front().name;
  if (data.stream().files().size() > 1) {
    evaluation.dataset += fmt::format(" and {} more", data.stream().files().size() - 1);
  }
  evaluation.dataset_digest = data.stream().digest();
  evaluation.tokenizer_digest = run.inputs.data.tokenizer;
  evaluation.conditions = format::EvaluationConditions{
      .precision = std::string(to_string(run.inputs.settings.precision)),
      .device = std::string(device_class(run.result.device)),
      .lead_in = data.stream().recorded_lead_in(),
      .reading = recorded_reading(data)};
  return evaluation;
}

// Of the weights that the run publishes: the evaluations of --patience chose them on this data.
format::Evaluation published_evaluation(const TrainedRun& run, std::string_view subject,
                                        const HeldOutLoss& loss) {
  format::Evaluation evaluation = evaluation_of(run, subject, loss);
  evaluation.conditions->chose_weights = run.result.published == PublishedWeights::best;
  return evaluation;
}

}  // namespace

std::vector<format::Evaluation> training_evaluations(const TrainedRun& run) {
  std::vector<format::Evaluation> all;
  if (run.result.before) {
    all.push_back(evaluation_of(run, "recipient_untouched", *run.result.before));
  }
  if (run.result.after) {
    all.push_back(published_evaluation(run, "as_transplanted", *run.result.after));
    all.back().position = run.inputs.settings.layers.first;
  }
  if (run.result.wrapper) {
    all.push_back(published_evaluation(run, "wrapper", *run.result.wrapper));
  }
  return all;
}

std::vector<format::Evaluation> recovery_evaluations(const TrainedRun& run) {
  std::vector<format::Evaluation> all;
  if (run.result.before) all.push_back(evaluation_of(run, "as_transplanted", *run.result.before));
  if (run.result.after) {
    all.push_back(published_evaluation(run, "after_recovery", *run.result.after));
  }
  return all;
}

}  // namespace organ::train
