// SPDX-License-Identifier: Apache-2.0
// Families as data: config keys with transformers' defaults, tensor names and shapes. Names and
// shapes: reference documents of each model; defaults: transformers 5.23 configuration classes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "format/architecture/architecture.h"

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
  heads,    // query heads
  experts,
  gate_up,        // 2 x intermediate size
  hidden_blocks,  // MXFP4: hidden / 32
  inner_blocks,   // MXFP4: intermediate size / 32
  block,          // MXFP4: 16 bytes hold 32 values
};

// When a family's layer has the tensor: by the LayerSpec that config.json gives. qkv_bias holds for
// attention_bias "qkv" and "qkvo", output_bias for "qkvo" alone; gated and plain ask for the MLP,
// mxfp4 and not_mxfp4 for the form in which experts are stored.
enum class When : std::uint8_t {
  always,
  qkv_bias,
  output_bias,
  mlp_bias,
  gated,
  plain,
  mxfp4,  // always U8
  not_mxfp4,
};

// One tensor of a layer as family_tensors.h lists it; its name is relative to the layer.
struct TensorRule {
  std::string_view name;
  std::array<Size, 4> shape;  // ends at the first `none`
  When when = When::always;
};

// Which of a layer's projections have a bias, whatever the config says, but for by_config: all four
// where `attention_bias` is true, where it is absent as Family::default_attention_bias.
enum class BiasRule : std::uint8_t { none, qkv, qkvo, by_config };  // by_config: attention_bias
// Where sliding windows come from. An absent sliding_window is Family::default_window wherever a
// window is switched on; null is none (alternating: corrupt).
enum class WindowRule : std::uint8_t {
  none,
  every_layer,  // sliding_window, when not null, holds for all layers (Mistral)
  from_layer,   // use_sliding_window, max_window_layers or layer_types (Qwen)
  alternating,  // layer_types, or every second layer from layer 0 on (GPT-OSS)
};

// Another name of a config key, which transformers lets win (attribute_map): `name` is what the
// file may say instead of `key`, and a value of null counts as absent.
struct Alias {
  std::string_view name, key;
};

// One stack of one model_type: how its config.json is read and which tensors its layers have. All
// texts and spans are of static data and never end. A field of a family that has no such thing
// keeps "", 0 or an empty span.
struct Family {
  FamilyLayout layout;

  // Config keys; "" where the family has none.
  std::string_view hidden_size, intermediate_size, heads, kv_heads, head_dim, max_positions;
  std::string_view norm_epsilon, activation;
  // Counts when layout.layer_count_key is absent, by this name alone: no alias is looked at.
  std::string_view other_layer_count = "";

  // What transformers assumes when the key is absent; 0 = derived (KV heads = heads, head_dim =
  // hidden / heads).
  std::uint64_t default_kv_heads, default_head_dim, default_max_positions, default_window;
  std::uint64_t default_layer_count = 0;  // of other_layer_count
  double default_epsilon;
  double default_theta = 10'000;
  bool yarn_by_default = false;
  std::string_view default_activation;
  bool default_tied;
  bool default_attention_bias = false;

  // The words of LayerSpec; what is no word of it is said here.
  std::string_view norm;                    // "rms" | "layer"
  std::string_view norm_placement = "pre";  // "pre" | "post"
  std::string_view mlp;                     // "gated" | "plain" | "experts" | "" as the activation
  std::string_view position;                // "rope" | "learned" | "relative"
  std::string_view qk_norm;                 // "none" | "rms_per_head"
  std::string_view sight = "full";          // of layers without a window: "full" | "bidirectional"
  BiasRule attention_bias;
  bool derived_inner = false;  // an absent or null intermediate size is 4 x hidden
  bool mlp_bias_by_config;     // else as `mlp_bias`
  bool mlp_bias;
  bool sinks = false;
  bool cross_attention = false;
  double attention_scale = 0;  // 0: 1 / sqrt(head_dim)
  // scale_attn_weights and scale_attn_by_inverse_layer_idx change the factor of the scores.
  bool scale_by_config = false;
  WindowRule window;
  std::span<const std::string_view> handled = {};  // keys that other families must not set
  std::span<const Alias> aliases = {};
  // Keys besides those named above and those of every family (config_keys.cc): read, or known to
  // change nothing in a layer.
  std::span<const std::string_view> keys = {};

  std::span<const TensorRule> tensors;           // relative to the layer
  std::span<const std::string_view> ready_made;  // buffers old files hold; ignored
};

// Sorted by model_type; the stacks of one stand together, the one that is meant by default first.
std::span<const Family> families();
// `stack` is a short name (decoder), the name of the list of layers (decoder.block), or "" for the
// first one. nullptr for an unknown model_type, and for a stack that it does not have.
const Family* family_of(std::string_view model_type, std::string_view stack = "");

}  // namespace organ::format::internal
