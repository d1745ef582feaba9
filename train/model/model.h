// SPDX-License-Identifier: Apache-2.0
// A language model, causal, masked or encoder-decoder, as an embedding, a run of layers and a head,
// each with a forward and a hand-written backward. No autograd: the trainer decides which layers
// run, which keep a tape and which receive weight gradients. The maths of each
// family is that of transformers 5.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "format/checkpoint/checkpoint.h"
#include "train/layers/layer_tape.h"
#include "train/machine/precision.h"
#include "train/model/loss_sum.h"
#include "train/model/model_batch.h"
#include "train/weights/parameter.h"

namespace organ::train {

class DecodeCache;
struct AdapterParameters;

// Not thread-safe (owns scratch buffers). Throws incompatible for families whose maths is not
// known, corrupt from the checkpoint, device.
class Model {
 public:
  struct Options {
    Precision precision = Precision::fp32;
    at::Device device = at::kCPU;  // where weights, streams and gradients are
    // Rows of logits computed at once in the head; never rows x vocabulary. 0: what suits the
    // device, which wants larger products than a CPU.
    std::int64_t head_chunk = 0;
  };
  // Loads layers [first_layer, last_layer) only; embedding, final norm and head are always there.
  // Of an encoder-decoder, whichever of its stacks the checkpoint shows, both are loaded.
  static Model load(const format::Checkpoint& checkpoint, const Options& options,
                    std::int64_t first_layer = 0, std::int64_t last_layer = -1);
  // A model of its own over the same weights: what is bound to one of the two, or put before its
  // tokens, the other does not have. Costs no memory to speak of. Nobody may write the weights from
  // now on (set_layer_parameters); while nothing is bound to it, this model may be shared by
  // several threads at once, and the shares run side by side.
  Model share() const;
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  const format::Architecture& architecture() const;
  Precision precision() const;
  at::Device device() const;
  // Layers are numbered as they run: an encoder-decoder's encoder comes first. The checkpoint's
  // layer `layer` is layer place_of(layer) here; the layers of its stack are those that train.
  std::int64_t layer_count() const;
  std::int64_t place_of(std::uint64_t layer) const;
  std::int64_t hidden_size() const;
  std::int64_t vocab_size() const;

  // Storage order of the parameters of a layer of the checkpoint's stack (q, k, v adjacent, gate
  // and up adjacent, so that the fused matrices are views).
  const std::vector<ParameterSlot>& parameter_layout() const;
  std::int64_t layer_elements() const;
  // Of one row of `length` positions, the first `source` of them the encoder's, with the matrices
  // of layer `index`, attention scores left out; of experts those that a token goes to.
  std::int64_t row_multiplications(std::int64_t index, std::int64_t length,
                                   std::int64_t source) const;

  // Makes layer `index`, of the checkpoint's stack, trainable: from now on it reads
  // `storage.working` and its backward adds to `storage.gradient`. The current weights are copied
  // into `working` first.
  void bind_layer(std::int64_t index, LayerStorage storage);
  // From now on the projections of layer `index` that `adapters` name compute with them, and its
  // backward adds to their gradients. Throws incompatible for what cannot be adapted so.
  void adapt_layer(std::int64_t index, std::vector<AdapterParameters> adapters);
  // From now on `count` positions stand before the tokens of each document of a batch: embed() and
  // the layers run them too, what the last layer gives are the batch's own positions alone. What
  // enters the layers there is `prompt`, value working [count, hidden_size]; undefined: zeros. For
  // causal models of one stack; decode() is not for such a model.
  void set_virtual_tokens(std::int64_t count, const Parameter& prompt);
  std::int64_t virtual_tokens() const;
  // Runs as if there were none, until told otherwise.
  void leave_out_virtual_tokens(bool left_out);
  // From now on the keys and values of layer `index` at the virtual positions are these, whatever
  // enters it there; backward adds to their gradient. value working [count, 2 (key, value),
  // kv_heads, head_size], rotated as if the document began the row; any strides.
  void prefix_layer(std::int64_t index, const Parameter& keys_and_values);
  // Gives a layer other weights: one flat fp32 run in storage order.
  void set_layer_parameters(std::int64_t index, const at::Tensor& flat_fp32);

  // The same of what is outside of the layers: the embeddings, the norm behind the last layer, and
  // the head where it is not the embedding; names as the checkpoint spells them. Of causal models
  // alone.
  std::vector<ParameterSlot> end_layout() const;
  void bind_ends(const LayerStorage& storage);
  bool ends_train() const;

  // What the layers need of a batch, made once for all of them. Throws internal for a batch of
  // another kind of model, incompatible for several documents in a row that is longer than dynamic
  // rope scaling was trained for.
  ModelBatch open(const Batch& batch);
  // The residual stream is fp32 [tokens, hidden_size] in both precisions.
  at::Tensor embed(ModelBatch& batch) const;
  // Whether something that embed() reads trains; then backward_embed adds its gradient, given that
  // of embed()'s result.
  bool embedding_trains() const;
  void backward_embed(const at::Tensor& dx, ModelBatch& batch);
  // `tape` null: inference, nothing kept.
  at::Tensor forward_layer(std::int64_t index, const at::Tensor& x, ModelBatch& batch,
                           LayerTapePtr* tape);
  // Gradient with respect to the layer's input; weight gradients only for a bound layer. With
  // `need_input_gradient` false (lowest trained layer) the input part is skipped and an undefined
  // tensor returned.
  at::Tensor backward_layer(std::int64_t index, const at::Tensor& dy, LayerTapePtr tape,
                            ModelBatch& batch, bool need_input_gradient = true);

  // Whether the checkpoint has a head; one of BERT may have none. Without it head_loss and logits
  // throw incompatible.
  bool has_head() const;
  // Final norm, head and cross-entropy in chunks of head_chunk rows, rows without a target left
  // out. `dx`, when given, receives d(sum NLL * scale)/dx as fp32 [tokens, hidden_size].
  // `per_token`, when given, receives fp32 [tokens] NLL on the CPU, 0 where there is no target.
  LossSum head_loss(const at::Tensor& x, const Batch& batch, double scale = 1.0,
                    at::Tensor* dx = nullptr, at::Tensor* per_token = nullptr);
  // Rows of logits that the head computes at once.
  std::int64_t head_chunk() const;
  // head_loss of `targets`, int64 [n], at a zero stream, with every shift of the head (bias of its
  // norm, transform and projection) taken for zero. All logits are equal, so that each target
  // costs ln(vocab_size). For probes.
  LossSum uniform_loss(const at::Tensor& targets, at::Tensor* per_token);
  // Logits of the given flat positions, fp32 [n, vocab_size], on the CPU; for tests, probes and
  // generation.
  at::Tensor logits(const at::Tensor& x, const std::vector<std::int64_t>& positions);

  // Of an encoder-decoder, before it decodes: the text that its encoder reads. The cache is empty.
  void read_source(const std::vector<std::int64_t>& ids, DecodeCache& cache);
  // Runs the next positions of one sequence (of an encoder-decoder: of its target) through all
  // layers: their residual stream, fp32 [ids, hidden_size]. What ran before is in the cache (empty
  // at first), which belongs to this model alone.
  at::Tensor decode(const std::vector<std::int64_t>& ids, DecodeCache& cache);

 private:
  struct Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace organ::train
