// SPDX-License-Identifier: Apache-2.0
#include "train/evaluation.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "format/base/error.h"
#include "train/internal/model.h"
#include "train/kernels/kernels.h"

namespace organ::train {
namespace {

void check_options(const EvaluationOptions& options) {
  if (options.context < 2) {
    fail(ErrorCode::invalid_argument, "context: expected at least 2 tokens, got {}",
         options.context);
  }
  if (options.stride < 1 || options.stride > options.context) {
    fail(ErrorCode::invalid_argument, "stride: expected 1..{} (the context), got {}",
         options.context, options.stride);
  }
}

// Windows until one reaches the end of the stream.
std::int64_t window_count(std::int64_t tokens, const EvaluationOptions& options) {
  const std::int64_t rest = std::max<std::int64_t>(0, tokens - options.context);
  const std::int64_t all = 1 + (rest + options.stride - 1) / options.stride;
  return options.windows > 0 ? std::min(options.windows, all) : all;
}

class Evaluator {
 public:
  Evaluator(Model& model, const Dataset& data, const EvaluationOptions& options)
      : model_(model), data_(data), options_(options) {
    result_.documents.resize(data.document_starts().size());
  }

  EvaluationResult run() {
    const std::int64_t total = window_count(data_.tokens(), options_);
    const std::int64_t rows = std::max<std::int64_t>(1, options_.batch_tokens / options_.context);
    for (std::int64_t window = 0; window < total; window += rows) {
      score(window, std::min(rows, total - window));
      if (options_.progress) options_.progress(std::min(window + rows, total), total);
    }
    result_.windows = total;
    return std::move(result_);
  }

 private:
  Batch make_batch(std::int64_t first_window, std::int64_t rows) const {
    Batch batch;
    batch.rows = rows;
    batch.length = options_.context;
    batch.ids = kernels::empty({batch.tokens()}, at::kLong);
    batch.targets = kernels::empty({batch.tokens()}, at::kLong);
    batch.first_key = kernels::empty({batch.tokens()}, at::kInt);
    const auto length = static_cast<std::size_t>(batch.length);
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t offset = row * batch.length;
      std::int64_t* targets = batch.targets.mutable_data_ptr<std::int64_t>() + offset;
      data_.fill_from((first_window + row) * options_.stride,
                      {{batch.ids.mutable_data_ptr<std::int64_t>() + offset, length},
                       {targets, length},
                       {batch.first_key.mutable_data_ptr<std::int32_t>() + offset, length}});
      std::fill_n(targets, counted_before(first_window + row), -1);
    }
    return batch;
  }

  // The positions at the start of a window whose targets the window before has counted.
  std::int64_t counted_before(std::int64_t window) const {
    return window == 0 ? 0 : std::max<std::int64_t>(0, options_.context - options_.stride - 1);
  }

  void score(std::int64_t first_window, std::int64_t rows) {
    const Batch batch = make_batch(first_window, rows);
    at::Tensor x = model_.embed(batch);
    for (std::int64_t layer = 0; layer < model_.layer_count(); ++layer) {
      x = model_.forward_layer(layer, x, batch, nullptr);
    }
    at::Tensor per_token;
    const LossSum sum = model_.head_loss(x, batch, 1.0, nullptr, &per_token);
    result_.nll_sum += sum.nll;
    result_.targets += sum.targets;
    share_among_documents(batch, first_window, per_token);
  }

  void share_among_documents(const Batch& batch, std::int64_t first_window,
                             const at::Tensor& per_token) {
    const std::int64_t* targets = batch.targets.const_data_ptr<std::int64_t>();
    const float* nll = per_token.const_data_ptr<float>();
    const auto starts = data_.document_starts();
    for (std::int64_t i = 0; i < batch.tokens(); ++i) {
      if (targets[i] < 0) continue;
      const std::int64_t window = first_window + i / batch.length;
      const std::int64_t token = window * options_.stride + i % batch.length;
      const auto next = std::upper_bound(starts.begin(), starts.end(), token);
      DocumentScore& score = result_.documents[static_cast<std::size_t>(next - starts.begin() - 1)];
      score.nll += static_cast<double>(nll[i]);
      ++score.targets;
    }
  }

  Model& model_;
  const Dataset& data_;
  const EvaluationOptions& options_;
  EvaluationResult result_;
};

}  // namespace

double EvaluationResult::perplexity() const { return std::exp(nll()); }

std::optional<double> EvaluationResult::bits_per_byte(const Dataset& data) const {
  const auto bytes = data.text_bytes();
  if (!bytes || *bytes == 0) return std::nullopt;
  return nll() / std::numbers::ln2 * static_cast<double>(data.tokens()) /
         static_cast<double>(*bytes);
}

EvaluationResult evaluate(Model& model, const Dataset& data, const EvaluationOptions& options) {
  check_options(options);
  EvaluationResult result = Evaluator(model, data, options).run();
  if (result.targets == 0) {
    throw Error(ErrorCode::invalid_argument, "data: no token has a token before it in its document",
                "give at least two tokens of text");
  }
  return result;
}

}  // namespace organ::train
