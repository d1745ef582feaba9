// SPDX-License-Identifier: Apache-2.0
// Families as data: config keys with transformers' defaults, tensor names and shapes. Names and
// shapes: reference documents of each model; defaults: transformers 5.23 configuration classes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "format/architecture.h"

namespace organ::format::internal {

// A dimension of a layer's tensor.
enum class Size : std::uint8_t {
  none,  // the tensor has fewer dimensions
  hidden,
  inner,    // intermediate size
  queries,  // heads x head_dim
  keys,     // KV heads x head_dim
  fused,    // queries + 2 x keys
  head,     // head_dim
};

// When a family's layer has the tensor.
enum class When : std::uint8_t { always, qkv_bias, output_bias, mlp_bias };

struct TensorRule {
  std::string_view name;
  std::array<Size, 2> shape;
  When when = When::always;
};

enum class BiasRule : std::uint8_t { none, qkv, qkvo, by_config };  // by_config: attention_bias
enum class WindowRule : std::uint8_t {
  none,
  every_layer,  // sliding_window, when not null, holds for all layers (Mistral)
  from_layer,   // use_sliding_window, max_window_layers or layer_types (Qwen)
};

struct Family {
  FamilyLayout layout;

  // Config keys; "" where the family has none.
  std::string_view hidden_size, intermediate_size, heads, kv_heads, head_dim, max_positions;
  std::string_view norm_epsilon, activation;

  // What transformers assumes when the key is absent; 0 = derived (inner 4 x hidden, KV heads =
  // heads, head_dim = hidden / heads).
  std::uint64_t default_kv_heads, default_head_dim, default_max_positions, default_window;
  double default_epsilon;
  std::string_view default_activation;
  bool default_tied;

  std::string_view norm;      // "rms" | "layer"
  std::string_view mlp;       // "gated" | "plain"
  std::string_view position;  // "rope" | "learned"
  std::string_view qk_norm;   // "none" | "rms_per_head"
  BiasRule attention_bias;
  bool mlp_bias_by_config;  // else as `mlp_bias`
  bool mlp_bias;
  WindowRule window;

  std::span<const TensorRule> tensors;           // relative to the layer
  std::span<const std::string_view> ready_made;  // buffers old files hold; ignored
};

std::span<const Family> families();
const Family* family_of(std::string_view model_type);

}  // namespace organ::format::internal
