// SPDX-License-Identifier: Apache-2.0
// ArchitectureReader::from_tensors: layers of a family whose maths organ does not know.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "format/architecture/architecture_reader.h"
#include "format/architecture/internal/config_keys.h"
#include "format/architecture/internal/config_values.h"
#include "format/architecture/internal/opaque_layers.h"
#include "format/base/fail.h"
#include "format/base/json.h"

namespace organ::format {
namespace {

using internal::LayerList;
using internal::OpaqueLayers;

std::string names_of(const std::vector<LayerList>& lists) {
  std::string names;
  for (const LayerList& list : lists) {
    names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", list.name,
                         counted(list.count, "layer"));
  }
  return names;
}

[[noreturn]] void refuse_lists(std::string_view subject, const std::vector<LayerList>& all,
                               const Error& reason) {
  std::string flaws;
  for (const LayerList& list : all) {
    flaws += fmt::format("{}{} {}", flaws.empty() ? ": " : ", ", quote(list.name), list.flaw);
    if (flaws.size() > 400) break;
  }
  throw Error(ErrorCode::incompatible,
              fmt::format("{}; and no tensors of {} form a list of layers numbered from 0{}",
                          reason.message(), quote(subject), flaws));
}

// How many of the list's members are layers. The config decides where it speaks of this list: it is
// the only one, or longer by the predictors of further tokens that lie behind the layers
// (DeepSeek-V3, GLM-4.5), which transformers does not load.
std::uint64_t layers_of(const Json& config, const LayerList& list, bool only) {
  constexpr std::string_view kCounts[] = {"num_hidden_layers", "n_layer", "n_layers", "num_layers"};
  const auto number = [](const Json& section, std::string_view key) -> std::uint64_t {
    const auto found = section.find(key);
    const bool there = found != section.end() && found->is_number_unsigned();
    return there ? found->get<std::uint64_t>() : 0;
  };
  const auto text = config.find("text_config");
  const Json* const sections[] = {&config,
                                  text != config.end() && text->is_object() ? &*text : nullptr};
  for (const Json* section : sections) {
    if (section == nullptr) continue;
    for (const std::string_view key : kCounts) {
      const std::uint64_t count = number(*section, key);
      if (count == 0) continue;
      const bool longer = count < list.count;
      const bool meant = only || list.count - count <= number(*section, "num_nextn_predict_layers");
      if (longer && meant) return count;
      break;
    }
  }
  return list.count;
}

// The list that holds the layers: the named one, or the only one there is.
LayerList choose_list(std::span<const TensorInfo* const> tensors, std::string_view stack,
                      const Json& config, std::string_view subject, const Error& reason) {
  const std::vector<LayerList> all = internal::find_layer_lists(tensors);
  std::vector<LayerList> good;
  for (const LayerList& list : all) {
    if (list.flaw.empty()) good.push_back(list);
  }
  if (good.empty()) refuse_lists(subject, all, reason);
  for (LayerList& list : good) list.count = layers_of(config, list, good.size() == 1);
  const auto named = std::find_if(good.begin(), good.end(),
                                  [&](const LayerList& list) { return list.name == stack; });
  if (named != good.end()) return *named;
  const std::string hint = "--stack NAME chooses one: " + escape_text(names_of(good), 400);
  if (!stack.empty()) {
    throw Error(ErrorCode::incompatible,
                fmt::format("{}: has no stack of layers {} and no maths is known for it ({})",
                            quote(subject), quote(stack), reason.message()),
                hint);
  }
  if (good.size() > 1) {
    throw Error(ErrorCode::incompatible,
                fmt::format("{}: holds {} stacks of layers and no maths is known for them ({})",
                            quote(subject), good.size(), reason.message()),
                hint);
  }
  return good.front();
}

std::vector<std::vector<LayerTensor>> tensors_by_layer(std::span<const TensorInfo* const> tensors,
                                                       const LayerList& list) {
  std::vector<std::vector<LayerTensor>> layers(list.count);
  for (const TensorInfo* tensor : tensors) {
    const auto numbered = internal::outermost_number(tensor->name);
    if (!numbered || numbered->list != list.name || numbered->index >= list.count) continue;
    layers.at(numbered->index)
        .push_back({std::string(numbered->rest), tensor->shape, tensor->dtype});
  }
  for (auto& layer : layers) {
    std::sort(layer.begin(), layer.end(),
              [](const LayerTensor& a, const LayerTensor& b) { return a.name < b.name; });
  }
  return layers;
}

// It becomes a word of organ.json.
std::string read_model_type(const JsonObject& config) {
  std::string type = config.string("model_type");
  const bool good = !type.empty() && type.size() <= 64 &&
                    type.find_first_not_of(
                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789._-") == type.npos;
  if (!good) internal::refuse_value(config, "model_type", "1 to 64 characters of [A-Za-z0-9._-]");
  return type;
}

}  // namespace

Architecture ArchitectureReader::from_tensors(const Json& json, std::string_view subject,
                                              std::span<const TensorInfo* const> tensors,
                                              std::string_view stack, const Error& reason) {
  const JsonObject config(json, quote(subject));
  Architecture result;
  result.model_type_ = read_model_type(config);
  const LayerList list = choose_list(tensors, stack, json, subject, reason);
  if (list.count > internal::kMostLayers) {
    fail(ErrorCode::incompatible, "{}: {} layers, the limit is {}", quote(subject), list.count,
         internal::kMostLayers);
  }
  result.layer_count_ = list.count;
  result.opaque_ = std::make_shared<const OpaqueLayers>(
      OpaqueLayers{list.name, list.name + ".", internal::signed_config(json, quote(subject)),
                   tensors_by_layer(tensors, list), reason});
  return result;
}

std::vector<std::string> ArchitectureReader::own_code(const Json& json, std::string_view subject) {
  return internal::own_code(JsonObject(json, quote(subject)));
}

}  // namespace organ::format
