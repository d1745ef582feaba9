// SPDX-License-Identifier: Apache-2.0
#include "format/checkpoint/checkpoint.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <system_error>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file_system.h"
#include "format/base/json.h"
#include "format/checkpoint/checkpoint_config.h"
#include "format/checkpoint/internal/checkpoint_impl.h"

namespace organ::format {
namespace {

bool is_tensor_of(const std::vector<LayerTensor>& tensors, std::string_view name) {
  const auto found = std::lower_bound(
      tensors.begin(), tensors.end(), name,
      [](const LayerTensor& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return found != tensors.end() && found->name == name;
}

}  // namespace

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
  impl->promised = impl_->promised;
  impl->interpret(stack);
  return Checkpoint(std::move(impl));
}

Checkpoint CheckpointConfig::as_opaque(const Checkpoint& checkpoint, std::string_view stack) {
  const Checkpoint::Impl& from = *checkpoint.impl_;
  auto impl = std::make_unique<Checkpoint::Impl>(checkpoint.folder(), from.shared_shards);
  impl->config_text = from.config_text;
  impl->config = from.config;
  impl->has_index = from.has_index;
  impl->promised = from.promised;
  for (const auto& [name, location] : from.tensors) {
    impl->tensors.insert_or_assign(location.tensor->name, location);
  }
  impl->architecture = impl->opaque_architecture(
      stack, Error(ErrorCode::incompatible, "its layers are looked at without their maths"));
  return Checkpoint(std::move(impl));
}

const std::filesystem::path& Checkpoint::folder() const { return impl_->folder.folder(); }
const Json& CheckpointConfig::of(const Checkpoint& checkpoint) { return *checkpoint.impl_->config; }
const std::string& Checkpoint::config_text() const { return impl_->config_text; }
Digest Checkpoint::config_digest() const { return sha256(impl_->config_text); }

const Architecture& Checkpoint::architecture() const {
  if (const auto* model = std::get_if<Architecture>(&impl_->architecture)) return *model;
  throw Error(std::get<Error>(impl_->architecture));
}

const std::vector<Checkpoint::Shard>& Checkpoint::shards() const { return impl_->shards; }
bool Checkpoint::has_index() const { return impl_->has_index; }
const std::vector<std::string>& Checkpoint::warnings() const { return impl_->warnings; }

unsigned Checkpoint::permissions() const {
  unsigned common = 0666 & impl_->entering();
  for (const Shard& shard : impl_->shards) {
    common &= permissions_of(shard.file.fd(), shard.file_name);
  }
  return common | 0600;
}

unsigned Checkpoint::folder_permissions() const {
  return (permissions_of(folder()) & impl_->entering()) | 0700;
}

unsigned Checkpoint::Impl::entering() const {
  std::set<std::filesystem::path> folders = {folder.folder()};
  for (const Shard& shard : shards) {
    std::error_code absent;  // bytes that replace a shard's lie elsewhere in the folder
    const auto file = std::filesystem::canonical(folder.folder() / shard.file_name, absent);
    if (!absent) folders.insert(file.parent_path());
  }
  unsigned search = 0111;
  for (const auto& one : folders) search &= permissions_of(one);
  return search * 7;
}

std::optional<Checkpoint::Location> Checkpoint::find(std::string_view tensor_name) const {
  return impl_->find(tensor_name);
}

Checkpoint::Location Checkpoint::locate(std::string_view tensor_name) const {
  const auto found = find(tensor_name);
  if (!found) impl_->refuse_missing(tensor_name);
  return *found;
}

std::vector<std::byte> Checkpoint::read(const Location& location) const {
  if (location.shard >= impl_->shards.size() || location.tensor == nullptr) {
    fail(ErrorCode::invalid_argument, "{}: a tensor of shard {} is asked for, it has {}",
         quote(folder().string()), location.shard, counted(impl_->shards.size(), "shard"));
  }
  return impl_->shards[location.shard].file.read(*location.tensor);
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
    fail(ErrorCode::invalid_argument, "layer {}: the model has {}", index,
         counted(model.layer_count(), "layer"));
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

std::uint64_t Checkpoint::layer_size(std::uint64_t index) const {
  std::uint64_t bytes = 0;
  for (const auto& [name, location] : layer(index)) bytes += location.tensor->size;
  return bytes;
}

Digest Checkpoint::layer_digest(std::uint64_t index, const Work& work) const {
  const auto tensors = layer(index);
  std::vector<HashRange> ranges;
  for (const auto& [name, location] : tensors) {
    const SafetensorsFile& file = impl_->shards[location.shard].file;
    ranges.push_back(
        {file.fd(), file.header().data_start + location.tensor->offset, location.tensor->size});
  }
  const auto digests = hash_ranges(ranges, folder().string(), work);
  Json list = Json::array();
  for (const auto& [name, location] : tensors) {
    list.push_back({name, to_string(location.tensor->dtype), location.tensor->shape,
                    digests[list.size()].hex()});
  }
  return sha256(canonical_json(list));
}

std::vector<Checkpoint::Location> Checkpoint::embedding_places() const {
  const FamilyLayout& layout = architecture().layout();
  std::vector<Location> places = {locate(full_name(layout.embedding))};
  const auto add = [&](const std::optional<Location>& found) {
    const bool known = !found || std::any_of(places.begin(), places.end(), [&](const Location& l) {
      return l.tensor == found->tensor;
    });
    if (!known) places.push_back(*found);
  };
  for (const std::string_view other : layout.other_embeddings) add(find(other));
  if (tied_head()) add(find(layout.head));
  return places;
}

bool Checkpoint::tied_head() const {
  const Architecture& model = architecture();
  std::call_once(impl_->tied_once, [&] { impl_->tied_head = impl_->is_head_tied(model); });
  return impl_->tied_head;
}

}  // namespace organ::format
