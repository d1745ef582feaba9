// SPDX-License-Identifier: Apache-2.0
#include "train/adapter/merge.h"

#include <cstring>
#include <map>
#include <memory>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/checkpoint/checkpoint_copy.h"
#include "format/tensor/finite.h"
#include "format/tensor/stored_values.h"

namespace organ::train {
namespace {

// One adapted projection with its numbers.
struct Part {
  const AdaptedProjection* projection;
  std::span<const float> lora_a, lora_b, ia3;
};

std::span<const float> values_of(const Adapter& adapter, const AdapterSlot& slot) {
  return std::span(adapter.values)
      .subspan(static_cast<std::size_t>(slot.offset), static_cast<std::size_t>(slot.elements));
}

std::vector<Part> parts_of(const Adapter& adapter) {
  const auto refuse = [&] {
    throw Error(ErrorCode::incompatible,
                fmt::format("{} adapters are no change of weights and cannot be merged into them",
                            to_string(adapter.config.kind)),
                "organ eval --adapter measures the model with them");
  };
  if (adapter.projections.empty()) refuse();
  std::vector<Part> parts(adapter.projections.size());
  for (std::size_t i = 0; i < parts.size(); ++i) parts[i].projection = &adapter.projections[i];
  for (const AdapterSlot& slot : adapter.slots) {
    Part& part = parts[slot.projection];
    switch (slot.role) {
      case AdapterRole::lora_a: part.lora_a = values_of(adapter, slot); break;
      case AdapterRole::lora_b: part.lora_b = values_of(adapter, slot); break;
      case AdapterRole::ia3: part.ia3 = values_of(adapter, slot); break;
      default: refuse();
    }
  }
  return parts;
}

// weight[row] += scale * sum_r left[row, r] * right[r], r over `rank`.
void add_product(std::span<double> weight, std::span<const float> left,
                 std::span<const float> right, std::size_t rank, double scale) {
  if (rank == 0) fail(ErrorCode::internal, "a product of rank zero");
  const std::size_t rows = left.size() / rank, columns = right.size() / rank;
  for (std::size_t row = 0; row < rows; ++row) {
    double* out = weight.data() + row * columns;
    for (std::size_t r = 0; r < rank; ++r) {
      const double factor = scale * static_cast<double>(left[row * rank + r]);
      const float* in = right.data() + r * columns;
      for (std::size_t j = 0; j < columns; ++j) {
        const double changed = out[j] + factor * static_cast<double>(in[j]);
        out[j] = changed != out[j] ? changed : out[j];  // a sum would take the sign from a zero
      }
    }
  }
}

std::vector<float> transposed(std::span<const float> matrix, std::size_t columns) {
  const std::size_t rows = matrix.size() / columns;
  std::vector<float> out(matrix.size());
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) out[j * rows + i] = matrix[i * columns + j];
  }
  return out;
}

void scale_rows(std::span<double> weight, std::span<const float> factors) {
  const std::size_t columns = weight.size() / factors.size();
  for (std::size_t i = 0; i < weight.size(); ++i) {
    weight[i] *= static_cast<double>(factors[i / columns]);
  }
}

void scale_columns(std::span<double> weight, std::span<const float> factors) {
  for (std::size_t i = 0; i < weight.size(); ++i) {
    weight[i] *= static_cast<double>(factors[i % factors.size()]);
  }
}

// weight[e] += scale * sum_r A[e, r]^T B[r, e], the matrices as AdapterRole says they lie.
void change_experts(std::span<double> weight, const Part& part) {
  const AdaptedProjection& p = *part.projection;
  const auto in = static_cast<std::size_t>(p.in), out = static_cast<std::size_t>(p.out);
  const auto rank = static_cast<std::size_t>(p.rank), count = static_cast<std::size_t>(p.experts);
  std::vector<float> b(rank * out);
  for (std::size_t e = 0; e < count; ++e) {
    for (std::size_t r = 0; r < rank; ++r) {
      for (std::size_t j = 0; j < out; ++j) {
        b[r * out + j] = part.lora_b[(j * rank + r) * count + e];
      }
    }
    const auto a = transposed(part.lora_a.subspan(e * rank * in, rank * in), in);
    add_product(weight.subspan(e * in * out, in * out), a, b, rank, p.scale);
  }
}

void change_weight(std::span<double> weight, const Part& part) {
  const AdaptedProjection& p = *part.projection;
  if (p.experts > 0) return change_experts(weight, part);
  if (part.ia3.empty()) {
    const auto rank = static_cast<std::size_t>(p.rank);
    if (p.transposed) {
      add_product(weight, transposed(part.lora_a, static_cast<std::size_t>(p.in)),
                  transposed(part.lora_b, rank), rank, p.scale);
    } else {
      add_product(weight, part.lora_b, part.lora_a, rank, p.scale);
    }
  } else if (p.feed_forward == p.transposed) {
    scale_rows(weight, part.ia3);
  } else {
    scale_columns(weight, part.ia3);
  }
}

format::Checkpoint::Location weight_of(
    const AdaptedProjection& p, const std::map<std::string, format::Checkpoint::Location>& layer) {
  const auto weight = layer.find(p.experts > 0 ? p.name : p.name + ".weight");
  if (weight != layer.end()) return weight->second;
  throw Error(ErrorCode::incompatible,
              fmt::format("layer {}: {} is not stored as such", p.layer, quote(p.name)),
              "experts in MXFP4 cannot take the sum of an adapter; merge into a BF16 copy");
}

void check_merged(const format::TensorInfo& tensor, std::span<const std::byte> bytes) {
  const auto element = format::first_not_finite(tensor.dtype, bytes);
  if (!element) return;
  throw Error(ErrorCode::incompatible,
              fmt::format("tensor {}: with the adapter its values leave the range of {}: {}",
                          quote(tensor.name), format::to_string(tensor.dtype),
                          format::describe_not_finite(tensor.shape, *element)),
              "merge into a copy of the model in BF16 or F32");
}

// A change that is computed when the first byte is asked for and freed with the last, so that one
// tensor is in memory at a time.
template <typename Change>
format::ReplacedTensor lazily(const format::Checkpoint& checkpoint,
                              format::Checkpoint::Location location, Change change) {
  const auto bytes = std::make_shared<std::vector<std::byte>>();  // std::function wants a copy
  const auto read = [&checkpoint, location, change, bytes](std::uint64_t offset,
                                                           std::span<std::byte> out) {
    if (bytes->empty()) {
      const auto former = checkpoint.read(location);
      format::require_finite(*location.tensor, former);
      const auto stored = format::floats_of(*location.tensor, former);
      std::vector<double> values(stored.begin(), stored.end());
      change(std::span(values));
      *bytes =
          format::stored_bytes(*location.tensor, std::vector<float>(values.begin(), values.end()));
      check_merged(*location.tensor, *bytes);
    }
    std::memcpy(out.data(), bytes->data() + offset, out.size());
    if (offset + out.size() == bytes->size()) *bytes = {};
  };
  return {location.shard, {*location.tensor, read}};
}

}  // namespace

void merge_adapter(const format::Checkpoint& checkpoint, const Adapter& adapter,
                   const std::filesystem::path& out, const Work& work) {
  const std::vector<Part> parts = parts_of(adapter);
  std::vector<format::ReplacedTensor> changes;
  Json names = Json::array();
  const auto add = [&](const format::Checkpoint::Location& location, auto change) {
    format::check_floating(*location.tensor);
    changes.push_back(lazily(checkpoint, location, change));
    names.push_back(location.tensor->name);
  };
  for (const Part& part : parts) {
    const auto layer = checkpoint.layer(part.projection->layer);
    add(weight_of(*part.projection, layer),
        [&part](std::span<double> weight) { change_weight(weight, part); });
    const auto bias = layer.find(part.projection->name + ".bias");
    if (part.ia3.empty() || part.projection->feed_forward || bias == layer.end()) continue;
    add(bias->second, [&part](std::span<double> values) { scale_rows(values, part.ia3); });
  }
  const Json record = {
      {"schema_version", 1},
      {"adapter", parse_json(adapter.config.text, {.reals = true}, kAdapterConfig)},
      {"changed_tensors", names}};
  format::copy_checkpoint_with(checkpoint, std::move(changes), out, "merge.json",
                               pretty_json(record), work);
}

}  // namespace organ::train
