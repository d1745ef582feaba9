// SPDX-License-Identifier: Apache-2.0
#include "train/passes/prefix_cache.h"

#include <algorithm>
#include <string>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <fmt/core.h>
#include <torch/version.h>

#include "format/checkpoint/tensor_digests.h"
#include "train/passes/batches.h"
#include "train/passes/run_layers.h"

namespace organ::train {
namespace {

std::span<std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()};
}

// Nothing at or above the organ enters a prefix.
class AbovePrefix {
 public:
  AbovePrefix(const format::Checkpoint& checkpoint, std::uint64_t first_layer)
      : head_(checkpoint.architecture().layout().head),
        norm_(checkpoint.full_name(checkpoint.architecture().layout().final_norm)) {
    for (std::uint64_t i = first_layer; i < checkpoint.architecture().layer_count(); ++i) {
      layers_.push_back(checkpoint.layer_prefix(i));
    }
  }
  bool operator()(std::string_view tensor) const {
    return tensor == head_ || tensor == norm_ ||
           std::any_of(layers_.begin(), layers_.end(),
                       [&](const std::string& layer) { return tensor.starts_with(layer); });
  }

 private:
  std::string_view head_;
  std::string norm_;
  std::vector<std::string> layers_;
};

}  // namespace

Digest prefix_digest(const format::Checkpoint& checkpoint, std::uint64_t first_layer,
                     Precision precision, const Device& device) {
  Sha256Hasher hasher;
  hasher.update(fmt::format("organ prefix 1\norgan {}\ntorch {}\ncpu {}\nthreads {}\n",
                            ORGAN_VERSION, TORCH_VERSION, at::get_cpu_capability(),
                            at::get_num_threads()));
  if (!device.is_cpu()) hasher.update(describe_device(device) + "\n");
  hasher.update(fmt::format("precision {}\nlayers {}\nconfig {}\n", to_string(precision),
                            first_layer, checkpoint.config_digest().to_string()));
  const AbovePrefix above(checkpoint, first_layer);
  const auto below = [&](std::string_view tensor) { return !above(tensor); };
  const Work work(nullptr, static_cast<unsigned>(at::get_num_threads()));
  for (const auto& line : format::tensor_lines(checkpoint, below, work)) hasher.update(line);
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
  // Kept on the host: pinned, so that the copies to the device are asynchronous and fast.
  return model_.device().is_cuda() ? x.cpu().pin_memory() : x.cpu();
}

}  // namespace organ::train
