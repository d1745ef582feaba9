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

format::Shape unsigned_shape(const std::vector<std::int64_t>& shape) {
  return {shape.begin(), shape.end()};
}

// The stored tensor of each slot; every check before anything is allocated.
std::vector<const format::TensorInfo*> find_tensors(const format::SafetensorsFile& file,
                                                    const Adapter& adapter,
                                                    const format::Architecture& architecture) {
  std::vector<const format::TensorInfo*> found;
  for (const AdapterSlot& slot : adapter.slots) {
    const std::string name = adapter.stored_name(slot, architecture);
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
