// SPDX-License-Identifier: Apache-2.0
// The files of a checkpoint: config.json, shards, the index over them.
#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>

#include <nlohmann/json.hpp>

#include "format/base/file_system.h"
#include "format/base/json.h"
#include "format/checkpoint/internal/checkpoint_impl.h"

namespace organ::format {

using internal::ShardIndex;
using internal::ShardPlan;

namespace {

constexpr std::uint64_t kConfigLimit = std::uint64_t{16} << 20;
constexpr std::uint64_t kCompared = std::uint64_t{1} << 20;  // bytes at one time

// The first of many things, and how many there are.
struct Examples {
  std::size_t count = 0;
  std::string first = {};

  void add(std::string example) {
    if (count++ == 0) first = std::move(example);
  }
  std::string text() const {
    return count == 1 ? first : fmt::format("{} (and {} more)", first, count - 1);
  }
};

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

void Checkpoint::Impl::index_shard(std::size_t number) {
  const Shard& shard = shards[number];
  for (const TensorInfo& tensor : shard.file.header().tensors) {
    const auto [at, added] = tensors.emplace(tensor.name, Location{number, &tensor});
    if (added) continue;
    copies.emplace(tensor.name, at->second);
    at->second = Location{number, &tensor};
  }
}

// The last in the order of the names counts, as for transformers. The index may name it, or all may
// be equal: then others take the same.
void Checkpoint::Impl::settle_copies(const ShardIndex* index) {
  Examples several;
  for (const auto& [name, earlier] : copies) {
    const Location& last = tensors.find(name)->second;
    const std::string where =
        fmt::format("{} is in {} and in {}", quote(name), shards[earlier.shard].file_name,
                    shards[last.shard].file_name);
    several.add(where);
    const bool chosen = index != nullptr && index->weight_map.contains(name) &&
                        index->weight_map.at(name) == shards[last.shard].file_name;
    if (chosen || same_bytes(earlier, last)) continue;
    throw Error(
        ErrorCode::incompatible,
        fmt::format("{}: tensor {} with other bytes, and loaders differ in which they take",
                    quote(folder.folder().string()), where),
        "remove the one that is out of date from its shard; save_pretrained of transformers "
        "writes each tensor once, of these the last");
  }
  if (several.count == 0) return;
  warnings.push_back(
      fmt::format("tensors stored twice, of which the last counts: {}", several.text()));
}

// What an index says that the shards do not: no tensor that is asked for depends on it.
void Checkpoint::Impl::check_index(const ShardIndex& index) {
  std::uint64_t total = 0;
  Examples absent, elsewhere, unnamed;
  for (const auto& [name, location] : tensors) {
    total += location.tensor->size;  // at most the sizes of all files
    const auto entry = index.weight_map.find(name);
    if (entry == index.weight_map.end()) {
      unnamed.add(fmt::format("{} of {}", quote(name), shards[location.shard].file_name));
    } else if (entry->second != shards[location.shard].file_name) {
      elsewhere.add(fmt::format("{} is in {}, not in {}", quote(name),
                                shards[location.shard].file_name, entry->second));
    }
  }
  for (const auto& [name, shard] : index.weight_map) {
    if (tensors.contains(name)) continue;
    promised.emplace(name, shard);
    absent.add(fmt::format("{} of {}", quote(name), shard));
  }
  const auto warn = [&](const Examples& examples, std::string_view what) {
    if (examples.count > 0) {
      warnings.push_back(fmt::format("{}: {}: {}", kShardIndex, what, examples.text()));
    }
  };
  warn(absent, "names tensors that their shards do not hold");
  warn(elsewhere, "names the wrong shard");
  warn(unnamed, "leaves out tensors of its shards");
  if (index.total_size && *index.total_size != std::to_string(total)) {
    warnings.push_back(fmt::format("{}: says total_size {} but the tensors have {}", kShardIndex,
                                   escape_text(*index.total_size, 40), counted(total, "byte")));
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
  for (std::size_t i = 0; i < own; ++i) index_shard(i);
  settle_copies(plan.index ? &*plan.index : nullptr);
  if (plan.index) check_index(*plan.index);
  for (std::size_t i = own; i < shards.size(); ++i) replace_tensors(i);
  require_one_state(own);
}

// An installation that is decided meanwhile moves its shards into place one by one, and readers
// take no lock: names that still mean the opened files after the last was opened mean them all at
// once.
void Checkpoint::Impl::require_one_state(std::size_t own) const {
  for (std::size_t i = 0; i < own; ++i) {
    const std::string& name = shards[i].file_name;
    if (file_id(folder.open(name).get(), name) == file_id(shards[i].file.fd(), name)) continue;
    throw Error(ErrorCode::conflict,
                fmt::format("{}: was replaced while the model was opened",
                            quote(folder.subject(shards[i].file_name))),
                "wait until nobody changes the model, then run this again");
  }
}

// Piece by piece: tables have gigabytes.
bool Checkpoint::Impl::same_bytes(const Location& a, const Location& b) const {
  if (a.tensor == b.tensor) return true;
  if (a.tensor->dtype != b.tensor->dtype || a.tensor->shape != b.tensor->shape) return false;
  const std::uint64_t size = a.tensor->size;
  std::vector<std::byte> one(std::min(size, kCompared)), other(one.size());
  const auto read = [&](const Location& location, std::uint64_t at, std::span<std::byte> out) {
    const SafetensorsFile& file = shards[location.shard].file;
    read_at(file.fd(), file.header().data_start + location.tensor->offset + at, out,
            file.subject());
  };
  for (std::uint64_t at = 0; at < size; at += one.size()) {
    one.resize(std::min<std::uint64_t>(one.size(), size - at));
    other.resize(one.size());
    read(a, at, one);
    read(b, at, other);
    if (one != other) return false;
  }
  return true;
}

std::optional<Checkpoint::Location> Checkpoint::Impl::find(std::string_view name) const {
  const auto found = tensors.find(name);
  return found == tensors.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace organ::format
