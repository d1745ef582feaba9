// SPDX-License-Identifier: Apache-2.0
#include "train/evaluate/internal/evaluate.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "format/base/fail.h"
#include "train/data/task_draw.h"
#include "train/evaluate/evaluation_rows.h"
#include "train/evaluate/internal/evaluation_batches.h"
#include "train/model/model.h"
#include "train/passes/batches.h"
#include "train/passes/run_layers.h"

namespace organ::train {
namespace {

class Evaluator {
 public:
  Evaluator(Model& model, const Dataset& data, const EvaluationOptions& options)
      : model_(model), data_(data), options_(options), rows_(evaluation_rows(data, options)) {
    result_.protocol = options.protocol;
    result_.is_part = keep_first(rows_, options.windows);
    result_.batch_rows = options.batch_rows;
    result_.documents.resize(data.stream().document_starts().size());
    if (options.protocol == Protocol::p0w) result_.words = data.stream().text_words().value();
  }

  EvaluationResult run() {
    const auto at_once = static_cast<std::size_t>(
        std::max<std::int64_t>(1, options_.batch_tokens / options_.context));
    const auto total = static_cast<std::int64_t>(rows_.size());
    for (std::size_t first = 0; first < rows_.size(); first += at_once) {
      score(std::span(rows_).subspan(first, std::min(at_once, rows_.size() - first)));
      if (options_.progress) {
        options_.progress(std::min(static_cast<std::int64_t>(first + at_once), total), total);
      }
    }
    result_.windows = total;
    return std::move(result_);
  }

 private:
  void score(std::span<const EvaluationRow> rows) {
    const Batch batch = make_batch(data_, options_, rows);
    const at::Tensor x = run_model(model_, batch);
    at::Tensor per_token;
    const LossSum sum = model_.head_loss(x, batch, 1.0, nullptr, &per_token);
    result_.nll_sum += sum.nll;
    result_.targets += sum.targets;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const std::int64_t offset = static_cast<std::int64_t>(row) * batch.length;
      share_among_documents(rows[row], batch.targets.const_data_ptr<std::int64_t>() + offset,
                            per_token.const_data_ptr<float>() + offset);
    }
  }

  void share_among_documents(const EvaluationRow& row, const std::int64_t* targets,
                             const float* nll) {
    const auto starts = data_.stream().document_starts();
    const auto tokens = target_tokens(data_, options_, row);
    for (std::size_t place = 0; place < tokens.size(); ++place) {
      const auto i = static_cast<std::int64_t>(place);
      if (targets[i] < 0) continue;
      const auto next = std::upper_bound(starts.begin(), starts.end(), tokens[place]);
      add(result_.documents[static_cast<std::size_t>(next - starts.begin() - 1)], nll[i]);
      const bool padding = options_.protocol == Protocol::p1 && i + 1 >= row.tokens;
      if (padding) add(result_.padding, nll[i]);
    }
  }

  static void add(DocumentScore& score, float nll) {
    score.nll += static_cast<double>(nll);
    ++score.targets;
  }

  Model& model_;
  const Dataset& data_;
  const EvaluationOptions& options_;
  std::vector<EvaluationRow> rows_;
  EvaluationResult result_;
};

}  // namespace

EvaluationResult evaluate(Model& model, const Dataset& data, const EvaluationOptions& options) {
  require_task(model.architecture(), data);
  const auto only = protocol_of(data.task());
  if (only ? options.protocol != *only : is_of_task(options.protocol)) {
    fail(ErrorCode::invalid_argument, "protocol {}: {}", to_string(options.protocol),
         only ? fmt::format("this model is measured under {} alone", to_string(*only))
              : "is not for causal models");
  }
  EvaluationResult result = Evaluator(model, data, options).run();
  if (result.targets == 0) {
    throw Error(ErrorCode::invalid_argument, "data: no token has a token before it in its document",
                "give at least two tokens of text");
  }
  return result;
}

}  // namespace organ::train
