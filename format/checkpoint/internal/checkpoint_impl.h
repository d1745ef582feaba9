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

// Made in this order: read_config(), open_shards(), interpret(). A view of another stack takes
// config and shards over and begins at interpret(). Afterwards nothing changes but what is behind
// the two once_flags, so reading from many threads needs no lock. Where nothing else is said a
// member that finds a fault throws corrupt and names the folder.
struct Checkpoint::Impl {
  using Shards = std::vector<Shard>;
  // Throws as ModelFolder does, also for a view: the folder is resolved again.
  explicit Impl(const std::filesystem::path& path,
                std::shared_ptr<Shards> opened = std::make_shared<Shards>())
      : folder(path), shared_shards(std::move(opened)) {}

  // What the files mean: the architecture, then prefix, tied names and warnings, and for layers
  // that are not opaque the checks of shapes and layer numbers. Reads no weights but the shared
  // state.
  void interpret(std::string_view stack);
  // Parses config.json, 16 MiB at most, as a foreign document; anything but an object is corrupt.
  // Throws not_found where there is none.
  void read_config();
  // Fills `architecture`: a known family; else opaque layers; else the Error that says why neither,
  // which is thrown by Checkpoint::architecture(). Only incompatible is kept so; any other error is
  // thrown here.
  void read_architecture(std::string_view stack);
  // Of the tensors known so far. `reason` is what a call that needs the maths will throw.
  Architecture opaque_architecture(std::string_view stack, const Error& reason) const;
  // The first stack of the family of which the files hold a layer; "" where there is none.
  std::string_view first_stack() const;
  // Opens every shard of the plan, then `replacements` as the last ones, and fills `tensors`,
  // copies, promised and warnings. Throws incompatible (settle_copies), conflict
  // (require_one_state), io.
  void open_shards(std::vector<Shard> replacements);
  // Throws conflict unless the names of the first `own` shards still mean the files that are open.
  void require_one_state(std::size_t own) const;
  // Puts the tensors of shard `number` in the place of those of the same name, dtype and shape.
  void replace_tensors(std::size_t number);
  // Adds the tensors of shard `number`; a name that is there already moves to `copies`.
  void index_shard(std::size_t number);
  // Throws incompatible for a tensor in several shards with other bytes, unless the index names the
  // last of them; else warns of it. Compares bytes.
  void settle_copies(const internal::ShardIndex* index);
  // Only warns, and fills `promised`.
  void check_index(const internal::ShardIndex& index);
  void warn_of_own_code();
  void warn_of_layers_beyond();
  // BERT's names of 2018 to those of today. Corrupt where a norm has both.
  void rename_old_norms();
  // "" or the layout's optional prefix. Corrupt where layers are named in both ways.
  void find_prefix();
  // Where only another name of a tied matrix is in the files, the embedding's own name and the
  // head's bias become entries of `tensors` for the same bytes.
  void find_tied_tensors();
  // Shapes of embedding, final norm and head, each where it is there at all.
  void check_outer_tensors() const;
  // Absent tensors pass.
  void check_shape(const std::string& name, const Shape& expected) const;
  // Every layer that the config counts has a tensor at least, and every tensor of the list a
  // number. Of a family with several stacks none at all will do: the files may hold the other one.
  void check_layer_indices() const;
  [[noreturn]] void refuse_absent_layer(const std::string& start, std::uint64_t index) const;
  // Of known layers whose layout has a shared tensor.
  std::string shared_name() const;
  // Hashes that tensor into the architecture's shared_digest; nothing where the layout has none.
  void read_shared_state();
  // The tensor `start` + wanted.name: there, of its shape, and of its type (any floating one where
  // none is demanded).
  void check_layer_tensor(const std::string& start, const LayerTensor& wanted) const;
  [[noreturn]] void refuse_missing(std::string_view name) const;
  std::optional<Location> find(std::string_view name) const;
  // Type, shape and bytes are equal. Reads both, 1 MiB at one time. Throws io.
  bool same_bytes(const Location& a, const Location& b) const;
  // What Checkpoint::tied_head() says and throws, without its memory.
  bool is_head_tied(const Architecture& model) const;
  // All permission bits of the classes of users who may enter the folders that the shards lie in.
  unsigned entering() const;
  bool holds(std::string_view start) const;  // a tensor whose name begins so
  // The architecture unless its layers are opaque or nothing is known of them: nullptr.
  const Architecture* known() const {
    const auto* model = std::get_if<Architecture>(&architecture);
    return model && !model->is_opaque() ? model : nullptr;
  }
  [[noreturn]] void refuse(std::string_view message) const {
    fail(ErrorCode::corrupt, "{}: {}", quote(folder.folder().string()), message);
  }

  internal::ModelFolder folder;
  std::string config_text;  // the bytes of config.json
  // Megabytes of JSON are behind it.
  mutable std::once_flag tokenizer_read;
  mutable std::optional<Digest> tokenizer;
  std::shared_ptr<const Json> config;  // with the views of the other stacks
  // Empty only until read_architecture(); an Error, of incompatible, is for
  // Checkpoint::architecture().
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
  std::string prefix;  // "" of opaque layers: their names are those of the files

  // Read from large files, at the first question.
  std::once_flag tied_once;
  bool tied_head = false;
};

}  // namespace organ::format
