// SPDX-License-Identifier: Apache-2.0
#include "train/evaluate/evaluation.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace organ::train {
namespace {

// P6: of consecutive documents, `rows` at a time.
double mean_of_batch_means(std::span<const DocumentScore> documents, std::int64_t rows) {
  double sum = 0;
  std::int64_t batches = 0;
  const auto step = static_cast<std::size_t>(rows);
  for (std::size_t first = 0; first < documents.size(); first += step) {
    DocumentScore batch;
    for (const auto& one : documents.subspan(first, std::min(step, documents.size() - first))) {
      batch.nll += one.nll;
      batch.targets += one.targets;
    }
    if (batch.targets == 0) continue;
    sum += batch.nll / static_cast<double>(batch.targets);
    ++batches;
  }
  return sum / static_cast<double>(batches);
}

// P2: the logarithm of the mean over documents of exp(mean NLL).
double log_mean_perplexity(std::span<const DocumentScore> documents) {
  double sum = 0;
  std::int64_t count = 0;
  for (const auto& one : documents) {
    if (one.targets == 0) continue;
    sum += std::exp(one.nll / static_cast<double>(one.targets));
    ++count;
  }
  return std::log(sum / static_cast<double>(count));
}

}  // namespace

double EvaluationResult::nll() const {
  switch (protocol) {
    case Protocol::p0w: return nll_sum / static_cast<double>(words);
    case Protocol::p2: return log_mean_perplexity(documents);
    case Protocol::p6: return mean_of_batch_means(documents, batch_rows);
    default: return nll_sum / static_cast<double>(targets);
  }
}

double EvaluationResult::perplexity() const { return std::exp(nll()); }

std::optional<double> EvaluationResult::bits_per_byte(const Dataset& data) const {
  if (is_diagnostic(protocol)) return std::nullopt;
  // The sum over the bytes; of P0, whose windows leave some tokens out, the mean over all of them.
  const double per_token = protocol == Protocol::p0w
                               ? nll_sum / static_cast<double>(data.stream().text_tokens())
                               : nll();
  return data.bits_per_byte(per_token);
}

}  // namespace organ::train
