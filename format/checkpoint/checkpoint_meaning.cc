// SPDX-License-Identifier: Apache-2.0
// What the tensors of a checkpoint are, by its config: prefix, shapes, layers, shared state.
#include <charconv>
#include <cstring>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "format/architecture/architecture_reader.h"
#include "format/base/json.h"
#include "format/checkpoint/folder_rules.h"
#include "format/checkpoint/internal/checkpoint_impl.h"
#include "format/tensor/convert.h"

namespace organ::format {
namespace {

// The number that a layer's tensor has behind the name of the list.
std::optional<std::uint64_t> layer_index(std::string_view rest) {
  std::uint64_t index = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), index);
  const bool canonical = error == std::errc() && end != rest.data() + rest.size() && *end == '.' &&
                         (rest[0] != '0' || end == rest.data() + 1);
  return canonical ? std::optional(index) : std::nullopt;
}

// What stands before the names of a model in `name`, one of a tensor of its first layer: a
// wrapper's own name, "" where there is none.
std::string_view wrapper_in(std::string_view name, const FamilyLayout& layout) {
  const auto at = name.find(std::string(layout.layer_prefix) + "0.");
  if (at == name.npos || at == 0 || name[at - 1] != '.') return {};
  std::string_view before = name.substr(0, at);
  if (before.ends_with(layout.optional_prefix)) before.remove_suffix(layout.optional_prefix.size());
  return before;
}

}  // namespace

// What the files mean, when they have been read.
void Checkpoint::Impl::interpret(std::string_view stack) {
  read_architecture(stack);
  warn_of_own_code();
  if (has_own_adapter(folder.folder())) {
    warnings.push_back(fmt::format(
        "{}: transformers computes with the adapter that lies beside the weights; organ reads and "
        "changes the weights alone",
        kAdapterConfigFile));
  }
  if (!known()) return warn_of_layers_beyond();
  for (const std::string& key : known()->unknown_keys()) {
    warnings.push_back(fmt::format(
        "{}: key {} is not known; if the model's own code reads it, its layers are not what they "
        "are taken for",
        kConfigFile, quote(key)));
  }
  rename_old_norms();
  find_prefix();
  find_tied_tensors();
  check_outer_tensors();
  check_layer_indices();
  warn_of_layers_beyond();
  read_shared_state();
}

// The config decides: predictors of further tokens lie there, or what a cut-down model still has.
void Checkpoint::Impl::warn_of_layers_beyond() {
  const auto* model = std::get_if<Architecture>(&architecture);
  if (model == nullptr) return;
  const std::string start = prefix + std::string(model->layer_prefix());
  std::size_t count = 0;
  std::string first;
  for (auto at = tensors.lower_bound(start); at != tensors.end() && at->first.starts_with(start);
       ++at) {
    const auto index = layer_index(std::string_view(at->first).substr(start.size()));
    if (!index || *index < model->layer_count()) continue;
    if (count++ == 0) first = at->first;
  }
  if (count == 0) return;
  warnings.push_back(fmt::format("{}: says {}; {} behind that taken for none of a layer: {}{}",
                                 kConfigFile, counted(model->layer_count(), "layer"),
                                 counted(count, "tensor"), quote(first), count > 1 ? ", …" : ""));
}

// Its layers are opaque, and what is signed of them says nothing of the code.
void Checkpoint::Impl::warn_of_own_code() {
  const auto classes = ArchitectureReader::own_code(*config, folder.subject(kConfigFile));
  if (classes.empty()) return;
  warnings.push_back(fmt::format(
      "{}: the layers are computed by code that comes with the model ({}), which is neither signed "
      "nor compared: donor and recipient must have the same",
      kConfigFile, escape_text(fmt::format("{}", fmt::join(classes, ", ")), 200)));
}

// TensorFlow conversions called the scale and shift of BERT's norms gamma and beta.
void Checkpoint::Impl::rename_old_norms() {
  std::vector<std::pair<std::string, std::string>> renamed;
  for (const auto& [name, location] : tensors) {
    for (const auto& [before, now] : {std::pair("LayerNorm.gamma", "LayerNorm.weight"),
                                      std::pair("LayerNorm.beta", "LayerNorm.bias")}) {
      if (name.ends_with(before)) {
        renamed.emplace_back(name, name.substr(0, name.size() - std::strlen(before)) + now);
      }
    }
  }
  for (const auto& [before, now] : renamed) {
    if (tensors.contains(now)) {
      refuse(fmt::format("tensors {} and {} are one by the names of 2018 and of today",
                         quote(before), quote(now)));
    }
    auto node = tensors.extract(before);
    node.key() = now;
    tensors.insert(std::move(node));
  }
}

// Of one tied matrix files hold any of its names (transformers ties both ways); all then name it.
void Checkpoint::Impl::find_tied_tensors() {
  const FamilyLayout& layout = known()->layout();
  const auto stand_in = [&](const std::string& name, std::string_view other) {
    if (other.empty() || tensors.contains(name)) return;
    if (const auto found = find(other)) tensors.emplace(name, *found);
  };
  const std::string embedding = prefix + std::string(layout.embedding);
  for (const std::string_view other : layout.other_embeddings) stand_in(embedding, other);
  if (!layout.files_tie_head && !known()->tied_embeddings()) return;
  stand_in(embedding, layout.head);
  if (layout.head_bias.empty()) return;
  std::string own_bias(layout.head);
  own_bias.replace(own_bias.rfind("weight"), std::string::npos, "bias");
  stand_in(std::string(layout.head_bias), own_bias);
}

// T5 encoders are also shipped without their decoder.
std::string_view Checkpoint::Impl::first_stack() const {
  const auto type = config->find("model_type");
  if (type == config->end() || !type->is_string()) return "";
  for (const FamilyLayout& layout : family_stacks(type->get<std::string>())) {
    if (holds(layout.layer_prefix)) return layout.stack;
  }
  return "";
}

Architecture Checkpoint::Impl::opaque_architecture(std::string_view stack,
                                                   const Error& reason) const {
  std::vector<const TensorInfo*> all;
  for (const auto& [name, location] : tensors) all.push_back(location.tensor);
  return ArchitectureReader::from_tensors(*config, folder.subject(kConfigFile), all, stack, reason);
}

void Checkpoint::Impl::read_architecture(std::string_view stack) {
  const auto incompatible = [](const Error& error) {
    if (error.code() != ErrorCode::incompatible) throw error;
    return error;
  };
  std::optional<Error> reason;
  try {
    architecture = ArchitectureReader::from_config(*config, folder.subject(kConfigFile),
                                                   stack.empty() ? first_stack() : stack);
    return;
  } catch (const Error& error) {
    reason = incompatible(error);
  }
  try {
    architecture = opaque_architecture(stack, *reason);
  } catch (const Error& error) {
    architecture = incompatible(error);  // it can still be inspected
  }
}

void Checkpoint::Impl::find_prefix() {
  const FamilyLayout& layout = known()->layout();
  if (layout.optional_prefix.empty()) return;
  const std::string prefixed =
      std::string(layout.optional_prefix) + std::string(layout.layer_prefix);
  const auto with = tensors.lower_bound(prefixed);
  const auto without = tensors.lower_bound(layout.layer_prefix);
  const bool has_with = with != tensors.end() && with->first.starts_with(prefixed);
  const bool has_without =
      without != tensors.end() && without->first.starts_with(layout.layer_prefix);
  if (has_with && has_without) {
    refuse(fmt::format("tensors {} and {} name layers in two ways", quote(with->first),
                       quote(without->first)));
  }
  if (has_with || (!has_without && holds(layout.optional_prefix))) prefix = layout.optional_prefix;
}

void Checkpoint::Impl::check_shape(const std::string& name, const Shape& expected) const {
  const auto found = find(name);
  if (!found || found->tensor->shape == expected) return;
  refuse(fmt::format("tensor {} has shape {} but {} demands {}", quote(name),
                     to_string(found->tensor->shape), kConfigFile, to_string(expected)));
}

void Checkpoint::Impl::check_outer_tensors() const {
  const Architecture& model = *known();
  const Shape table{model.vocab_size(), model.hidden_size()};
  check_shape(prefix + std::string(model.layout().embedding), table);
  if (!model.layout().final_norm.empty()) {
    check_shape(prefix + std::string(model.layout().final_norm), {model.hidden_size()});
  }
  check_shape(std::string(model.layout().head), table);
}

// Every layer that the config promises has a tensor at least; which ones it needs is asked when it
// is read.
void Checkpoint::Impl::check_layer_indices() const {
  std::set<std::uint64_t> found;
  const std::string start = prefix + std::string(known()->layout().layer_prefix);
  for (auto at = tensors.lower_bound(start); at != tensors.end() && at->first.starts_with(start);
       ++at) {
    const auto index = layer_index(std::string_view(at->first).substr(start.size()));
    if (!index) refuse(fmt::format("tensor {} has no layer index", quote(at->first)));
    if (*index < known()->layer_count()) found.insert(*index);
  }
  // One stack of two may be in other files.
  if (found.empty() && !known()->layout().stack.empty()) return;
  std::uint64_t missing = 0;
  while (found.contains(missing)) ++missing;
  if (missing < known()->layer_count()) refuse_absent_layer(start, missing);
}

void Checkpoint::Impl::refuse_absent_layer(const std::string& start, std::uint64_t index) const {
  std::string message =
      fmt::format("{}: has no tensor {}{}.…, but {} promises {}", quote(folder.folder().string()),
                  start, index, kConfigFile, counted(known()->layer_count(), "layer"));
  for (const auto& [name, location] : tensors) {
    const std::string_view wrapper = wrapper_in(name, known()->layout());
    if (wrapper.empty()) continue;
    throw Error(ErrorCode::corrupt, fmt::format("{}; names begin with {}", message, quote(wrapper)),
                "what was saved is a wrapper (torch.compile, DataParallel, PEFT): save the model "
                "inside it");
  }
  throw Error(ErrorCode::corrupt, message);
}

// Of the model, of which they may hold one matrix several times.
bool Checkpoint::Impl::is_head_tied(const Architecture& model) const {
  const FamilyLayout& layout = model.layout();
  const std::string embedding = prefix + std::string(layout.embedding);
  const auto is_embedding = [&](const Location& found) {
    const auto table = find(embedding);
    if (!table) refuse_missing(embedding);
    return same_bytes(found, *table);
  };
  for (const std::string_view other : layout.other_embeddings) {
    if (const auto found = find(other); found && !is_embedding(*found)) {
      throw Error(ErrorCode::incompatible,
                  fmt::format("{}: tensors {} and {} differ, which transformers then does not tie",
                              quote(folder.folder().string()), quote(embedding), quote(other)),
                  "layers can be taken out and put in; measuring needs one embedding");
    }
  }
  const auto head = find(layout.head);
  if (!layout.files_tie_head && !model.tied_embeddings()) {
    if (head) return false;
    throw Error(ErrorCode::corrupt,
                fmt::format("{}: has no tensor {} but {} says that the head is not tied",
                            quote(folder.folder().string()), quote(layout.head), kConfigFile),
                "a base class was saved without its head: save the model with it, or set "
                "\"tie_word_embeddings\": true when the embedding is its head");
  }
  if (!head || is_embedding(*head)) return true;
  if (layout.files_tie_head) return false;
  throw Error(ErrorCode::corrupt,
              fmt::format("{}: {} says that the head is tied but tensors {} and {} differ",
                          quote(folder.folder().string()), kConfigFile, quote(layout.head),
                          quote(embedding)),
              "\"tie_word_embeddings\": false in config.json uses both, as transformers 5 then "
              "does; without the head's tensor the embedding is the head");
}

std::string Checkpoint::Impl::shared_name() const {
  const FamilyLayout& layout = known()->layout();
  return fmt::format("{}{}0.{}", prefix, layout.layer_prefix, layout.shared_tensor);
}

void Checkpoint::Impl::read_shared_state() {
  Architecture& model = std::get<Architecture>(architecture);
  if (model.layout().shared_tensor.empty()) return;
  const auto found = find(shared_name());
  if (!found) refuse_missing(shared_name());
  check_shape(shared_name(), model.shared_shape());
  const SafetensorsFile& file = shards[found->shard].file;
  const HashRange range{file.fd(), file.header().data_start + found->tensor->offset,
                        found->tensor->size};
  model.set_shared_digest(hash_ranges({&range, 1}, folder.folder().string())[0]);
}

[[noreturn]] void Checkpoint::Impl::refuse_missing(std::string_view name) const {
  if (const auto entry = promised.find(name); entry != promised.end()) {
    refuse(fmt::format("tensor {} is missing from {}, which should hold it by {}", quote(name),
                       entry->second, kShardIndex));
  }
  const std::string_view module = name.substr(0, name.rfind('.'));
  if (holds(fmt::format("{}.base_layer.", module))) {
    throw Error(ErrorCode::corrupt,
                fmt::format("{}: tensor {} is missing, '{}.base_layer' stands for it",
                            quote(folder.folder().string()), quote(name), escape_text(module)),
                "the model was saved with an adapter around it: merge_and_unload() of PEFT first");
  }
  refuse(fmt::format("tensor {} is missing", quote(name)));
}

void Checkpoint::Impl::check_layer_tensor(const std::string& start,
                                          const LayerTensor& wanted) const {
  const std::string name = start + wanted.name;
  const auto found = find(name);
  if (!found) refuse_missing(name);
  check_shape(name, wanted.shape);
  if (wanted.dtype && found->tensor->dtype != *wanted.dtype) {
    refuse(fmt::format("tensor {} is {}, expected {}", quote(name), to_string(found->tensor->dtype),
                       to_string(*wanted.dtype)));
  }
  if (!wanted.dtype && !is_floating(found->tensor->dtype)) {
    refuse(fmt::format("tensor {} is {}, expected F32, F16, BF16 or F64", quote(name),
                       to_string(found->tensor->dtype)));
  }
}

}  // namespace organ::format
