// SPDX-License-Identifier: Apache-2.0
#include "format/architecture/internal/opaque_layers.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "format/architecture/internal/config_keys.h"
#include "format/base/fail.h"
#include "format/base/json.h"

namespace organ::format::internal {
namespace {

constexpr unsigned kMostDepth = 16;
constexpr std::size_t kMostConfigBytes = std::size_t{1} << 20;

std::optional<std::uint64_t> parse_index(std::string_view text) {
  std::uint64_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  const bool canonical = error == std::errc() && end == text.data() + text.size() &&
                         (text[0] != '0' || text.size() == 1);
  return canonical ? std::optional(index) : std::nullopt;
}

std::string gap_of(const std::set<std::uint64_t>& indices) {
  std::uint64_t expected = 0;
  for (const std::uint64_t index : indices) {
    if (index != expected) return fmt::format("has no number {} before {}", expected, index);
    ++expected;
  }
  return {};
}

Json signed_value(const Json& value, unsigned depth, std::string_view subject) {
  if (depth > kMostDepth) {
    fail(ErrorCode::incompatible, "{}: is nested deeper than {}, which cannot be signed", subject,
         kMostDepth);
  }
  if (value.is_number_float()) return signed_real(value.get<double>());
  if (!value.is_structured()) return value;
  Json copy = value.is_object() ? Json::object() : Json::array();
  for (const auto& [key, member] : value.items()) {
    if (value.is_array()) {
      copy.push_back(signed_value(member, depth + 1, subject));
    } else if (!is_outside_layers(key)) {
      copy[key] = signed_value(member, depth + 1, subject);
    }
  }
  return copy;
}

}  // namespace

std::optional<Numbered> outermost_number(std::string_view name) {
  for (std::size_t start = 0; start < name.size();) {
    const std::size_t end = std::min(name.find('.', start), name.size());
    const auto index = parse_index(name.substr(start, end - start));
    if (index && start > 0) {
      return Numbered{name.substr(0, start - 1),
                      end < name.size() ? name.substr(end + 1) : std::string_view(), *index};
    }
    start = end + 1;
  }
  return std::nullopt;
}

std::vector<LayerList> find_layer_lists(std::span<const TensorInfo* const> tensors) {
  struct Found {
    std::set<std::uint64_t> indices;
    bool bare = false;  // a member is a tensor itself, not a module
  };
  std::map<std::string_view, Found> found;
  for (const TensorInfo* tensor : tensors) {
    const auto numbered = outermost_number(tensor->name);
    if (!numbered) continue;
    Found& list = found[numbered->list];
    list.indices.insert(numbered->index);
    list.bare |= numbered->rest.empty();
  }
  std::vector<LayerList> lists;
  lists.reserve(found.size());
  for (const auto& [name, list] : found) {
    lists.push_back({std::string(name), list.indices.size(),
                     list.bare ? "numbers tensors, not layers" : gap_of(list.indices)});
  }
  return lists;
}

std::string signed_config(const Json& config, std::string_view subject) {
  std::string text = canonical_json(signed_value(config, 0, subject));
  if (text.size() > kMostConfigBytes) {
    fail(ErrorCode::incompatible, "{}: has {} bytes that would be signed, the limit is {}", subject,
         text.size(), kMostConfigBytes);
  }
  return text;
}

Json without_outer_keys(const Json& config) { return signed_value(config, 0, "config"); }

Json opaque_fields(const Architecture& model, const OpaqueLayers& opaque, std::uint64_t first,
                   std::uint64_t count) {
  Json fields = {{"maths", "unknown"},
                 {"model_type", model.model_type()},
                 {"stack", opaque.stack},
                 {"first_layer", first},
                 {"model_layer_count", model.layer_count()},
                 {"config", Json::parse(opaque.config)}};
  Json& layers = fields["tensors"] = Json::array();
  for (std::uint64_t i = first; i < first + count; ++i) {
    Json layer = Json::object();
    for (const LayerTensor& tensor : opaque.layers[i]) {
      layer[tensor.name] = {{"dtype", to_string(*tensor.dtype)}, {"shape", tensor.shape}};
    }
    layers.push_back(std::move(layer));
  }
  return fields;
}

}  // namespace organ::format::internal
