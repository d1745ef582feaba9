// SPDX-License-Identifier: Apache-2.0
#include "train/data/task.h"
#include "format/architecture/architecture_reader.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

namespace organ::train {

TEST_CASE("what a model is asked for follows from what its layers see") {
  const auto task = [](const nlohmann::json& config, const char* stack = "") {
    return task_of(format::ArchitectureReader::from_config(config, "config.json", stack));
  };
  const nlohmann::json gpt2 = {
      {"model_type", "gpt2"}, {"n_embd", 8}, {"n_layer", 1}, {"n_head", 2}, {"vocab_size", 16}};
  const nlohmann::json bert = {{"model_type", "bert"},   {"hidden_size", 8},
                               {"num_hidden_layers", 1}, {"num_attention_heads", 2},
                               {"intermediate_size", 8}, {"vocab_size", 16}};
  const nlohmann::json t5 = {{"model_type", "t5"}, {"d_model", 8},   {"d_ff", 8},       {"d_kv", 4},
                             {"num_layers", 1},    {"num_heads", 2}, {"vocab_size", 16}};
  CHECK(task(gpt2) == Task::next_token);
  CHECK(task(bert) == Task::hidden_tokens);
  CHECK(task(t5, "decoder") == Task::spans);
  CHECK(task(t5, "encoder") == Task::spans);
}

TEST_CASE("each epoch has a draw of its own, the first one that of the seed itself") {
  CHECK(seed_of_epoch(7, 0) == 7);
  CHECK(seed_of_epoch(7, 1) != 7);
  CHECK(seed_of_epoch(7, 1) != seed_of_epoch(7, 2));
  CHECK(seed_of_epoch(7, 1) != seed_of_epoch(8, 1));
  for (const TaskDraw draw : {TaskDraw::each_epoch, TaskDraw::once}) {
    CHECK(parse_task_draw(to_string(draw)) == draw);
  }
  CHECK_FALSE(parse_task_draw("twice"));
}

}  // namespace organ::train
