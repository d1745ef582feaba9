// SPDX-License-Identifier: Apache-2.0
#include "train/layers/internal/cross_attention.h"
#include "train/layers/internal/mlp.h"
#include "train/layers/internal/self_attention.h"
#include "train/layers/layer.h"
#include "train/positions/stream_parts.h"
#include "train/weights/normalization.h"

namespace organ::train {
namespace {

struct DecoderTape : LayerTape {
  kernels::Norm attention_norm, cross_norm, mlp_norm;
  SelfAttentionTape attention;
  CrossAttentionTape cross;
  std::unique_ptr<MlpTape> mlp;
};

class DecoderLayer : public Layer {
 public:
  DecoderLayer(const Geometry& geometry, const LayerAttention& own, const TensorNames& names,
               const LayerParameters& parameters)
      : attention_norm_(make_norm(geometry, names.attention_norm, parameters)),
        cross_norm_(make_norm(geometry, names.cross_norm, parameters)),
        mlp_norm_(make_norm(geometry, names.mlp_norm, parameters)),
        attention_(geometry, own, names, parameters),
        cross_(geometry, own, names, parameters),
        mlp_(make_mlp(geometry, names, parameters)),
        working_(parameters.type()) {}

  at::Tensor forward(const at::Tensor& x, const Pass& pass, LayerTapePtr* out) const override {
    auto tape = out != nullptr ? std::make_unique<DecoderTape>() : nullptr;
    const at::Tensor source = source_part(x, pass.batch()), target = target_part(x, pass.batch());
    const at::Tensor attended = kernels::add(
        target,
        attention_.forward(
            attention_norm_.forward(target, working_, tape ? &tape->attention_norm : nullptr),
            pass.over(pass.open.target()), tape ? &tape->attention : nullptr));
    const at::Tensor crossed = kernels::add(
        attended,
        cross_.forward(cross_norm_.forward(attended, working_, tape ? &tape->cross_norm : nullptr),
                       kernels::convert(source, working_), pass.batch(),
                       tape ? &tape->cross : nullptr, pass.cache));
    const at::Tensor y = kernels::add(
        crossed,
        mlp_->forward(mlp_norm_.forward(crossed, working_, tape ? &tape->mlp_norm : nullptr),
                      tape ? &tape->mlp : nullptr));
    if (out != nullptr) *out = std::move(tape);
    return join_parts(source, y, pass.batch());
  }

  at::Tensor backward(const at::Tensor& dy, LayerTape& kept, const Pass& pass,
                      bool need_input_gradient) const override {
    auto& tape = static_cast<DecoderTape&>(kept);
    const at::Tensor dtarget = target_part(dy, pass.batch());
    at::Tensor dnormed = mlp_->backward(kernels::convert(dtarget, working_), *tape.mlp,
                                        [&] { return mlp_norm_.output(tape.mlp_norm); });
    mlp_norm_.add_gradient(dnormed, tape.mlp_norm);
    const at::Tensor dcrossed = mlp_norm_.input_gradient(dnormed, tape.mlp_norm, dtarget);
    const CrossAttention::Gradients cross =
        cross_.backward(kernels::convert(dcrossed, working_), tape.cross, pass.batch(),
                        [&] { return cross_norm_.output(tape.cross_norm); });
    cross_norm_.add_gradient(cross.x, tape.cross_norm);
    const at::Tensor dattended = cross_norm_.input_gradient(cross.x, tape.cross_norm, dcrossed);
    dnormed = attention_.backward(kernels::convert(dattended, working_), tape.attention,
                                  pass.over(pass.open.target()),
                                  [&] { return attention_norm_.output(tape.attention_norm); });
    attention_norm_.add_gradient(dnormed, tape.attention_norm);
    if (!need_input_gradient) return {};
    return join_parts(kernels::add(source_part(dy, pass.batch()), cross.source),
                      attention_norm_.input_gradient(dnormed, tape.attention_norm, dattended),
                      pass.batch());
  }

 private:
  Normalization attention_norm_, cross_norm_, mlp_norm_;
  SelfAttention attention_;
  CrossAttention cross_;
  std::unique_ptr<Mlp> mlp_;
  at::ScalarType working_;
};

}  // namespace

std::unique_ptr<Layer> make_decoder_layer(const Geometry& geometry, const LayerAttention& own,
                                          const TensorNames& names,
                                          const LayerParameters& parameters) {
  return std::make_unique<DecoderLayer>(geometry, own, names, parameters);
}

}  // namespace organ::train
