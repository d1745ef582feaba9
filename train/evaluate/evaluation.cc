// SPDX-License-Identifier: Apache-2.0
#include "train/evaluate/evaluation.h"

#include <algorithm>
#include <cmath>
#include <span>

#include <fmt/core.h>

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

format::EvaluationReading recorded_reading(const Dataset& data) {
  const TokenStream& stream = data.stream();
  format::EvaluationReading reading;
  if (const auto split = stream.split()) reading.document_split = to_string(*split);
  if (const auto id = stream.padding_id()) reading.padding_id = static_cast<std::uint64_t>(*id);
  reading.draw_seed = data.draw_seed();
  return reading;
}

format::EvaluationReading recorded_reading(const Dataset& data, const EvaluationResult& result) {
  format::EvaluationReading reading = recorded_reading(data);
  if (result.is_part) reading.first_windows = static_cast<std::uint64_t>(result.windows);
  return reading;
}

std::string protocol_settings(const EvaluationOptions& options) {
  if (options.protocol == Protocol::p1) return fmt::format("fill={}", options.padding_id);
  if (options.protocol == Protocol::p6) return fmt::format("batch={}", options.batch_rows);
  return {};
}

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
