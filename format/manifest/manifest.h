// SPDX-License-Identifier: Apache-2.0
// organ.json: everything about an organ but its weights (schemas/organ.v1.schema.json,
// schemas/organ.v1.md). Canonical JSON, 16 MiB at most; real numbers as RFC 8785 writes them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/base/digest.h"
#include "format/base/json_text.h"
#include "format/manifest/evaluation.h"
#include "format/tensor/tensor.h"

#pragma GCC visibility push(default)

namespace organ::format {

inline constexpr std::string_view kManifestFile = "organ.json";
inline constexpr std::string_view kSignatureFile = "model.sig";
// Bytes at most: of an organ.json, and of one bundle of signatures (model.sig).
inline constexpr std::uint64_t kManifestLimit = std::uint64_t{16} << 20;
inline constexpr std::uint64_t kSignatureLimit = std::uint64_t{32} << 20;
inline constexpr std::uint64_t kSchemaVersion = 1;

// What a file of an organ is, which says its name too. layer: one layer, layer_file_name(). shared:
// kSharedFile, the one tensor that all layers read (T5's table of position biases). head:
// head.safetensors, an output head of the organ's own, which no installation takes. bridge:
// bridge.safetensors, what stands between two streams; no plain checkpoint can hold it. card:
// README.md, a text for people without tensors, 16 MiB at most.
enum class FileRole { layer, shared, head, bridge, card };
inline constexpr std::string_view kSharedFile = "shared.safetensors";
std::string_view to_string(FileRole role);                       // its name as written here
std::optional<FileRole> parse_file_role(std::string_view text);  // nullopt: none of these names
inline bool holds_weights(FileRole role) { return role != FileRole::card; }

// One file beside organ.json. `chunks` has one digest per 4 MiB (kChunkSize) piece. Tensors are in
// file order with the offsets of the safetensors file; empty for a card. Their digests name the
// damaged tensor inside a damaged piece; offsets and sizes are not stored, they follow from order,
// dtype and shape.
struct FileEntry {
  std::string path;  // layer.00.safetensors: a safe file name, never a path
  FileRole role = FileRole::layer;
  std::uint64_t size = 0;  // bytes, 64 TiB at most
  Digest digest;           // SHA-256 of the whole file
  std::vector<Digest> chunks;
  std::uint64_t data_start = 0;  // 8 + header length, a multiple of 4096; 0 for a card
  std::vector<TensorInfo> tensors;
  std::vector<Digest> tensor_digests;  // SHA-256 of each tensor's bytes, same order as tensors
};

// Where the layers were cut out: layers [first_layer, first_layer + layer_count) of the donor (of
// the stack that Manifest::stack() names), counted from 0.
struct ExtractionRecord {
  std::string donor_id;                       // free text: folder or hub name
  std::optional<std::string> donor_revision;  // free text; nullopt: not told
  Digest config_digest;                       // SHA-256 of the bytes of its config.json
  // Checkpoint::layer_digest of the untouched donor layers, layer_count of them, in their order.
  // Not those of the organ's files, which training may have changed.
  std::vector<Digest> layer_digests;
  std::uint64_t first_layer = 0;
  std::uint64_t layer_count = 0;        // 1 to 4096
  std::uint64_t donor_layer_count = 0;  // the donor's layers in all
};

// How far one tensor moved in training: r = rms(change) / rms(weight before).
struct TensorChange {
  std::string tensor;             // layer.00/mlp.up_proj.weight
  double relative_rms = 0;        // r
  double unchanged_fraction = 0;  // share of elements with equal stored bits
};

// How the organ was trained, as whoever trained it tells.
struct TrainingRecord {
  // in_situ: inside its donor. wrapper: between embedding and head alone.
  std::string mode;
  std::vector<std::string> trained_tensors;  // named as TensorChange::tensor
  // What became of the donor's output head: frozen | trained | tied (it is the embedding).
  std::string head;
  JsonText hyperparameters;  // an object, whose keys organ.json does not fix
  std::uint64_t seed = 0;
  // One file of the training data, which is named and never contained.
  struct Data {
    std::string name;                    // for people
    Digest digest;                       // SHA-256 of its bytes
    std::uint64_t tokens = 0;            // that it gave
    std::optional<std::string> license;  // nullopt: not told
  };
  std::vector<Data> data;
  std::map<std::string, std::string> software;  // versions by name
  std::uint64_t wall_milliseconds = 0;
  std::vector<TensorChange> changes;
};

// The tokenizer of the donor: its ids are what the organ was made under.
struct TokenizerRecord {
  Digest digest;  // schemas/tokenizer-digest.md: of what it does, not of its files
  std::vector<std::pair<std::string, std::uint64_t>> special_ids;  // bos, eos, unk, pad; sorted
};

// What decides where the layers fit.
struct ArchitectureRecord {
  std::string model_type;  // the family, as transformers' config.json names it
  JsonText layer;          // Architecture::layer_fields
  Digest signature;        // Architecture::signature of `layer`; parse() has checked that
};

// The validated value of one organ.json. Unknown optional fields (top level) are kept byte for
// byte in `extensions`; a top-level key that starts with "critical_" or any unknown key inside the
// known objects is refused. Texts for people have 4096 bytes at most and are not escaped.
struct Manifest {
  std::string name;                    // check_name() takes it
  std::string version;                 // Version::parse() takes it
  std::string description;             // may be empty
  std::optional<std::string> license;  // free text, best an SPDX identifier; nullopt: not told
  std::string created;                 // RFC 3339 UTC, seconds
  ArchitectureRecord architecture;
  ExtractionRecord extraction;
  std::optional<TrainingRecord> training;  // nullopt: nobody trained it, or nobody knows (imported)
  std::vector<Evaluation> evaluations;     // figures that were measured; may be empty
  std::optional<TokenizerRecord> tokenizer;  // nullopt: the donor had none that organ reads
  std::vector<FileEntry> files;              // sorted by path
  // An object: the optional fields that Manifest has no place for: `imported`,
  // `held_out_overlap`.
  JsonText extensions;
  // An organ of before: its reals are C99 hex float strings, and stay so, since the text is signed.
  bool hex_reals = false;

  // Throws corrupt (any malformation, text that is not canonical, signature that does not match
  // architecture.layer, tensors that contradict it, …) or unsupported_version naming the version
  // needed.
  static Manifest parse(std::string_view text, std::string_view subject);
  // Canonical bytes; parse(to_text()) is the identity for every manifest that parse accepts. Throws
  // internal when a tensor has no digest and checks nothing else: whoever made or changed a
  // manifest parses the text before it is written.
  std::string to_text() const;
  // The entry of exactly this name, part of `files`; nullptr when there is none.
  const FileEntry* find_file(std::string_view path) const;
  std::uint64_t layer_count() const { return extraction.layer_count; }
  // The stack of the donor its layers belong to (encoder, decoder); "" when models of the family
  // have one.
  std::string stack() const;
  // "layer.07.safetensors": two digits, three from layer 100 on. `index` counts the organ's layers
  // from 0, wherever they were in the donor.
  static std::string layer_file_name(std::uint64_t index);
};

// Throws invalid_argument for what organ.json may not say for people: name, version, description,
// licences, donor, names of the data. What else is in the manifest is not looked at.
void check_texts(const Manifest& manifest);

std::int64_t clock_seconds();                    // now, since 1970
std::string time_text(std::int64_t since_1970);  // RFC 3339 UTC
// Now as RFC 3339 UTC: when something happened (published, installed).
std::string clock_time();

// The same, or SOURCE_DATE_EPOCH (reproducible-builds.org: seconds since 1970) when that is set and
// not empty: what is written into files that are made. Throws invalid_argument when it holds
// anything but 1 to 11 digits.
std::string creation_time();

}  // namespace organ::format

#pragma GCC visibility pop
