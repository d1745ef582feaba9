// SPDX-License-Identifier: Apache-2.0
// Hugging Face checkpoint folders: config.json, one or many safetensors shards, tied heads, cache
// snapshots made of symlinks into blobs/.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/architecture/architecture.h"
#include "format/base/digest.h"
#include "format/tensor/safetensors.h"

namespace organ::format {
struct CheckpointConfig;
}

#pragma GCC visibility push(default)

namespace organ::format {

inline constexpr std::string_view kConfigFile = "config.json";
inline constexpr std::string_view kSingleShard = "model.safetensors";
inline constexpr std::string_view kShardIndex = "model.safetensors.index.json";

// From now on links in model folders may also lead below this folder (a cache of DVC, blobs of a
// split Hugging Face cache). It holds for the whole process and every thread; links in it are
// resolved once, here. Throws invalid_argument for an empty path, not_found, io.
void trust_links_below(const std::filesystem::path& root);

// Whether a path without links lies below such a folder.
bool is_below_trusted(const std::filesystem::path& resolved);

// A checkpoint opened for reading: config parsed, every shard header validated. The index (if any)
// says which files are shards; what else it says is compared, and told in warnings(). A tensor in
// two shards is that of the last (incompatible: other bytes, and the index names another). Shard
// names must be safe file names; symlinks are followed inside the folder, in the Hugging Face cache
// repository that holds it, or trust_links_below(). Of a known family, embedding, norm or head of
// another shape are refused. Layers are those the config counts. Move-only, reading is thread-safe.
//
// Of a model with several stacks of layers (T5: encoder, decoder; a vision tower beside a language
// model) it shows one.
class Checkpoint {
 public:
  // `stack` names the stack; "" takes the first that the files hold (T5: decoder, then encoder).
  // Throws not_found (no folder, no config, no weights: a .bin/.pt beside it is named, never
  // opened), invalid_argument (a file instead of a folder), corrupt, incompatible (a tensor in two
  // shards, as above), conflict (a shard was replaced meanwhile), io.
  static Checkpoint open(const std::filesystem::path& folder, std::string_view stack = "");
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  const std::filesystem::path& folder() const;
  const std::string& config_text() const;  // the bytes of config.json
  Digest config_digest() const;            // of those bytes
  // tokenizer_digest() of the folder, as it was when that was first asked of this object.
  std::optional<Digest> own_tokenizer_digest() const;

  // What its layers are: opaque for a family or a config value that organ does not know. Throws
  // incompatible when the stack is unknown or not decided, or nothing looks like layers; the folder
  // itself can be opened all the same.
  const Architecture& architecture() const;

  struct Shard {
    std::string file_name;
    SafetensorsFile file;
  };
  // The same with other bytes for some tensors: those of `replacements`, which the folder must have
  // in the same type and shape. Where several replace one tensor the last counts. They become the
  // last shards. For the view of a model that its folder no longer holds.
  static Checkpoint open_with(const std::filesystem::path& folder, std::vector<Shard> replacements,
                              std::string_view stack = "");
  // The same tensors, replaced ones too, as the named stack of the model shows them: it shares the
  // open shards, and outlives this object if need be. warnings() has those of the config and the
  // stack alone, not those of index and shards. Throws corrupt, and as open() does when the folder
  // is no longer there.
  Checkpoint other_stack(std::string_view stack) const;
  const std::vector<Shard>& shards() const;
  bool has_index() const;
  // What is odd about the folder and changes nothing that is read: an index that says what its
  // shards do not, keys of config.json that organ does not know. Sentences; names are quoted.
  const std::vector<std::string>& warnings() const;

  // What is made of the weights should not be open to more people than they are: the permission
  // bits (0600 to 0666) that every shard has, for those who may enter the model's folder. Where a
  // shard is a link, its file counts and the folder of that too. Throws io.
  unsigned permissions() const;
  // The same for a folder that becomes a copy of the model's (0700 to 0777).
  unsigned folder_permissions() const;

  // Tensors go by the names that transformers 5 has for them: BERT's norms of 2018 by their names
  // of today, the embedding by its own name when the files hold it under that of a tied one only.
  struct Location {
    std::size_t shard;
    const TensorInfo* tensor;
  };
  std::optional<Location> find(std::string_view tensor_name) const;
  // Throws corrupt naming the checkpoint when the tensor is absent.
  Location locate(std::string_view tensor_name) const;
  // Of find() or locate(); throws invalid_argument for a shard that is not there, io.
  std::vector<std::byte> read(const Location& location) const;

  // What the names of this checkpoint's tensors begin with: the layout's optional prefix where the
  // files have it, else "".
  std::string_view prefix() const;
  // The name of one tensor of the layout (embedding, final norm) as this checkpoint spells it; the
  // head is never prefixed.
  std::string full_name(std::string_view name) const;
  // "model.layers.7." as this checkpoint spells it.
  std::string layer_prefix(std::uint64_t index) const;

  // The tensors of one transformer layer by their names relative to it
  // (self_attn.q_proj.weight), ready-made buffers (rotary_emb.inv_freq, …) and shared state left
  // out. Throws corrupt when one the family demands is missing, unknown or of another shape,
  // invalid_argument for a layer that is not there.
  std::map<std::string, Location> layer(std::uint64_t index) const;

  // What all layers of the stack read although layer 0 alone holds it (T5's table of position
  // biases); nullopt where the family has no such thing.
  std::optional<Location> shared_state() const;

  // Lineage, independent of file layout: SHA-256 of the canonical JSON
  // [["input_layernorm.weight","BF16",[576],"<hex SHA-256 of its bytes>"],…], sorted by name.
  // `work` is told of layer_size() bytes.
  Digest layer_digest(std::uint64_t index, const Work& work = {}) const;
  std::uint64_t layer_size(std::uint64_t index) const;  // bytes of the tensors of layer()

  // The output projection is the embedding. Throws corrupt when config and weights disagree: tied
  // but with a head of other bytes than the embedding, or untied without a head; incompatible when
  // the stacks of one model have embeddings of their own. Of T5 the weights alone decide.
  bool tied_head() const;
  // Where the files hold the embedding's matrix: once, or under several of its tied names.
  std::vector<Location> embedding_places() const;

 private:
  friend struct CheckpointConfig;
  struct [[gnu::visibility("hidden")]] Impl;
  explicit Checkpoint(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Digest of tokenizer.json's canonical vocabulary, merges and normaliser (pre-tokeniser and added
// tokens included), nullopt when the folder has none. Defined in schemas/tokenizer-digest.md.
std::optional<Digest> tokenizer_digest(const std::filesystem::path& folder);

}  // namespace organ::format

#pragma GCC visibility pop
