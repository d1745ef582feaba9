// SPDX-License-Identifier: Apache-2.0
#include "train/data/task_draw.h"

#include <fmt/core.h>
#include "format/base/fail.h"
#include "format/checkpoint/checkpoint_config.h"
#include "train/data/dataset.h"
#include "train/data/span_draw.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::train {

namespace {

std::string_view what_it_does(Task task) {
  switch (task) {
    case Task::next_token: return "predicts the next token, not dropped ones";
    case Task::hidden_tokens: return "sees the tokens that follow, so it cannot be asked for them";
    case Task::spans: return "reads a text without some spans and says what they were";
  }
  return {};
}

}  // namespace

void set_task(Dataset& data, const format::Checkpoint& checkpoint, const Tokenizer* tokenizer,
              std::uint64_t seed) {
  const Task task = task_of(checkpoint.architecture());
  if (task == Task::next_token) return;
  if (tokenizer == nullptr) {
    fail(ErrorCode::internal, "a task that draws tokens needs the tokenizer");
  }
  const std::uint64_t vocabulary = checkpoint.architecture().vocab_size();
  if (task == Task::hidden_tokens) {
    data.hide_tokens(read_mask_draw(*tokenizer, vocabulary, seed));
  } else {
    data.drop_spans(read_span_draw(format::CheckpointConfig::of(checkpoint), *tokenizer, vocabulary,
                                   data.context(), seed));
  }
}

void require_task(const format::Architecture& architecture, const Dataset& data) {
  const Task task = task_of(architecture);
  if (task == data.task()) return;
  throw Error(
      ErrorCode::incompatible,
      fmt::format("model type {}: {}", quote(architecture.model_type()), what_it_does(task)),
      "organ train and organ eval ask each model for what it was made for");
}

}  // namespace organ::train
