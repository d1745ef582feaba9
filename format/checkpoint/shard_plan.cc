// SPDX-License-Identifier: Apache-2.0
#include "format/checkpoint/internal/shard_plan.h"

#include <set>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/checkpoint/checkpoint.h"

namespace organ::format::internal {
namespace {

constexpr std::size_t kMostShards = 4096;

// Weights that only code-running loaders read; named in the error, never opened.
constexpr std::string_view kForeignEndings[] = {".bin", ".pt",      ".pth", ".ckpt",
                                                ".h5",  ".msgpack", ".gguf"};

[[noreturn]] void fail_without_weights(const ModelFolder& folder) {
  for (const std::string& name : list_folder(folder.folder())) {
    for (const std::string_view ending : kForeignEndings) {
      if (!name.ends_with(ending)) continue;
      throw Error(ErrorCode::not_found,
                  fmt::format("{}: has no safetensors weights, only {}",
                              quote(folder.folder().string()), quote(name)),
                  "convert the weights to safetensors: a model is opened from nothing else");
    }
  }
  fail(ErrorCode::not_found, "{}: has neither {} nor {}", quote(folder.folder().string()),
       kSingleShard, kShardIndex);
}

}  // namespace

ShardPlan plan_shards(const ModelFolder& folder) {
  const bool single = folder.has(kSingleShard);
  if (!folder.has(kShardIndex)) {
    if (!single) fail_without_weights(folder);
    return {{std::string(kSingleShard)}, std::nullopt};
  }
  ShardPlan plan;
  plan.index =
      parse_shard_index(folder.read(kShardIndex, kShardIndexLimit), folder.subject(kShardIndex));
  std::set<std::string> names;
  for (const auto& [tensor, shard] : plan.index->weight_map) names.insert(shard);
  if (names.size() > kMostShards) {
    fail(ErrorCode::corrupt, "{}: names {} shards, the limit is {}",
         quote(folder.subject(kShardIndex)), names.size(), kMostShards);
  }
  // Loaders differ in which of the two they take.
  if (single && !names.contains(std::string(kSingleShard))) {
    throw Error(ErrorCode::corrupt,
                fmt::format("{}: has both {} and {} that does not name it",
                            quote(folder.folder().string()), kSingleShard, kShardIndex),
                "remove the one that is out of date");
  }
  plan.names.assign(names.begin(), names.end());
  return plan;
}

}  // namespace organ::format::internal
