// SPDX-License-Identifier: Apache-2.0
#include "train/internal/layer.h"

namespace organ::train {

std::unique_ptr<Layer> make_layer(const Geometry& geometry, std::int64_t index,
                                  const TensorNames& names, const LayerParameters& parameters) {
  const std::int64_t window = geometry.windows[static_cast<std::size_t>(index)];
  return geometry.placement == NormPlacement::post
             ? make_post_norm_layer(geometry, window, names, parameters)
             : make_pre_norm_layer(geometry, window, names, parameters);
}

}  // namespace organ::train
