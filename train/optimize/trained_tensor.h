// SPDX-License-Identifier: Apache-2.0
// What training leaves of a tensor. No Torch.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#pragma GCC visibility push(default)

namespace organ::train {

// One trained tensor in fp32, rounded to what its stored type can hold.
struct TrainedTensor {
  // The layer of an embedding, of the norm behind the last layer and of a head.
  static constexpr std::uint64_t kOutside = UINT64_MAX;

  // kOutside for what stands in no layer.
  std::uint64_t layer = 0;  // index in the model
  std::string name;         // relative to the layer; outside the name in the checkpoint
  // Row by row, as many as the tensor's shape says; valid while `owner` or a copy of it lives.
  std::span<const float> values;                // on the host, where training left them
  std::shared_ptr<const void> owner = nullptr;  // keeps them, with those of other tensors
};

}  // namespace organ::train

#pragma GCC visibility pop
