// SPDX-License-Identifier: Apache-2.0
#include "train/model/internal/stack.h"
#include "format/checkpoint/checkpoint_config.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "format/architecture/unpacked_tensors.h"
#include "format/base/fail.h"
#include "format/base/json.h"
#include "train/weights/stored_weights.h"
#include "train/weights/tensor_names.h"

namespace organ::train {
namespace {

std::optional<RelativeBias> read_relative(const format::Checkpoint& checkpoint, const Geometry& g,
                                          at::Device device) {
  if (!g.relative) return std::nullopt;
  const auto table = checkpoint.shared_state();
  check(table.has_value(), "a stack with relative positions has no table of them");
  return RelativeBias(*g.relative,
                      read_tensor(checkpoint, table->tensor->name, {g.relative->buckets, g.heads},
                                  at::kFloat, at::kCPU),
                      device);
}

// The numbers of a layer's matrices that each token is multiplied with.
std::int64_t matrix_numbers(const std::vector<ParameterSlot>& layout, const Geometry& g) {
  std::int64_t sum = 0;
  for (const ParameterSlot& slot : layout) {
    if (slot.name.ends_with("bias")) continue;
    if (slot.shape.size() == 2) sum += slot.elements;
    if (slot.shape.size() == 3) sum += slot.elements / g.experts * g.experts_per_token;
  }
  return sum;
}

}  // namespace

Stack::Stack(const format::Checkpoint& checkpoint, std::int64_t first_place, at::Device device)
    : geometry(read_geometry(checkpoint.architecture())),
      names(tensor_names(format::unpacked_tensors(checkpoint.architecture().tensors()))),
      layout(storage_layout(format::unpacked_tensors(checkpoint.architecture().tensors()), names)),
      layer_elements(layout.back().offset + layout.back().elements),
      first(first_place),
      count(static_cast<std::int64_t>(checkpoint.architecture().layer_count())),
      relative(read_relative(checkpoint, geometry, device)) {}

std::int64_t Stack::row_multiplications(std::int64_t length, std::int64_t source) const {
  const std::int64_t numbers = matrix_numbers(layout, geometry);
  if (geometry.part == StreamPart::whole) return length * numbers;
  if (geometry.part == StreamPart::source) return source * numbers;
  const std::int64_t of_source = 2 * geometry.kv_width() * geometry.hidden_size;
  return source * of_source + (length - source) * (numbers - of_source);
}

OpenStacks::OpenStacks(const format::Checkpoint& checkpoint) {
  const format::Architecture& own = checkpoint.architecture();
  if (own.stack().empty()) {
    parts_ = {&checkpoint};
    return;
  }
  const std::string_view stack = own.spec().cross_attention ? "encoder" : "decoder";
  const auto missing = [&] {
    throw Error(ErrorCode::incompatible,
                fmt::format("{}: holds no {}", quote(checkpoint.folder().string()), stack),
                "training and evaluation need both stacks of an encoder-decoder");
  };
  // Its first layer stands for it: Checkpoint::layer names what else is missing.
  const format::FamilyLayout& layout = own.layout();
  for (const auto& each : format::family_stacks(layout.model_type)) {
    if (each.stack != stack) continue;
    const std::string first = fmt::format("{}0.{}", each.layer_prefix, each.shared_tensor);
    if (!checkpoint.find(first)) missing();
  }
  other_ = checkpoint.other_stack(stack);
  if (stack == "encoder") {
    parts_ = {&*other_, &checkpoint};
  } else {
    parts_ = {&checkpoint, &*other_};
  }
}

double head_input_scale(const format::Checkpoint& checkpoint) {
  if (checkpoint.architecture().stack().empty()) return 1;
  const JsonObject config(format::CheckpointConfig::of(checkpoint),
                          std::string(format::kConfigFile));
  // transformers 5 writes the first key; before, the second one meant the same.
  const auto scaled = config.optional_boolean("scale_decoder_outputs");
  if (!scaled.value_or(config.optional_boolean("tie_word_embeddings").value_or(true))) return 1;
  return 1 / std::sqrt(static_cast<double>(checkpoint.architecture().hidden_size()));
}

}  // namespace organ::train
