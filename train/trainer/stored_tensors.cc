// SPDX-License-Identifier: Apache-2.0
#include "train/trainer/internal/stored_tensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>

#include "format/architecture/unpacked_tensors.h"
#include "format/base/fail.h"
#include "format/tensor/convert.h"
#include "format/tensor/stored_values.h"
#include "train/kernels/elementwise.h"
#include "train/weights/stored_weights.h"

namespace organ::train {
namespace {

bool is_outside(const TrainedTensor& tensor) { return tensor.layer == TrainedTensor::kOutside; }

format::TensorInfo layer_tensor(const format::Checkpoint& checkpoint, const StoredLayer& layer,
                                const std::string& name) {
  const auto tensors = format::unpacked_tensors(checkpoint.architecture().tensors());
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const auto& each) { return each.name == name; });
  check(found != tensors.end(), "a trained tensor is none of its layer");
  format::TensorInfo info{name, trained_type(layer, name), found->shape, 0, 0};
  info.size = format::byte_size(info.dtype, info.shape, quote(info.name));
  return info;
}

// The numbers of a tensor before training, fp32 [numbers].
at::Tensor read_before(const format::Checkpoint& checkpoint, const TrainedTensor& tensor) {
  at::Tensor values = kernels::empty({static_cast<std::int64_t>(tensor.values.size())}, at::kFloat);
  if (is_outside(tensor)) {
    read_weights(checkpoint, checkpoint.locate(tensor.name), values);
  } else {
    read_layer_tensor(checkpoint, checkpoint.layer(tensor.layer), tensor.name, values);
  }
  return values;
}

// Sums over a tensor, piece by piece in order.
class ChangeSums {
 public:
  void add(std::span<const float> before, std::span<const float> after) {
    for (std::size_t i = 0; i < before.size(); ++i) {
      const float difference = after[i] - before[i];
      before_ += static_cast<double>(before[i]) * before[i];
      difference_ += static_cast<double>(difference) * difference;
      unchanged_ +=
          std::bit_cast<std::uint32_t>(before[i]) == std::bit_cast<std::uint32_t>(after[i]);
    }
    count_ += before.size();
  }
  double relative_rms() const {
    const double weight = rms(before_);
    return weight > 0 ? rms(difference_) / weight : rms(difference_);
  }
  double unchanged_fraction() const {
    return static_cast<double>(unchanged_) / static_cast<double>(std::max<std::size_t>(1, count_));
  }

 private:
  double rms(double sum) const {
    return count_ == 0 ? 0 : std::sqrt(sum / static_cast<double>(count_));
  }
  double before_ = 0, difference_ = 0;  // of squares
  std::size_t unchanged_ = 0, count_ = 0;
};

}  // namespace

std::vector<StoredTensor> stored_tensors(const TrainedRun& run, std::uint64_t layer) {
  const format::Checkpoint& checkpoint = run.inputs.checkpoint;
  const bool outside = layer == TrainedTensor::kOutside;
  const StoredLayer stored = outside ? StoredLayer() : checkpoint.layer(layer);
  std::vector<StoredTensor> tensors;
  for (const TrainedTensor& tensor : run.result.tensors) {
    if (tensor.layer != layer) continue;
    tensors.push_back({&tensor, outside ? *checkpoint.locate(tensor.name).tensor
                                        : layer_tensor(checkpoint, stored, tensor.name)});
    format::check_floating(tensors.back().info);
  }
  return tensors;
}

std::vector<std::uint64_t> trained_layers(const TrainedRun& run) {
  std::vector<std::uint64_t> layers;
  for (const TrainedTensor& tensor : run.result.tensors) {
    if (layers.empty() || layers.back() != tensor.layer) layers.push_back(tensor.layer);
  }
  return layers;
}

format::TensorSource source_of(const StoredTensor& tensor) {
  const std::span<const float> values = tensor.trained->values;
  const std::uint64_t width = format::bit_width(tensor.info.dtype) / 8;
  const auto read = [values, width, dtype = tensor.info.dtype, name = quote(tensor.info.name)](
                        std::uint64_t offset, std::span<std::byte> out) {
    check(offset % width == 0 && out.size() % width == 0, "a piece ends within a number");
    const auto piece = std::as_bytes(values.subspan(offset / width, out.size() / width));
    if (dtype == format::DType::F32) {
      std::copy(piece.begin(), piece.end(), out.begin());
    } else {
      format::convert_elements(format::DType::F32, dtype, piece, out, name);
    }
  };
  return {tensor.info, read};
}

format::TensorChange measure_change(const TrainedRun& run, const StoredTensor& tensor,
                                    std::string name) {
  constexpr std::size_t kPiece = std::size_t{1} << 16;
  const at::Tensor read = read_before(run.inputs.checkpoint, *tensor.trained);
  const std::span<const float> before(read.const_data_ptr<float>(),
                                      static_cast<std::size_t>(read.numel()));
  const format::TensorSource source = source_of(tensor);
  const std::size_t width = format::bit_width(tensor.info.dtype) / 8;
  std::vector<std::byte> bytes;
  ChangeSums sums;
  for (std::size_t at = 0; at < before.size(); at += kPiece) {
    const auto piece = before.subspan(at, std::min(kPiece, before.size() - at));
    bytes.resize(piece.size() * width);
    source.read(at * width, bytes);
    sums.add(piece, format::floats_of(tensor.info, bytes));
  }
  return {std::move(name), sums.relative_rms(), sums.unchanged_fraction()};
}

}  // namespace organ::train
