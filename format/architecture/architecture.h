// SPDX-License-Identifier: Apache-2.0
// What makes a transformer layer's function: the fields that the architecture signature signs,
// and the tensor names and shapes of each family, as data.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "format/base/json_text.h"
#include "format/tensor/tensor.h"

namespace organ::format {
namespace internal {
struct OpaqueLayers;
}
struct ArchitectureReader;
}  // namespace organ::format

#pragma GCC visibility push(default)

namespace organ::format {

// One tensor of a layer, its name relative to the layer.
struct LayerTensor {
  std::string name;  // mlp.up_proj.weight
  Shape shape;
  std::optional<DType> dtype = {};  // exactly this element type; absent: any floating one
};

// Where a family keeps things in a checkpoint. Plain data; one entry per model_type and stack.
// Names are without the optional prefix; "" where the family has no such tensor.
struct FamilyLayout {
  std::string_view model_type;
  std::string_view stack = "";    // "encoder" | "decoder" where the model has two, else ""
  std::string_view layer_prefix;  // "layers." + index + "."
  std::string_view embedding;     // "embed_tokens.weight"
  // Other names that files give the same matrix; transformers takes whichever is there.
  std::array<std::string_view, 2> other_embeddings = {};
  std::string_view position_embedding = "";  // "wpe.weight", where positions are learned
  std::string_view final_norm;           // "norm.weight" (LayerNorm: its .bias beside it), or ""
  std::string_view head;                 // "lm_head.weight"
  std::string_view layer_count_key;      // "num_hidden_layers"
  std::string_view token_types = "";     // its row 0 is added to every embedding
  std::string_view embedding_norm = "";  // NAME.weight and NAME.bias norm the embedding
  // NAME.dense, the activation and NAME.LayerNorm come before the head, HEAD_BIAS after it.
  std::string_view head_transform = "", head_bias = "";
  // What a model with a head puts before every name but the head's, and its base class does not:
  // "model.", "transformer.", "bert."; "" where both write the same. Both spellings are read.
  std::string_view optional_prefix;
  // What all layers of the stack read although only layer 0 holds it, relative to that layer.
  std::string_view shared_tensor = "";
  // The files say whether the head is tied, whatever config.json says (T5 in transformers 5).
  bool files_tie_head = false;
};

// The tensor of an organ's shared.safetensors: what FamilyLayout::shared_tensor holds.
inline constexpr std::string_view kSharedTensor = "relative_attention_bias.weight";

// The stacks of a family, the one that is meant by default first; empty for an unknown family.
// Their texts are static data. known_families() is sorted, each name once.
std::vector<FamilyLayout> family_stacks(std::string_view model_type);
std::vector<std::string_view> known_families();

// How rotary frequencies are scaled. Only the numbers of `kind` mean anything; the formulas are
// those of transformers 5 (modeling_rope_utils).
struct RopeScaling {
  std::string kind = "none";  // none | linear | dynamic | llama3 | yarn
  double factor = 1;
  std::uint64_t original_max_positions = 0;          // dynamic, llama3, yarn
  double low_freq_factor = 0, high_freq_factor = 0;  // llama3
  double beta_fast = 32, beta_slow = 1;              // yarn
  bool truncate = true;                              // yarn
  // yarn; 0 = not given: derived from factor, mscale and mscale_all_dim
  double attention_factor = 0, mscale = 0, mscale_all_dim = 0;
};

// A mixture of experts; count 0: the layer has one MLP. Routed to the `per_token` largest router
// logits, weighted by the softmax of these alone.
struct ExpertSpec {
  std::uint64_t count = 0, per_token = 0;
  // gate = min(gate, limit), up = clamp(up, -limit, limit);
  // (up + 1) * gate * sigmoid(alpha * gate)
  double swiglu_limit = 0, swiglu_alpha = 0;
  bool mxfp4 = false;  // stored as 4-bit blocks and scales
};

// The numbers and words that make a layer's function, typed; layer_fields() is their signed form.
struct LayerSpec {
  std::uint64_t hidden_size = 0, intermediate_size = 0;
  std::uint64_t heads = 0, kv_heads = 0, head_dim = 0;
  std::string norm;            // rms | layer
  std::string norm_placement;  // pre: before attention and MLP | post: after each residual sum
  double norm_epsilon = 0;
  std::string activation;  // silu | gelu | gelu_tanh | relu | clamped_swiglu
  std::string mlp;         // gated: down(act(gate) * up) | plain | experts
  // rope (half-split pairs) | learned (added before layer 0) | relative (a shared table of biases)
  std::string position;
  double rope_theta = 0;
  RopeScaling rope_scaling;
  std::string attention_bias;  // none | qkv | qkvo
  bool mlp_bias = false;
  std::string qk_norm;           // none | rms_per_head (before RoPE, epsilon as norm_epsilon)
  std::uint64_t window = 0;      // of layers whose attention type is "sliding"; 0 = there are none
  double attention_scale = 0;    // factor of the scores; 0 = 1 / sqrt(head_dim)
  bool attention_sinks = false;  // one learned logit per head joins each softmax
  bool cross_attention = false;  // a second attention, over the encoder's output
  bool scale_by_inverse_index = false;  // layer i of the model divides its factor by i + 1
  std::uint64_t relative_buckets = 0, relative_max_distance = 0;  // of position "relative"
  ExpertSpec experts;
};

// What the layers of one model are, as Checkpoint finds it. Immutable value.
//
// Of a family whose maths organ does not know, or with a config value it does not implement, the
// layers are opaque: their tensors are known by name, shape and type, their function is not. Then
// everything that can be seen is signed, and what needs the maths throws incompatible with the
// reason. organ's own families are those of known_families().
class Architecture {
 public:
  const std::string& model_type() const { return model_type_; }
  std::uint64_t layer_count() const { return layer_count_; }
  bool is_opaque() const { return opaque_ != nullptr; }
  // The layout's stack, "" where the family has one only; of opaque layers the name of their list
  // (model.layers).
  std::string_view stack() const;
  std::string_view layer_prefix() const;  // "layers.", without the layout's optional prefix

  // These throw incompatible for opaque layers. layout() is static data and outlives this object.
  // tied_embeddings() is what the config says; what holds is Checkpoint::tied_head().
  const FamilyLayout& layout() const { return *known().layout_; }
  std::uint64_t hidden_size() const { return known().hidden_size_; }
  std::uint64_t vocab_size() const { return known().vocab_size_; }
  std::uint64_t max_positions() const { return known().max_positions_; }
  bool tied_embeddings() const { return known().tied_embeddings_; }
  const LayerSpec& spec() const { return known().spec_; }

  // The tensors of one layer, sorted by name; equal for all layers unless they are opaque: then a
  // layer that is not there throws invalid_argument, else `layer` is not looked at.
  const std::vector<LayerTensor>& tensors(std::uint64_t layer = 0) const;

  // Keys of config.json that organ does not know to be of no effect, such as "use_qk_norm" or
  // "rope_parameters.mrope_section"; sorted. transformers 5.23 does not read them in this family,
  // other code may. Empty for opaque layers, which sign every key.
  const std::vector<std::string>& unknown_keys() const { return unknown_keys_; }

  // `name` (relative to the layer) is a buffer that old files hold and nothing reads. Opaque layers
  // have none: what their files hold is theirs.
  bool is_ready_made(std::string_view name) const;

  // What layer i sees: "full" (its past), "sliding" (the last keys of it) or "bidirectional".
  // Throws invalid_argument for a layer that is not there, incompatible for opaque layers.
  std::string_view attention_type(std::uint64_t layer) const;

  // The factor of the scores of layer i's attention. Throws as attention_type does.
  double attention_scale(std::uint64_t layer) const;

  // architecture.layer of organ.json for layers [first, first + count): canonical fields only,
  // reals as hex float strings, attention_types holding those layers' types. Defined
  // in schemas/architecture.md. Throws invalid_argument when the range leaves the model. Of a
  // family with shared state they are complete only once shared_digest is set.
  JsonText layer_fields(std::uint64_t first, std::uint64_t count) const;

  // SHA-256 of the canonical text of such fields. "Same signature" (level A) is equality of this.
  static Digest signature(const JsonText& layer_fields);

  // The same fields as an organ of today would sign them: opaque layers of before have more of
  // their config, which no layer sees. Two runs of layers are alike when these are equal.
  static JsonText comparable_fields(const JsonText& layer_fields);

  // Shape of the layout's shared tensor, [buckets, heads]; empty when there is none and for opaque
  // layers.
  Shape shared_shape() const;
  // The digest of the bytes of that tensor in one checkpoint, which Checkpoint::open() sets;
  // nullopt where it was not set or there is no such tensor.
  const std::optional<Digest>& shared_digest() const { return shared_digest_; }
  void set_shared_digest(const Digest& digest) { shared_digest_ = digest; }

 private:
  friend struct ArchitectureReader;
  Architecture() = default;
  const Architecture& known() const;  // *this, or throws why it is not
  void require_layer(std::uint64_t layer) const;

  std::string model_type_;
  const FamilyLayout* layout_ = nullptr;
  std::uint64_t layer_count_ = 0, hidden_size_ = 0, vocab_size_ = 0, max_positions_ = 0;
  bool tied_embeddings_ = false;
  std::vector<LayerTensor> tensors_;
  LayerSpec spec_;
  std::vector<std::string> attention_types_;  // one per layer
  std::vector<std::string> unknown_keys_;
  std::optional<Digest> shared_digest_;
  std::shared_ptr<const internal::OpaqueLayers> opaque_;  // shared: copies of one immutable value
};

}  // namespace organ::format

#pragma GCC visibility pop
