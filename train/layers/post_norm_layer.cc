// SPDX-License-Identifier: Apache-2.0
// norm(x + attention(x)), then norm(x + mlp(x)): BERT. The stream between layers is a norm's
// output; it stays fp32, and so do the norms.
#include "train/layers/internal/mlp.h"
#include "train/layers/internal/self_attention.h"
#include "train/layers/layer.h"
#include "train/weights/normalization.h"

namespace organ::train {
namespace {

struct PostNormTape : LayerTape {
  at::Tensor input;  // working
  SelfAttentionTape attention;
  kernels::Norm attention_norm, mlp_norm;
  std::unique_ptr<MlpTape> mlp;
};

class PostNormLayer : public Layer {
 public:
  PostNormLayer(const Geometry& geometry, const LayerAttention& own, const TensorNames& names,
                const LayerParameters& parameters)
      : attention_(geometry, own, names, parameters),
        attention_norm_(make_norm(geometry, names.attention_norm, parameters)),
        mlp_(make_mlp(geometry, names, parameters)),
        mlp_norm_(make_norm(geometry, names.mlp_norm, parameters)),
        working_(parameters.type()) {}

  at::Tensor forward(const at::Tensor& x, const Pass& pass, LayerTapePtr* out) const override {
    auto tape = out != nullptr ? std::make_unique<PostNormTape>() : nullptr;
    if (tape) tape->input = kernels::convert(x, working_);
    const at::Tensor middle = attention_norm_.forward(
        kernels::add(x, attention_.forward(kernels::convert(x, working_), pass,
                                           tape ? &tape->attention : nullptr)),
        at::kFloat, tape ? &tape->attention_norm : nullptr);
    at::Tensor y = mlp_norm_.forward(
        kernels::add(
            middle, mlp_->forward(kernels::convert(middle, working_), tape ? &tape->mlp : nullptr)),
        at::kFloat, tape ? &tape->mlp_norm : nullptr);
    if (out != nullptr) *out = std::move(tape);
    return y;
  }

  at::Tensor backward(const at::Tensor& dy, LayerTape& kept, const Pass& pass,
                      bool need_input_gradient) const override {
    auto& tape = static_cast<PostNormTape&>(kept);
    mlp_norm_.add_gradient(dy, tape.mlp_norm);
    const at::Tensor dsum = mlp_norm_.input_gradient(dy, tape.mlp_norm, {});
    tape.mlp_norm = {};
    const at::Tensor dmiddle =
        kernels::add(dsum, mlp_->backward(kernels::convert(dsum, working_), *tape.mlp, [&] {
          return kernels::convert(attention_norm_.output(tape.attention_norm), working_);
        }));
    attention_norm_.add_gradient(dmiddle, tape.attention_norm);
    const at::Tensor dinput = attention_norm_.input_gradient(dmiddle, tape.attention_norm, {});
    const at::Tensor dattention = attention_.backward(
        kernels::convert(dinput, working_), tape.attention, pass, [&] { return tape.input; });
    if (!need_input_gradient) return {};
    return kernels::add(dinput, dattention);
  }

 private:
  SelfAttention attention_;
  Normalization attention_norm_;
  std::unique_ptr<Mlp> mlp_;
  Normalization mlp_norm_;
  at::ScalarType working_;
};

}  // namespace

std::unique_ptr<Layer> make_post_norm_layer(const Geometry& geometry, const LayerAttention& own,
                                            const TensorNames& names,
                                            const LayerParameters& parameters) {
  return std::make_unique<PostNormLayer>(geometry, own, names, parameters);
}

}  // namespace organ::train
