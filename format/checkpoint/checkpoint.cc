// SPDX-License-Identifier: Apache-2.0
#include "format/checkpoint/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iterator>
#include <variant>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/checkpoint/internal/shard_plan.h"

namespace organ::format {
namespace {

using internal::ModelFolder;
using internal::ShardIndex;
using internal::ShardPlan;

constexpr std::uint64_t kConfigLimit = std::uint64_t{16} << 20;

bool is_floating(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16 || dtype == DType::F64;
}

bool is_tensor_of(const std::vector<LayerTensor>& tensors, std::string_view name) {
  const auto found = std::lower_bound(
      tensors.begin(), tensors.end(), name,
      [](const LayerTensor& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return found != tensors.end() && found->name == name;
}

}  // namespace

struct Checkpoint::Impl {
  using Shards = std::vector<Shard>;
  explicit Impl(const std::filesystem::path& path,
                std::shared_ptr<Shards> opened = std::make_shared<Shards>())
      : folder(path), shared_shards(std::move(opened)) {}

  void interpret(std::string_view stack);
  void read_config();
  void read_architecture(std::string_view stack);
  Architecture opaque_architecture(std::string_view stack, const Error& reason) const;
  std::string_view first_stack() const;
  void open_shards(std::vector<Shard> replacements);
  void replace_tensors(std::size_t number);
  void index_shard(std::size_t number, const ShardPlan& plan);
  void check_index(const ShardIndex& index) const;
  void find_prefix();
  void check_outer_tensors() const;
  void check_shape(const std::string& name, const Shape& expected) const;
  void check_layer_indices() const;
  std::string shared_name() const;
  void read_shared_state();
  void check_layer_tensor(const std::string& start, const LayerTensor& wanted) const;
  [[noreturn]] void refuse_missing(const std::string& name) const;
  std::optional<Location> find(std::string_view name) const;
  bool holds(std::string_view start) const;  // a tensor whose name begins so
  const Architecture* known() const {
    const auto* model = std::get_if<Architecture>(&architecture);
    return model && !model->is_opaque() ? model : nullptr;
  }
  [[noreturn]] void refuse(std::string_view message) const {
    fail(ErrorCode::corrupt, "{}: {}", quote(folder.folder().string()), message);
  }

  ModelFolder folder;
  std::string config_text;
  Json config;
  std::variant<std::monostate, Architecture, Error> architecture;
  std::shared_ptr<Shards> shared_shards;  // with the views of the other stacks
  Shards& shards = *shared_shards;
  bool has_index = false;
  std::map<std::string, Location, std::less<>> tensors;
  std::string prefix;
};

// What the files mean, when they have been read.
void Checkpoint::Impl::interpret(std::string_view stack) {
  read_architecture(stack);
  if (!known()) return;
  find_prefix();
  check_outer_tensors();
  check_layer_indices();
  read_shared_state();
}

void Checkpoint::Impl::read_config() {
  config_text = folder.read(kConfigFile, kConfigLimit);
  JsonLimits limits;
  limits.bytes = kConfigLimit;
  limits.reals = true;
  const std::string subject = folder.subject(kConfigFile);
  config = parse_json(config_text, limits, subject);
  JsonObject(config, quote(subject));  // an object, or an error
}

bool Checkpoint::Impl::holds(std::string_view start) const {
  const auto found = tensors.lower_bound(start);
  return found != tensors.end() && found->first.starts_with(start);
}

// T5 encoders are also shipped without their decoder.
std::string_view Checkpoint::Impl::first_stack() const {
  const auto type = config.find("model_type");
  if (type == config.end() || !type->is_string()) return "";
  for (const FamilyLayout& layout : family_stacks(type->get<std::string>())) {
    if (holds(layout.layer_prefix)) return layout.stack;
  }
  return "";
}

Architecture Checkpoint::Impl::opaque_architecture(std::string_view stack,
                                                   const Error& reason) const {
  std::vector<const TensorInfo*> all;
  for (const auto& [name, location] : tensors) all.push_back(location.tensor);
  return Architecture::from_tensors(config, folder.subject(kConfigFile), all, stack, reason);
}

void Checkpoint::Impl::read_architecture(std::string_view stack) {
  const auto incompatible = [](const Error& error) {
    if (error.code() != ErrorCode::incompatible) throw error;
    return error;
  };
  std::optional<Error> reason;
  try {
    architecture = Architecture::from_config(config, folder.subject(kConfigFile),
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

void Checkpoint::Impl::index_shard(std::size_t number, const ShardPlan& plan) {
  const Shard& shard = shards[number];
  for (const TensorInfo& tensor : shard.file.header().tensors) {
    if (plan.index) {
      const auto entry = plan.index->weight_map.find(tensor.name);
      if (entry == plan.index->weight_map.end()) {
        refuse(fmt::format("tensor {} of {} is not in {}", quote(tensor.name), shard.file_name,
                           kShardIndex));
      }
      if (entry->second != shard.file_name) {
        refuse(fmt::format("tensor {} is in {} but {} says {}", quote(tensor.name), shard.file_name,
                           kShardIndex, entry->second));
      }
    }
    tensors.emplace(tensor.name, Location{number, &tensor});
  }
}

void Checkpoint::Impl::check_index(const ShardIndex& index) const {
  std::uint64_t total = 0;
  for (const auto& [tensor, shard] : index.weight_map) {
    const auto found = tensors.find(tensor);
    if (found == tensors.end()) {
      refuse(fmt::format("tensor {} is missing from {}", quote(tensor), shard));
    }
    total += found->second.tensor->size;  // at most the sizes of all files
  }
  if (index.total_size && *index.total_size != total) {
    refuse(fmt::format("{} says total_size {} but the tensors have {} bytes", kShardIndex,
                       *index.total_size, total));
  }
}

// Shard `number` holds other bytes of tensors that are there.
void Checkpoint::Impl::replace_tensors(std::size_t number) {
  const Shard& shard = shards[number];
  for (const TensorInfo& tensor : shard.file.header().tensors) {
    const auto found = tensors.find(tensor.name);
    if (found == tensors.end()) {
      refuse(fmt::format("has no tensor {} that {} could replace", quote(tensor.name),
                         quote(shard.file.subject())));
    }
    const TensorInfo& former = *found->second.tensor;
    if (former.dtype != tensor.dtype || former.shape != tensor.shape) {
      refuse(fmt::format("tensor {} is {} {} but {} has {} {}", quote(tensor.name),
                         to_string(former.dtype), to_string(former.shape),
                         quote(shard.file.subject()), to_string(tensor.dtype),
                         to_string(tensor.shape)));
    }
    found->second = Location{number, &tensor};
  }
}

void Checkpoint::Impl::open_shards(std::vector<Shard> replacements) {
  const ShardPlan plan = internal::plan_shards(folder);
  has_index = plan.index.has_value();
  for (const std::string& name : plan.names) {
    shards.push_back({name, SafetensorsFile::from_fd(folder.open(name), folder.subject(name))});
  }
  const std::size_t own = shards.size();
  std::move(replacements.begin(), replacements.end(), std::back_inserter(shards));
  // Only now: `tensors` points into the shards' headers.
  for (std::size_t i = 0; i < own; ++i) index_shard(i, plan);
  if (plan.index) check_index(*plan.index);
  for (std::size_t i = own; i < shards.size(); ++i) replace_tensors(i);
}

std::optional<Checkpoint::Location> Checkpoint::Impl::find(std::string_view name) const {
  const auto found = tensors.find(name);
  return found == tensors.end() ? std::nullopt : std::optional(found->second);
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
  if (has_with) prefix = layout.optional_prefix;
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

void Checkpoint::Impl::check_layer_indices() const {
  const std::string start = prefix + std::string(known()->layout().layer_prefix);
  for (auto at = tensors.lower_bound(start); at != tensors.end() && at->first.starts_with(start);
       ++at) {
    const std::string_view rest = std::string_view(at->first).substr(start.size());
    std::uint64_t index = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), index);
    const bool canonical = error == std::errc() && end != rest.data() + rest.size() &&
                           *end == '.' && (rest[0] != '0' || end == rest.data() + 1);
    if (!canonical) refuse(fmt::format("tensor {} has no layer index", quote(at->first)));
    if (index >= known()->layer_count()) {
      refuse(fmt::format("tensor {} is beyond the {} layers of {}", quote(at->first),
                         known()->layer_count(), kConfigFile));
    }
  }
}

std::string Checkpoint::Impl::shared_name() const {
  const FamilyLayout& layout = known()->layout();
  return fmt::format("{}{}0.{}", prefix, layout.layer_prefix, layout.shared_tensor);
}

void Checkpoint::Impl::read_shared_state() {
  Architecture& model = std::get<Architecture>(architecture);
  if (model.layout().shared_tensor.empty()) return;
  const auto found = find(shared_name());
  if (!found) refuse(fmt::format("tensor {} is missing", quote(shared_name())));
  check_shape(shared_name(), model.shared_shape());
  const SafetensorsFile& file = shards[found->shard].file;
  const HashRange range{file.fd(), file.header().data_start + found->tensor->offset,
                        found->tensor->size};
  model.set_shared_digest(hash_ranges({&range, 1}, folder.folder().string())[0]);
}

// The names that TensorFlow conversions gave BERT's norms.
[[noreturn]] void Checkpoint::Impl::refuse_missing(const std::string& name) const {
  for (const auto& [now, before] : {std::pair("LayerNorm.weight", "LayerNorm.gamma"),
                                    std::pair("LayerNorm.bias", "LayerNorm.beta")}) {
    if (!name.ends_with(now)) continue;
    const std::string old = name.substr(0, name.size() - std::strlen(now)) + before;
    if (!find(old)) continue;
    throw Error(ErrorCode::incompatible,
                fmt::format("{}: tensor {} has its name of 2018, expected {}",
                            quote(folder.folder().string()), quote(old), quote(name)),
                "load the model with transformers and save it again");
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

Checkpoint::Checkpoint(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

Checkpoint Checkpoint::open(const std::filesystem::path& folder, std::string_view stack) {
  return open_with(folder, {}, stack);
}

Checkpoint Checkpoint::open_with(const std::filesystem::path& folder,
                                 std::vector<Shard> replacements, std::string_view stack) {
  auto impl = std::make_unique<Impl>(folder);
  impl->read_config();
  impl->open_shards(std::move(replacements));
  impl->interpret(stack);
  return Checkpoint(std::move(impl));
}

Checkpoint Checkpoint::other_stack(std::string_view stack) const {
  auto impl = std::make_unique<Impl>(folder(), impl_->shared_shards);
  impl->config_text = impl_->config_text;
  impl->config = impl_->config;
  impl->has_index = impl_->has_index;
  impl->tensors = impl_->tensors;
  impl->interpret(stack);
  return Checkpoint(std::move(impl));
}

const std::filesystem::path& Checkpoint::folder() const { return impl_->folder.folder(); }
const Json& Checkpoint::config() const { return impl_->config; }
const std::string& Checkpoint::config_text() const { return impl_->config_text; }
Digest Checkpoint::config_digest() const { return sha256(impl_->config_text); }

const Architecture& Checkpoint::architecture() const {
  if (const auto* model = std::get_if<Architecture>(&impl_->architecture)) return *model;
  throw Error(std::get<Error>(impl_->architecture));
}

const std::vector<Checkpoint::Shard>& Checkpoint::shards() const { return impl_->shards; }
bool Checkpoint::has_index() const { return impl_->has_index; }

std::optional<Checkpoint::Location> Checkpoint::find(std::string_view tensor_name) const {
  return impl_->find(tensor_name);
}

Checkpoint::Location Checkpoint::locate(std::string_view tensor_name) const {
  const auto found = find(tensor_name);
  if (!found) impl_->refuse(fmt::format("has no tensor {}", quote(tensor_name)));
  return *found;
}

std::vector<std::byte> Checkpoint::read(const Location& location) const {
  return impl_->shards.at(location.shard).file.read(*location.tensor);
}

std::string_view Checkpoint::prefix() const { return impl_->prefix; }

std::string Checkpoint::full_name(std::string_view name) const {
  const bool is_head = name == architecture().layout().head;
  return (is_head ? "" : impl_->prefix) + std::string(name);
}

std::string Checkpoint::layer_prefix(std::uint64_t index) const {
  return fmt::format("{}{}{}.", impl_->prefix, architecture().layer_prefix(), index);
}

std::map<std::string, Checkpoint::Location> Checkpoint::layer(std::uint64_t index) const {
  const Architecture& model = architecture();
  if (index >= model.layer_count()) {
    fail(ErrorCode::invalid_argument, "layer {}: the model has {} layers", index,
         model.layer_count());
  }
  const std::string start = layer_prefix(index);
  std::map<std::string, Location> found;
  for (auto at = impl_->tensors.lower_bound(start);
       at != impl_->tensors.end() && at->first.starts_with(start); ++at) {
    std::string name = at->first.substr(start.size());
    const bool shared = index == 0 && !model.is_opaque() && name == model.layout().shared_tensor;
    if (!shared && !model.is_ready_made(name)) found.emplace(std::move(name), at->second);
  }
  for (const LayerTensor& wanted : model.tensors(index)) impl_->check_layer_tensor(start, wanted);
  for (const auto& [name, location] : found) {
    if (!is_tensor_of(model.tensors(index), name)) {
      impl_->refuse(fmt::format("tensor {} does not belong to a {} layer of this {}",
                                quote(start + name), model.model_type(), kConfigFile));
    }
  }
  return found;
}

std::optional<Checkpoint::Location> Checkpoint::shared_state() const {
  const Architecture& model = architecture();
  if (model.is_opaque() || model.layout().shared_tensor.empty()) return std::nullopt;
  return locate(impl_->shared_name());
}

Digest Checkpoint::layer_digest(std::uint64_t index) const {
  const auto tensors = layer(index);
  std::vector<HashRange> ranges;
  for (const auto& [name, location] : tensors) {
    const SafetensorsFile& file = impl_->shards[location.shard].file;
    ranges.push_back(
        {file.fd(), file.header().data_start + location.tensor->offset, location.tensor->size});
  }
  const auto digests = hash_ranges(ranges, folder().string());
  Json list = Json::array();
  for (const auto& [name, location] : tensors) {
    list.push_back({name, to_string(location.tensor->dtype), location.tensor->shape,
                    digests[list.size()].hex()});
  }
  return sha256(canonical_json(list));
}

bool Checkpoint::tied_head() const {
  const Architecture& model = architecture();
  const auto head = find(model.layout().head);
  const bool by_files = model.layout().files_tie_head;
  if (!by_files && !model.tied_embeddings()) {
    if (!head) {
      impl_->refuse(fmt::format("has no tensor {} but {} says that the head is not tied",
                                quote(model.layout().head), kConfigFile));
    }
    return false;
  }
  if (!head) return true;
  const std::string embedding = full_name(model.layout().embedding);
  const Location table = locate(embedding);
  if (head->tensor->dtype != table.tensor->dtype || read(*head) != read(table)) {
    if (by_files) return false;
    impl_->refuse(fmt::format("{} says that the head is tied but tensors {} and {} differ",
                              kConfigFile, quote(model.layout().head), quote(embedding)));
  }
  return true;
}

}  // namespace organ::format
