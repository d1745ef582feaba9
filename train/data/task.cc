// SPDX-License-Identifier: Apache-2.0
#include "train/data/task.h"

namespace organ::train {
Task task_of(const format::Architecture& architecture) {
  if (!architecture.layout().stack.empty()) return Task::spans;
  return architecture.attention_type(0) == "bidirectional" ? Task::hidden_tokens : Task::next_token;
}

}  // namespace organ::train
