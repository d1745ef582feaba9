// SPDX-License-Identifier: Apache-2.0
#include "train/layers/layer.h"

namespace organ::train {

std::unique_ptr<Layer> make_layer(const Geometry& geometry, std::int64_t index,
                                  const TensorNames& names, const LayerParameters& parameters,
                                  const Normalization* closing) {
  const LayerAttention& own = geometry.attention[static_cast<std::size_t>(index)];
  if (geometry.part == StreamPart::target) {
    return make_decoder_layer(geometry, own, names, parameters);
  }
  if (geometry.placement == NormPlacement::post) {
    return make_post_norm_layer(geometry, own, names, parameters);
  }
  auto layer = make_pre_norm_layer(geometry, own, names, parameters);
  if (geometry.part == StreamPart::source) return make_encoder_layer(std::move(layer), closing);
  return layer;
}

}  // namespace organ::train
