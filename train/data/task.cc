// SPDX-License-Identifier: Apache-2.0
#include "train/data/task.h"

#include "format/base/random.h"

namespace organ::train {

Task task_of(const format::Architecture& architecture) {
  if (!architecture.layout().stack.empty()) return Task::spans;
  return architecture.attention_type(0) == "bidirectional" ? Task::hidden_tokens : Task::next_token;
}

std::string_view to_string(TaskDraw draw) {
  return draw == TaskDraw::each_epoch ? "each_epoch" : "once";
}

std::optional<TaskDraw> parse_task_draw(std::string_view name) {
  for (const TaskDraw draw : {TaskDraw::each_epoch, TaskDraw::once}) {
    if (name == to_string(draw)) return draw;
  }
  return std::nullopt;
}

std::uint64_t seed_of_epoch(std::uint64_t seed, std::uint64_t epoch) {
  return epoch == 0 ? seed : seed ^ SplitMix64(epoch).next();
}

}  // namespace organ::train
