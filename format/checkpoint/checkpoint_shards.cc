// SPDX-License-Identifier: Apache-2.0
// The files of a checkpoint: config.json, shards, the index over them.
#include <sys/stat.h>

#include <iterator>

#include <nlohmann/json.hpp>

#include "format/base/json.h"
#include "format/checkpoint/internal/checkpoint_impl.h"

namespace organ::format {

using internal::ShardIndex;
using internal::ShardPlan;

namespace {

constexpr std::uint64_t kConfigLimit = std::uint64_t{16} << 20;

bool is_same_file(int a, int b) {
  struct stat one {
  }, other{};
  if (::fstat(a, &one) != 0 || ::fstat(b, &other) != 0) fail_errno("shard", "stat");
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

}  // namespace

void Checkpoint::Impl::read_config() {
  config_text = folder.read(kConfigFile, kConfigLimit);
  JsonLimits limits;
  limits.bytes = kConfigLimit;
  limits.foreign = true;
  const std::string subject = folder.subject(kConfigFile);
  config = std::make_shared<const Json>(parse_json(config_text, limits, subject));
  JsonObject(*config, quote(subject));  // an object, or an error
}

bool Checkpoint::Impl::holds(std::string_view start) const {
  const auto found = tensors.lower_bound(start);
  return found != tensors.end() && found->first.starts_with(start);
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
  require_one_state(own);
}

// An installation that is decided meanwhile moves its shards into place one by one, and readers
// take no lock: names that still mean the opened files after the last was opened mean them all at
// once.
void Checkpoint::Impl::require_one_state(std::size_t own) const {
  for (std::size_t i = 0; i < own; ++i) {
    if (is_same_file(folder.open(shards[i].file_name).get(), shards[i].file.fd())) continue;
    throw Error(ErrorCode::conflict,
                fmt::format("{}: was replaced while the model was opened",
                            quote(folder.subject(shards[i].file_name))),
                "wait until nobody changes the model, then run this again");
  }
}

std::optional<Checkpoint::Location> Checkpoint::Impl::find(std::string_view name) const {
  const auto found = tensors.find(name);
  return found == tensors.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace organ::format
