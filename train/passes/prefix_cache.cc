// SPDX-License-Identifier: Apache-2.0
#include "train/passes/prefix_cache.h"

#include <algorithm>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/core.h>

#include "train/machine/software.h"
#include "train/passes/batches.h"
#include "train/passes/run_layers.h"

namespace organ::train {
namespace {

std::span<std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()};
}

// Nothing at or above the organ enters a prefix. A tied matrix is the embedding, though its file
// may name it as the head alone.
class AbovePrefix {
 public:
  AbovePrefix(const format::Checkpoint& checkpoint, std::uint64_t first_layer) {
    const format::FamilyLayout& layout = checkpoint.architecture().layout();
    const auto embedding = checkpoint.locate(checkpoint.full_name(layout.embedding));
    for (const auto& found :
         {checkpoint.find(layout.head), checkpoint.find(checkpoint.full_name(layout.final_norm))}) {
      if (found && found->tensor != embedding.tensor) tensors_.push_back(found->tensor);
    }
    for (std::uint64_t i = first_layer; i < checkpoint.architecture().layer_count(); ++i) {
      layers_.push_back(checkpoint.layer_prefix(i));
    }
  }
  bool operator()(const format::TensorInfo& tensor) const {
    return std::find(tensors_.begin(), tensors_.end(), &tensor) != tensors_.end() ||
           std::any_of(layers_.begin(), layers_.end(),
                       [&](const std::string& layer) { return tensor.name.starts_with(layer); });
  }

 private:
  std::vector<const format::TensorInfo*> tensors_;
  std::vector<std::string> layers_;
};

}  // namespace

Digest prefix_digest(const format::Checkpoint& checkpoint,
                     std::span<const format::TensorLine> lines, std::uint64_t first_layer,
                     Precision precision, const Device& device) {
  Sha256Hasher hasher;
  hasher.update(
      fmt::format("organ prefix 2\n{}threads {}\n", software_lines(device), at::get_num_threads()));
  hasher.update(fmt::format("precision {}\nlayers {}\nconfig {}\n", to_string(precision),
                            first_layer, checkpoint.config_digest().to_string()));
  const AbovePrefix above(checkpoint, first_layer);
  for (const format::TensorLine& line : lines) {
    if (!above(*line.tensor)) hasher.update(line.text);
  }
  return hasher.finish();
}

PrefixCache::PrefixCache(Model& model, std::int64_t windows, const PrefixOptions& options)
    : model_(model),
      options_(options),
      kept_(static_cast<std::size_t>(options.folder ? 0 : windows)) {}

at::Tensor PrefixCache::inputs(std::span<const std::int64_t> windows, const Batch& batch) {
  // An embedding is cheaper to look up than to keep.
  if (options_.layers_below == 0) return embed_and_run(model_, batch, 0, 0);
  at::Tensor all = at::empty({batch.tokens(), model_.hidden_size()},
                             at::TensorOptions().dtype(at::kFloat).device(model_.device()));
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    all.narrow(0, row * batch.length, batch.length)
        .copy_(window(windows[static_cast<std::size_t>(row)], batch, row));
  }
  return all;
}

at::Tensor PrefixCache::window(std::int64_t index, const Batch& batch, std::int64_t row) {
  if (options_.folder) return read_or_compute(row_of(batch, row));
  at::Tensor& kept = kept_[static_cast<std::size_t>(index)];
  if (kept.defined()) return kept;
  at::Tensor computed = compute(row_of(batch, row));
  if (bytes_ + computed.nbytes() <= options_.memory_bytes) {
    kept = computed;
    bytes_ += computed.nbytes();
  }
  return computed;
}

at::Tensor PrefixCache::read_or_compute(const Batch& batch) {
  const Digest name = key(batch);
  at::Tensor found = at::empty({batch.tokens(), model_.hidden_size()},
                               options_.rounded ? at::kBFloat16 : at::kFloat);
  if (options_.folder->read(name, bytes_of(found))) {
    ++counts_.read;
    return found;
  }
  at::Tensor computed = compute(batch);
  options_.folder->write(name, bytes_of(computed));
  return computed;
}

Digest PrefixCache::key(const Batch& batch) const {
  Sha256Hasher hasher;
  hasher.update(fmt::format("{} {} {}\n", options_.prefix.to_string(),
                            options_.rounded ? "bf16" : "fp32", batch.tokens()));
  hasher.update(bytes_of(batch.ids));
  if (batch.first_key.defined()) hasher.update(bytes_of(batch.first_key));
  // Implied by first_key but where one part of a row reads another.
  if (batch.source > 0) hasher.update(fmt::format("source {}\n", batch.source));
  if (batch.source > 0 && batch.end_key.defined()) hasher.update(bytes_of(batch.end_key));
  return hasher.finish();
}

at::Tensor PrefixCache::compute(const Batch& batch) {
  ++counts_.computed;
  at::Tensor x = embed_and_run(model_, batch, 0, options_.layers_below);
  x = options_.rounded ? x.to(at::kBFloat16) : x.contiguous();
  // Kept on the host: pinned, which the device reads without a copy of the host's in between.
  return model_.device().is_cuda() ? x.cpu().pin_memory() : x.cpu();
}

}  // namespace organ::train
