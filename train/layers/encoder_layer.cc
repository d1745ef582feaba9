// SPDX-License-Identifier: Apache-2.0
#include "train/layers/layer.h"
#include "train/positions/stream_parts.h"

namespace organ::train {
namespace {

struct EncoderTape : LayerTape {
  LayerTapePtr layer;
  kernels::Norm closing;
};

class EncoderLayer : public Layer {
 public:
  EncoderLayer(std::unique_ptr<Layer> layer, const Normalization* closing)
      : layer_(std::move(layer)), closing_(closing) {}

  at::Tensor forward(const at::Tensor& x, const Pass& pass, LayerTapePtr* out) const override {
    auto tape = out != nullptr ? std::make_unique<EncoderTape>() : nullptr;
    at::Tensor source = layer_->forward(source_part(x, pass.batch()), pass.over(pass.open.source()),
                                        tape ? &tape->layer : nullptr);
    if (closing_ != nullptr) {
      source = closing_->forward(source, at::kFloat, tape ? &tape->closing : nullptr);
    }
    if (out != nullptr) *out = std::move(tape);
    return join_parts(source, target_part(x, pass.batch()), pass.batch());
  }

  at::Tensor backward(const at::Tensor& dy, LayerTape& kept, const Pass& pass,
                      bool need_input_gradient) const override {
    auto& tape = static_cast<EncoderTape&>(kept);
    at::Tensor dsource = source_part(dy, pass.batch());
    if (closing_ != nullptr) dsource = closing_->input_gradient(dsource, tape.closing, {});
    dsource =
        layer_->backward(dsource, *tape.layer, pass.over(pass.open.source()), need_input_gradient);
    if (!need_input_gradient) return {};
    return join_parts(dsource, target_part(dy, pass.batch()), pass.batch());
  }

 private:
  std::unique_ptr<Layer> layer_;
  const Normalization* closing_;
};

}  // namespace

std::unique_ptr<Layer> make_encoder_layer(std::unique_ptr<Layer> layer,
                                          const Normalization* closing) {
  return std::make_unique<EncoderLayer>(std::move(layer), closing);
}

}  // namespace organ::train
