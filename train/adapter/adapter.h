// SPDX-License-Identifier: Apache-2.0
// A small set of trained numbers beside a frozen model: which projections it changes, how, and the
// numbers as one flat run. Formulas and stored names are those of PEFT
// (schemas/training.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "format/architecture/architecture.h"
#include "format/base/progress.h"
#include "format/checkpoint/folder_rules.h"
#include "train/adapter/peft_config.h"

namespace organ::train {

// y = x W^T + b of a layer, with what is added to it.
struct AdaptedProjection {
  std::uint64_t layer = 0;
  std::string name;  // relative to the layer: self_attn.q_proj
  std::int64_t in = 0, out = 0;
  bool transposed = false;  // Conv1D: the weight is stored [in, out]
  std::int64_t rank = 0;    // LoRA: y += scale * B (A x)
  double scale = 1;
  bool feed_forward = false;  // IA3: scales x instead of y
  // A tensor [experts, in, out] of as many matrices: x W[e] + b[e], and as many A and B. 0: a
  // module.
  std::int64_t experts = 0;
  bool inner = false;  // experts: PEFT wraps another parameter of the module around this one
};

enum class AdapterRole {
  lora_a,     // [rank, in]; of experts one below the other, [experts * rank, in]
  lora_b,     // [out, rank]; of experts [out, rank * experts], those of one rank side by side
  ia3,        // [out, 1], feed-forward [1, in]
  down,       // bottleneck: y += up(relu(down(y) + down_bias)) + up_bias; [size, out]
  down_bias,  // [size]
  up,         // [out, size]
  up_bias,    // [out]
  // No matter of a projection. Prompt: what enters the layers at the virtual positions, [positions,
  // hidden]. Prefix: their keys and values, [positions, layers * 2 * kv_heads * head_size], of each
  // layer first the keys.
  virtual_tokens,
};

// One tensor in the flat run, row by row. Offset and elements count numbers; slots lie one behind
// the other without gaps.
struct AdapterSlot {
  AdapterRole role;
  std::size_t projection = 0;  // index; of virtual tokens nothing
  std::vector<std::int64_t> shape;
  std::int64_t offset = 0, elements = 0;
  bool decay = false;  // weight decay applies: LoRA and bottleneck matrices
};

struct Adapter {
  PeftConfig config;
  // By layer; of one layer experts' parameters first, gate_up_proj before down_proj, then modules
  // in the order of the architecture's tensors. Empty for prompt and prefix.
  std::vector<AdaptedProjection> projections;
  std::vector<AdapterSlot> slots;  // by projection, then role
  std::vector<float> values;       // [elements()], empty until filled

  // Numbers of the whole run; 0 without slots.
  std::int64_t elements() const;
  // The layer it changes; of virtual tokens 0.
  std::uint64_t layer_of(const AdapterSlot& slot) const;
  // "self_attn.q_proj.lora_A.weight"
  std::string slot_name(const AdapterSlot& slot) const;
  // The key of the slot in adapter_model.safetensors.
  std::string stored_name(const AdapterSlot& slot, const format::Architecture& architecture) const;
};

// What `config` adapts in a model of this architecture; no values yet. Throws incompatible when
// it names nothing, a module that is no projection of a layer, or sizes that are not the model's.
Adapter plan_adapter(PeftConfig config, const format::Architecture& architecture);

// Values as PEFT starts them: A uniform in +-1/sqrt(in), B zero; IA3 ones; bottleneck down
// N(0, 0.02^2), the rest zero: they leave the model's function as it is. Virtual tokens N(0, 1), or
// zeros where the configuration says so. Equal seeds give equal values; what was there is replaced.
void initialise(Adapter& adapter, std::uint64_t seed);

inline constexpr std::string_view kAdapterConfig = format::kAdapterConfigFile;
inline constexpr std::string_view kAdapterWeights = "adapter_model.safetensors";

// A PEFT folder whose adapter fits the model: every tensor the configuration asks for, of its
// shape, and no other, of finite numbers. Names that hold the adapter's own
// (lora_A.default.weight) are read too; adapter_model.bin never is. Throws not_found; corrupt for a
// tensor that is absent, unknown or not finite; incompatible for shapes or modules that are not the
// model's; io.
Adapter read_adapter(const std::filesystem::path& folder, const format::Architecture& architecture);

// Writes the two files of a PEFT folder into an existing one, F32; the weights get no permission
// bit that is not among `permissions`. The weights come first, the configuration last: where that
// one fails, the weights stay. The values must be filled. Throws already_exists, io, cancelled.
void write_adapter(const Adapter& adapter, const format::Architecture& architecture,
                   const std::filesystem::path& folder, unsigned permissions = 0666,
                   const Work& work = {});

}  // namespace organ::train
