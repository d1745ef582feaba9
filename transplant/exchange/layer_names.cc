// SPDX-License-Identifier: Apache-2.0
#include "transplant/exchange/internal/layer_names.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "format/base/fail.h"
#include "format/tensor/convert.h"

namespace organ::transplant::internal {
namespace {

using format::LayerTensor;
using format::TorchTensor;

// A name cut at the number of its layer.
struct Placed {
  std::string_view start, name;
  std::uint64_t number = 0;
};

// The names of all layers; those of opaque ones differ.
class LayerNames {
 public:
  explicit LayerNames(const format::Architecture& model) : model_(model) {
    const std::uint64_t layers = model.is_opaque() ? model.layer_count() : 1;
    for (std::uint64_t i = 0; i < layers; ++i) {
      for (const LayerTensor& tensor : model.tensors(i)) names_.insert(tensor.name);
    }
  }

  bool is_ready_made(std::string_view name) const { return model_.is_ready_made(name); }

  // At the first number behind which the name of a tensor of a layer stands.
  std::optional<Placed> place(std::string_view name) const {
    for (std::size_t dot = name.find('.'); dot != name.npos; dot = name.find('.', dot + 1)) {
      std::size_t digits = dot;
      while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9') --digits;
      Placed placed{name.substr(0, digits), name.substr(dot + 1)};
      const auto read = std::from_chars(name.data() + digits, name.data() + dot, placed.number);
      if (digits == dot || read.ec != std::errc()) continue;
      if (names_.contains(placed.name) || is_ready_made(placed.name)) return placed;
    }
    return std::nullopt;
  }

 private:
  const format::Architecture& model_;
  std::set<std::string, std::less<>> names_;
};

[[noreturn]] void refuse(std::string_view subject, const std::vector<std::string>& reasons,
                         const std::string& hint) {
  std::string message = fmt::format("{}: {}", quote(subject), reasons.front());
  if (reasons.size() > 1) message += fmt::format(" (and {} more)", reasons.size() - 1);
  throw Error(ErrorCode::incompatible, message, hint);
}

std::string is_wrong(const TorchTensor& tensor, const LayerTensor& wanted) {
  const std::string shown = quote(tensor.name);
  if (tensor.shape != wanted.shape) {
    return fmt::format("tensor {} has shape {}, expected {}", shown,
                       format::to_string(tensor.shape), format::to_string(wanted.shape));
  }
  if (wanted.dtype ? tensor.dtype != *wanted.dtype : !format::is_floating(tensor.dtype)) {
    return fmt::format("tensor {} is {}, expected {}", shown, format::to_string(tensor.dtype),
                       wanted.dtype ? format::to_string(*wanted.dtype) : "F32, F16, BF16 or F64");
  }
  return "";
}

}  // namespace

DonorTensors sort_tensors(const format::TorchFile& file, const format::Architecture& model) {
  const LayerNames names(model);
  std::map<std::uint64_t, std::map<std::string, const TorchTensor*, std::less<>>> layers;
  DonorTensors donor;
  std::vector<std::string> unknown;
  std::optional<std::string_view> start;
  for (const TorchTensor& tensor : file.tensors()) {
    const auto placed = names.place(tensor.name);
    if (!placed || (start && *start != placed->start)) {
      unknown.push_back(fmt::format("tensor {} is of no layer of the model", quote(tensor.name)));
      continue;
    }
    start = placed->start;
    auto& layer = layers[placed->number];
    if (names.is_ready_made(placed->name)) {
      donor.ready_made.push_back(tensor.name);
    } else if (!layer.emplace(placed->name, &tensor).second) {
      unknown.push_back(fmt::format("tensor {} is there twice", quote(tensor.name)));
    }
  }
  if (layers.empty() && unknown.empty()) unknown.emplace_back("holds no tensor");
  const std::string hint =
      fmt::format("a layer's tensors are called like 'N.{}', N the number of the layer",
                  model.tensors().empty() ? "NAME" : model.tensors().front().name);
  if (!unknown.empty()) refuse(file.subject(), unknown, hint);
  donor.first = layers.begin()->first;
  for (auto& [number, tensors] : layers) {
    if (number != donor.first + donor.layers.size()) {
      refuse(
          file.subject(),
          {fmt::format("layer {} follows layer {}", number, donor.first + donor.layers.size() - 1)},
          "an organ is a run of layers");
    }
    donor.layers.push_back(std::move(tensors));
  }
  return donor;
}

void check_tensors(const DonorTensors& donor, const format::Architecture& model,
                   format::LayerRange layers, std::string_view subject) {
  std::vector<std::string> wrong;
  for (std::uint64_t i = 0; i < layers.count; ++i) {
    const auto& found = donor.layers[i];
    std::size_t expected = 0;
    for (const LayerTensor& wanted : model.tensors(layers.first + i)) {
      const auto at = found.find(wanted.name);
      if (at == found.end()) {
        wrong.push_back(
            fmt::format("tensor {} of layer {} is missing", quote(wanted.name), donor.first + i));
        continue;
      }
      ++expected;
      if (std::string reason = is_wrong(*at->second, wanted); !reason.empty()) {
        wrong.push_back(std::move(reason));
      }
    }
    if (expected == found.size()) continue;
    for (const auto& entry : found) {
      const auto& tensor = entry.second;
      const auto& all = model.tensors(layers.first + i);
      const bool known = std::any_of(
          all.begin(), all.end(), [&](const LayerTensor& one) { return one.name == entry.first; });
      if (!known) {
        wrong.push_back(fmt::format("tensor {} is none of layer {} of the model",
                                    quote(tensor->name), layers.first + i));
      }
    }
  }
  if (!wrong.empty()) {
    refuse(subject, wrong, "--into names the model that the layers were cut from");
  }
}

}  // namespace organ::transplant::internal
