// SPDX-License-Identifier: Apache-2.0
// x + attention(norm(x)), then x + mlp(norm(x)): GPT-2, Llama, Mistral, Qwen2 and Qwen3.
#include "train/layers/internal/mlp.h"
#include "train/layers/internal/self_attention.h"
#include "train/layers/layer.h"
#include "train/weights/normalization.h"

namespace organ::train {
namespace {

struct PreNormTape : LayerTape {
  kernels::Norm attention_norm, mlp_norm;
  SelfAttentionTape attention;
  std::unique_ptr<MlpTape> mlp;
};

class PreNormLayer : public Layer {
 public:
  PreNormLayer(const Geometry& geometry, const LayerAttention& own, const TensorNames& names,
               const LayerParameters& parameters)
      : attention_norm_(make_norm(geometry, names.attention_norm, parameters)),
        mlp_norm_(make_norm(geometry, names.mlp_norm, parameters)),
        attention_(geometry, own, names, parameters),
        mlp_(make_mlp(geometry, names, parameters)),
        working_(parameters.type()) {}

  at::Tensor forward(const at::Tensor& x, const Pass& pass, LayerTapePtr* out) const override {
    auto tape = out != nullptr ? std::make_unique<PreNormTape>() : nullptr;
    const at::Tensor middle = kernels::add(
        x, attention_.forward(
               attention_norm_.forward(x, working_, tape ? &tape->attention_norm : nullptr), pass,
               tape ? &tape->attention : nullptr));
    at::Tensor y = kernels::add(
        middle, mlp_->forward(mlp_norm_.forward(middle, working_, tape ? &tape->mlp_norm : nullptr),
                              tape ? &tape->mlp : nullptr));
    if (out != nullptr) *out = std::move(tape);
    return y;
  }

  at::Tensor backward(const at::Tensor& dy, LayerTape& kept, const Pass& pass,
                      bool need_input_gradient) const override {
    auto& tape = static_cast<PreNormTape&>(kept);
    at::Tensor dnormed = mlp_->backward(kernels::convert(dy, working_), *tape.mlp,
                                        [&] { return mlp_norm_.output(tape.mlp_norm); });
    mlp_norm_.add_gradient(dnormed, tape.mlp_norm);
    const at::Tensor dmiddle = mlp_norm_.input_gradient(dnormed, tape.mlp_norm, dy);
    tape.mlp_norm = {};
    dnormed = attention_.backward(kernels::convert(dmiddle, working_), tape.attention, pass,
                                  [&] { return attention_norm_.output(tape.attention_norm); });
    attention_norm_.add_gradient(dnormed, tape.attention_norm);
    if (!need_input_gradient) return {};
    return attention_norm_.input_gradient(dnormed, tape.attention_norm, dmiddle);
  }

 private:
  Normalization attention_norm_, mlp_norm_;
  SelfAttention attention_;
  std::unique_ptr<Mlp> mlp_;
  at::ScalarType working_;
};

}  // namespace

std::unique_ptr<Layer> make_pre_norm_layer(const Geometry& geometry, const LayerAttention& own,
                                           const TensorNames& names,
                                           const LayerParameters& parameters) {
  return std::make_unique<PreNormLayer>(geometry, own, names, parameters);
}

}  // namespace organ::train
