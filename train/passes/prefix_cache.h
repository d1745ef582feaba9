// SPDX-License-Identifier: Apache-2.0
// The residual stream that enters the organ. The layers below it never change, so each window's
// is computed once and kept, in memory or in a folder, while its bound allows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "format/base/digest.h"
#include "format/checkpoint/checkpoint.h"
#include "format/checkpoint/tensor_digests.h"
#include "train/machine/device.h"
#include "train/model/model.h"
#include "train/passes/cache_folder.h"

namespace organ::train {

// SHA-256 of everything but the window that decides the bits of a stream that enters layer
// `first_layer` of the checkpoint: the tensors of the layers below (and more, where the model has
// another stack) and of the embedding, whatever its file calls it, with the config, the precision,
// and what computes them (versions, instruction set, threads, device). `lines` are tensor_lines of
// the checkpoint.
Digest prefix_digest(const format::Checkpoint& checkpoint,
                     std::span<const format::TensorLine> lines, std::uint64_t first_layer,
                     Precision precision, const Device& device);

struct PrefixOptions {
  std::int64_t layers_below = 0;   // of the model
  bool rounded = false;            // keep bf16 (half the memory), else fp32
  std::uint64_t memory_bytes = 0;  // bound of what is kept in memory
  CacheFolder* folder = nullptr;   // borrowed; kept there instead when given
  Digest prefix = {};              // prefix_digest; read only with a folder
};

// Where the streams of a run came from.
struct PrefixCounts {
  std::uint64_t computed = 0, read = 0;  // windows; `read` from the folder
};

// Of one data set and one model, which is borrowed. Windows are computed one by one and, in bf16,
// rounded to it whether they are kept or not: what a window gives depends neither on the batch it
// came in nor on the cache. Not thread-safe.
class PrefixCache {
 public:
  // `windows`: of the data set.
  PrefixCache(Model& model, std::int64_t windows, const PrefixOptions& options);

  // fp32 [positions of the batch, hidden_size], where the model is; what is kept is on the host.
  // `batch` is make_batch of the windows.
  at::Tensor inputs(std::span<const std::int64_t> windows, const Batch& batch);

  const PrefixCounts& counts() const { return counts_; }

 private:
  at::Tensor window(std::int64_t index, const Batch& batch, std::int64_t row);
  at::Tensor read_or_compute(const Batch& batch);
  at::Tensor compute(const Batch& batch);
  Digest key(const Batch& batch) const;

  Model& model_;
  PrefixOptions options_;
  std::uint64_t bytes_ = 0;
  PrefixCounts counts_;
  std::vector<at::Tensor> kept_;  // undefined: not kept
};

}  // namespace organ::train
