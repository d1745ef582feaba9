// SPDX-License-Identifier: Apache-2.0
// What a Checkpoint knows, and how it comes to know it: files first (checkpoint_files.cc,
// checkpoint_shards.cc), then what they mean (checkpoint_meaning.cc).
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/checkpoint/checkpoint.h"
#include "format/checkpoint/internal/shard_plan.h"

namespace organ::format {

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
  void require_one_state(std::size_t own) const;
  void replace_tensors(std::size_t number);
  void index_shard(std::size_t number);
  void settle_copies(const internal::ShardIndex* index);
  void check_index(const internal::ShardIndex& index);
  void warn_of_own_code();
  void warn_of_layers_beyond();
  void rename_old_norms();
  void find_prefix();
  void find_tied_tensors();
  void check_outer_tensors() const;
  void check_shape(const std::string& name, const Shape& expected) const;
  void check_layer_indices() const;
  [[noreturn]] void refuse_absent_layer(const std::string& start, std::uint64_t index) const;
  std::string shared_name() const;
  void read_shared_state();
  void check_layer_tensor(const std::string& start, const LayerTensor& wanted) const;
  [[noreturn]] void refuse_missing(std::string_view name) const;
  std::optional<Location> find(std::string_view name) const;
  bool same_bytes(const Location& a, const Location& b) const;
  bool is_head_tied(const Architecture& model) const;
  // All permission bits of the classes of users who may enter the folders that the shards lie in.
  unsigned entering() const;
  bool holds(std::string_view start) const;  // a tensor whose name begins so
  const Architecture* known() const {
    const auto* model = std::get_if<Architecture>(&architecture);
    return model && !model->is_opaque() ? model : nullptr;
  }
  [[noreturn]] void refuse(std::string_view message) const {
    fail(ErrorCode::corrupt, "{}: {}", quote(folder.folder().string()), message);
  }

  internal::ModelFolder folder;
  std::string config_text;
  // Megabytes of JSON are behind it.
  mutable std::once_flag tokenizer_read;
  mutable std::optional<Digest> tokenizer;
  std::shared_ptr<const Json> config;  // with the views of the other stacks
  std::variant<std::monostate, Architecture, Error> architecture;
  std::shared_ptr<Shards> shared_shards;  // with the views of the other stacks
  Shards& shards = *shared_shards;
  bool has_index = false;
  // By the names that transformers 5 gives them; a Location's tensor has the name of the file.
  std::map<std::string, Location, std::less<>> tensors;
  std::map<std::string, std::string, std::less<>> promised;  // by the index, which holds no such
  // The earlier places of tensors that are in several shards; `tensors` has the last.
  std::multimap<std::string, Location, std::less<>> copies;
  std::vector<std::string> warnings;
  std::string prefix;

  // Read from large files, at the first question.
  std::once_flag tied_once;
  bool tied_head = false;
};

}  // namespace organ::format
