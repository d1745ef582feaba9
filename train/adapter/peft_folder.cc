// SPDX-License-Identifier: Apache-2.0
// adapter_config.json and adapter_model.safetensors.
#include <algorithm>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "format/base/path_status.h"
#include "format/tensor/finite.h"
#include "format/tensor/safetensors.h"
#include "format/tensor/stored_values.h"
#include "train/adapter/adapter.h"

namespace organ::train {
namespace {

// PEFT saves embedding and head along when their size changed (save_embedding_layers).
void refuse_outer_tensor(const format::SafetensorsFile& file, const format::TensorInfo& tensor,
                         const format::FamilyLayout& layout) {
  for (const std::string_view outer : {layout.embedding, layout.head, layout.position_embedding}) {
    if (outer.empty() || !tensor.name.ends_with(fmt::format(".{}", outer))) continue;
    throw Error(ErrorCode::incompatible,
                fmt::format("{}: holds {} of its own, and only projections of layers are adapted",
                            file.subject(), quote(tensor.name)),
                "PEFT saves it where tokens were added; merge the adapter with PEFT");
  }
}

// "model.layers.0.self_attn.q_proj" of "base_model.model.model.layers.0.self_attn.q_proj.lora_A….
// "" for other names.
std::string_view module_in(std::string_view name) {
  constexpr std::string_view kStart = "base_model.model.";
  const std::size_t end = std::min(name.rfind(".lora_"), name.rfind(".ia3_l"));
  if (!name.starts_with(kStart) || end == name.npos || end < kStart.size()) return {};
  return name.substr(kStart.size(), end - kStart.size());
}

// What a sound file holds beside projections of the layers: other modules that are targets (the
// other stack of T5, what stands before BERT's head), biases.
void refuse_other_targets(const format::SafetensorsFile& file, const format::TensorInfo& tensor,
                          const PeftConfig& config, const format::Architecture& architecture) {
  const std::string_view module = module_in(tensor.name);
  const bool target = !module.empty() && !config.excluded.matches(module) &&
                      (config.targets.all_linear() || config.targets.matches(module));
  if (target) {
    throw Error(ErrorCode::incompatible,
                fmt::format("{}: adapts module {} too, and only projections of {}{}N are adapted",
                            file.subject(), quote(module), architecture.layout().optional_prefix,
                            architecture.layout().layer_prefix),
                "merge the adapter with PEFT (merge_and_unload)");
  }
  if (!config.biases || !tensor.name.ends_with(".bias")) return;
  throw Error(ErrorCode::incompatible,
              fmt::format("{}: holds the trained bias {}, and only projections are adapted",
                          file.subject(), quote(tensor.name)),
              "merge the adapter with PEFT (merge_and_unload)");
}

// The name of an adapter that stands in the names of its tensors (lora_A.default.weight) where the
// state of a model was saved, by the first slot; "" where there is none.
std::string name_of_adapter(const format::SafetensorsFile& file, const std::string& stored) {
  constexpr std::string_view kWeight = ".weight";
  const bool weight = stored.ends_with(kWeight);
  const std::string start = stored.substr(0, stored.size() - (weight ? kWeight.size() : 0)) + ".";
  for (const format::TensorInfo& tensor : file.header().tensors) {
    std::string_view name = tensor.name;
    if (!name.starts_with(start)) continue;
    name.remove_prefix(start.size());
    if (weight && !name.ends_with(kWeight)) continue;
    if (weight) name.remove_suffix(kWeight.size());
    if (!name.empty() && name.find('.') == name.npos) return std::string(name);
  }
  return {};
}

std::string with_adapter_name(const std::string& stored, const std::string& adapter) {
  if (adapter.empty()) return stored;
  const std::size_t end = stored.ends_with(".weight") ? stored.rfind('.') : stored.size();
  return fmt::format("{}.{}{}", stored.substr(0, end), adapter, stored.substr(end));
}

format::Shape unsigned_shape(const std::vector<std::int64_t>& shape) {
  return {shape.begin(), shape.end()};
}

// The stored tensor of each slot; every check before anything is allocated.
std::vector<const format::TensorInfo*> find_tensors(const format::SafetensorsFile& file,
                                                    const Adapter& adapter,
                                                    const format::Architecture& architecture) {
  std::vector<const format::TensorInfo*> found;
  std::string given;
  if (!adapter.slots.empty()) {
    const std::string first = adapter.stored_name(adapter.slots.front(), architecture);
    if (file.header().find(first) == nullptr) given = name_of_adapter(file, first);
  }
  for (const AdapterSlot& slot : adapter.slots) {
    const std::string name = with_adapter_name(adapter.stored_name(slot, architecture), given);
    const format::TensorInfo* tensor = file.header().find(name);
    if (tensor == nullptr) {
      fail(ErrorCode::corrupt, "{}: lacks tensor {}, which {} asks for", file.subject(),
           quote(name), kAdapterConfig);
    }
    if (tensor->shape != unsigned_shape(slot.shape)) {
      fail(ErrorCode::incompatible, "{}: tensor {}: has shape {}, the model needs {}",
           file.subject(), quote(name), format::to_string(tensor->shape),
           format::to_string(unsigned_shape(slot.shape)));
    }
    found.push_back(tensor);
  }
  for (const format::TensorInfo& tensor : file.header().tensors) {
    if (std::find(found.begin(), found.end(), &tensor) != found.end()) continue;
    refuse_outer_tensor(file, tensor, architecture.layout());
    refuse_other_targets(file, tensor, adapter.config, architecture);
    fail(ErrorCode::corrupt, "{}: tensor {} is nothing that {} asks for", file.subject(),
         quote(tensor.name), kAdapterConfig);
  }
  return found;
}

}  // namespace

Adapter read_adapter(const std::filesystem::path& folder,
                     const format::Architecture& architecture) {
  const auto config_path = folder / kAdapterConfig;
  const std::string subject = config_path.string();
  Adapter adapter = plan_adapter(
      parse_peft_config(read_file(config_path, kPeftConfigLimit), subject), architecture);
  const auto weights = folder / kAdapterWeights;
  if (!is_there(weights) && is_there(folder / "adapter_model.bin")) {
    throw Error(ErrorCode::not_found, fmt::format("{}: does not exist", quote(weights.string())),
                "adapter_model.bin holds Python objects and is never opened");
  }
  const auto file = format::SafetensorsFile::open(weights);
  const auto tensors = find_tensors(file, adapter, architecture);
  adapter.values.reserve(static_cast<std::size_t>(adapter.elements()));
  for (const format::TensorInfo* tensor : tensors) {
    const auto bytes = file.read(*tensor);
    try {
      format::require_finite(*tensor, bytes);
    } catch (Error& error) {
      error.with_context(file.subject());
      throw;
    }
    const auto values = format::floats_of(*tensor, bytes);
    adapter.values.insert(adapter.values.end(), values.begin(), values.end());
  }
  return adapter;
}

void write_adapter(const Adapter& adapter, const format::Architecture& architecture,
                   const std::filesystem::path& folder, unsigned permissions, const Work& work) {
  std::vector<format::TensorSource> sources;
  for (const AdapterSlot& slot : adapter.slots) {
    const std::span<const float> values(adapter.values.data() + slot.offset,
                                        static_cast<std::size_t>(slot.elements));
    sources.push_back(format::memory_source({.name = adapter.stored_name(slot, architecture),
                                             .dtype = format::DType::F32,
                                             .shape = unsigned_shape(slot.shape),
                                             .offset = 0,
                                             .size = values.size_bytes()},
                                            std::as_bytes(values)));
  }
  AtomicFile weights(folder / kAdapterWeights);
  const Work writing = work.phase("writing", format::total_size(sources));
  format::write_safetensors(weights.fd(), std::move(sources), {{"format", "pt"}}, kAdapterWeights,
                            writing);
  weights.commit(AtomicFile::Mode::create_new, permissions);
  write_file(folder / kAdapterConfig, adapter.config.text, AtomicFile::Mode::create_new);
}

}  // namespace organ::train
