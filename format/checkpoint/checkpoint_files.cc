// SPDX-License-Identifier: Apache-2.0
#include "format/checkpoint/internal/checkpoint_files.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <vector>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/base/json.h"
#include "format/base/path_status.h"
#include "format/checkpoint/checkpoint.h"
#include "format/checkpoint/folder_rules.h"
#include "format/tensor/safetensors.h"

namespace organ::format {
namespace {

// models--owner--name/snapshots/<revision>[/…] gives models--owner--name.
std::filesystem::path cache_repository(const std::filesystem::path& folder) {
  for (std::filesystem::path at = folder; at.has_relative_path(); at = at.parent_path()) {
    const std::filesystem::path parent = at.parent_path();
    if (parent.filename() == "snapshots" &&
        parent.parent_path().filename().string().starts_with("models--")) {
      return parent.parent_path();
    }
  }
  return folder;
}

// The regular file that a path is or leads to; empty for anything else.
std::filesystem::path file_behind(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::path target = std::filesystem::canonical(path, error);
  return !error && std::filesystem::is_regular_file(target, error) ? target
                                                                   : std::filesystem::path();
}

}  // namespace

bool may_lead_to(const std::filesystem::path& folder, const std::filesystem::path& resolved) {
  return internal::is_inside(resolved, cache_repository(folder)) || is_below_trusted(resolved);
}

UniqueFd open_model_file(const std::filesystem::path& folder, const std::string& name) {
  const std::filesystem::path target = file_behind(folder / name);
  if (target.empty() || !may_lead_to(folder, target)) return {};
  return open_regular(target, Symlinks::refuse);
}

bool leads_away(const std::filesystem::path& folder, const std::string& name) {
  const std::filesystem::path target = file_behind(folder / name);
  return !target.empty() && !may_lead_to(folder, target);
}

std::vector<LeftOut> visit_model_files(const std::filesystem::path& folder, const SeenFile& seen) {
  const std::filesystem::path root = real_path(folder);
  std::vector<LeftOut> left_out;
  for (const std::string& name : list_folder(root)) {
    if (name.starts_with('.')) continue;
    const UniqueFd fd = is_safe_file_name(name) ? open_model_file(root, name) : UniqueFd();
    if (fd) {
      seen(name, fd.get());
    } else {
      left_out.push_back({name, leads_away(root, name)});
    }
  }
  return left_out;
}

bool belongs_to_old_weights(std::string_view name) {
  constexpr std::string_view kEndings[] = {".bin", ".pt",  ".pth",     ".ckpt",  ".gguf",
                                           ".h5",  ".ot",  ".msgpack", ".onnx",  ".safetensors",
                                           ".sig", ".npz", ".pkl",     ".pickle"};
  constexpr std::string_view kIndex = ".index.json";
  // Beside adapter_model.safetensors (.bin), adapters.safetensors (.npz), optimizer.pt.
  constexpr std::string_view kHalves[] = {kAdapterConfigFile, "trainer_state.json"};
  if (std::ranges::find(kHalves, name) != std::end(kHalves)) return true;
  if (name != kShardIndex && name.ends_with(kIndex)) name.remove_suffix(kIndex.size());
  return std::any_of(std::begin(kEndings), std::end(kEndings),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

bool has_own_adapter(const std::filesystem::path& folder) {
  std::error_code unreadable;
  return std::filesystem::is_regular_file(folder / kAdapterConfigFile, unreadable);
}

void require_no_own_adapter(const std::filesystem::path& folder) {
  if (!has_own_adapter(folder)) return;
  throw Error(
      ErrorCode::incompatible,
      fmt::format("{}: transformers computes with the adapter that lies beside the weights, "
                  "organ would compute without it",
                  quote((folder / kAdapterConfigFile).string())),
      "organ eval --adapter with this folder measures with it, organ import merges it into "
      "a copy, or move it to a folder of its own");
}

}  // namespace organ::format

namespace organ::format::internal {

bool is_inside(const std::filesystem::path& path, const std::filesystem::path& root) {
  return std::mismatch(root.begin(), root.end(), path.begin(), path.end()).first == root.end();
}

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWhatAFolderIs =
    "a checkpoint is a folder with config.json and its weights, as Hugging Face writes it";

fs::path resolve(const fs::path& path, std::string_view hint = {}) {
  std::error_code error;
  fs::path resolved = fs::canonical(path, error);
  if (!error) return resolved;
  if (error == std::errc::no_such_file_or_directory) {
    std::error_code ignored;
    const bool dangling = fs::is_symlink(fs::symlink_status(path, ignored));
    throw Error(ErrorCode::not_found,
                fmt::format("{}: {}", quote(path.string()),
                            dangling ? "is a symlink to nothing" : "does not exist"),
                std::string(hint));
  }
  if (error == std::errc::too_many_symbolic_link_levels) {
    fail(ErrorCode::corrupt, "{}: is a loop of symlinks", quote(path.string()));
  }
  fail(ErrorCode::io, "{}: resolving failed: {}", quote(path.string()), error.message());
}

void check_shard_name(const std::string& shard, std::string_view tensor,
                      const JsonObject& weight_map) {
  if (!is_safe_file_name(shard) || !shard.ends_with(".safetensors")) {
    weight_map.fail_field(
        tensor, fmt::format("{} is not the name of a safetensors file beside it", quote(shard)));
  }
}

// Some writers give the total as a real number.
std::string shown_total(const Json& total) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (total.is_number_float()) {
    const auto value = total.get<double>();
    if (value >= 0 && value <= kExact && value == std::floor(value)) {
      return std::to_string(static_cast<std::uint64_t>(value));
    }
  }
  return shown_json(total);
}

// The cache of a hub keeps a model's files below the folder of its name, one folder per revision.
void refuse_cache_repository(const fs::path& folder) {
  constexpr std::uint64_t kLongestRevision = 256;
  if (is_taken(folder / kConfigFile) || !is_folder(folder / "snapshots")) return;
  std::string revision = "REVISION";
  if (is_file(folder / "refs" / "main")) {
    const std::string main = read_file(folder / "refs" / "main", kLongestRevision);
    if (is_safe_file_name(main) && is_folder(folder / "snapshots" / main)) revision = main;
  }
  throw Error(ErrorCode::not_found,
              fmt::format("{}: is the cache of a model, not its folder", quote(folder.string())),
              "its files are in " + quote((folder / "snapshots" / revision).string()));
}

}  // namespace

ModelFolder::ModelFolder(const fs::path& folder) : folder_(resolve(folder, kWhatAFolderIs)) {
  std::error_code error;
  if (!fs::is_directory(folder_, error)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: is not a folder", quote(folder.string())),
                std::string(kWhatAFolderIs));
  }
  refuse_cache_repository(folder_);
  root_ = cache_repository(folder_);
}

bool ModelFolder::has(std::string_view name) const {
  std::error_code error;
  return fs::symlink_status(folder_ / name, error).type() != fs::file_type::not_found;
}

UniqueFd ModelFolder::open(std::string_view name) const {
  const fs::path resolved = resolve(folder_ / name);
  if (!may_lead_to(folder_, resolved)) {
    throw Error(
        ErrorCode::corrupt,
        fmt::format("{}: is a symlink that leaves {}", quote(subject(name)), quote(root_.string())),
        "copy the file into the folder, or give --trust-links ROOT, if you trust what lies there");
  }
  return open_regular(resolved, Symlinks::refuse);
}

std::string ModelFolder::read(std::string_view name, std::uint64_t limit) const {
  std::string text = read_fd(open(name).get(), limit, subject(name));
  if (text.starts_with("version https://git-lfs")) {
    throw Error(ErrorCode::corrupt,
                fmt::format("{}: is a Git LFS pointer, not the file", quote(subject(name))),
                "fetch the files with 'git lfs pull'");
  }
  return text;
}

ShardIndex parse_shard_index(std::string_view text, std::string_view subject) {
  JsonLimits limits;
  limits.bytes = kShardIndexLimit;
  limits.depth = 8;
  limits.foreign = true;
  const Json document = parse_json(text, limits, subject);
  const JsonObject index(document, quote(subject));
  const JsonObject weight_map = index.object("weight_map");
  ShardIndex result;
  for (const auto& [tensor, shard] : weight_map.value().items()) {
    if (const auto flaw = tensor_name_flaw(tensor)) {
      fail(ErrorCode::corrupt, "{}: tensor name {}: {}", quote(subject), quote(tensor), *flaw);
    }
    std::string name = weight_map.string(tensor);
    check_shard_name(name, tensor, weight_map);
    result.weight_map.emplace(tensor, std::move(name));
  }
  if (result.weight_map.empty()) index.fail_field("weight_map", "names no tensor");
  const auto metadata = document.find("metadata");
  if (metadata == document.end() || !metadata->is_object()) return result;
  const auto total = metadata->find("total_size");
  if (total != metadata->end() && !total->is_null()) result.total_size = shown_total(*total);
  return result;
}

}  // namespace organ::format::internal

namespace organ::format {
namespace {

struct TrustedRoots {
  std::mutex mutex;
  std::vector<std::filesystem::path> roots;
};

TrustedRoots& trusted_roots() {
  static TrustedRoots roots;
  return roots;
}

}  // namespace

void trust_links_below(const std::filesystem::path& root) {
  // An empty path must not become the working folder by the dot.
  const auto resolved = place_of(given_path(root.native()) / ".");
  const std::lock_guard lock(trusted_roots().mutex);
  trusted_roots().roots.push_back(resolved);
}

bool is_below_trusted(const std::filesystem::path& resolved) {
  const std::lock_guard lock(trusted_roots().mutex);
  const auto& roots = trusted_roots().roots;
  return std::any_of(roots.begin(), roots.end(), [&](const std::filesystem::path& root) {
    return internal::is_inside(resolved, root);
  });
}

}  // namespace organ::format

namespace organ::format {

std::string read_model_file(const std::filesystem::path& folder, std::string_view name,
                            std::uint64_t limit) {
  return internal::ModelFolder(folder).read(name, limit);
}

}  // namespace organ::format
