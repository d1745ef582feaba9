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
inline constexpr std::uint64_t kManifestLimit = std::uint64_t{16} << 20;
inline constexpr std::uint64_t kSignatureLimit = std::uint64_t{32} << 20;
inline constexpr std::uint64_t kSchemaVersion = 1;

enum class FileRole { layer, shared, head, bridge, card };
inline constexpr std::string_view kSharedFile = "shared.safetensors";
std::string_view to_string(FileRole role);
std::optional<FileRole> parse_file_role(std::string_view text);
inline bool holds_weights(FileRole role) { return role != FileRole::card; }

// One file beside organ.json. `chunks` has one digest per 4 MiB (kChunkSize) piece. Tensors are in
// file order with the offsets of the safetensors file; empty for a card. Their digests name the
// damaged tensor inside a damaged piece; offsets and sizes are not stored, they follow from order,
// dtype and shape.
struct FileEntry {
  std::string path;  // layer.00.safetensors: a safe file name, never a path
  FileRole role = FileRole::layer;
  std::uint64_t size = 0;
  Digest digest;
  std::vector<Digest> chunks;
  std::uint64_t data_start = 0;  // 8 + header length; 0 for a card
  std::vector<TensorInfo> tensors;
  std::vector<Digest> tensor_digests;  // SHA-256 of each tensor's bytes, same order as tensors
};

struct ExtractionRecord {
  std::string donor_id;  // free text: folder or hub name
  std::optional<std::string> donor_revision;
  Digest config_digest;
  std::vector<Digest> layer_digests;  // of the untouched donor layers, layer_count of them
  std::uint64_t first_layer = 0;
  std::uint64_t layer_count = 0;
  std::uint64_t donor_layer_count = 0;
};

// How far one tensor moved in training: r = rms(change) / rms(weight before).
struct TensorChange {
  std::string tensor;  // layer.00/mlp.up_proj.weight
  double relative_rms = 0;
  double unchanged_fraction = 0;  // share of elements with equal stored bits
};

struct TrainingRecord {
  std::string mode;  // in_situ | wrapper
  std::vector<std::string> trained_tensors;
  std::string head;          // frozen | trained | tied
  JsonText hyperparameters;  // an object
  std::uint64_t seed = 0;
  struct Data {
    std::string name;
    Digest digest;
    std::uint64_t tokens = 0;
    std::optional<std::string> license;
  };
  std::vector<Data> data;
  std::map<std::string, std::string> software;  // versions by name
  std::uint64_t wall_milliseconds = 0;
  std::vector<TensorChange> changes;
};

struct TokenizerRecord {
  Digest digest;
  std::vector<std::pair<std::string, std::uint64_t>> special_ids;  // bos, eos, unk, pad; sorted
};

struct ArchitectureRecord {
  std::string model_type;
  JsonText layer;  // Architecture::layer_fields
  Digest signature;
};

// The validated value of one organ.json. Unknown optional fields (top level) are kept byte for
// byte in `extensions`; a top-level key that starts with "critical_" or any unknown key inside the
// known objects is refused.
struct Manifest {
  std::string name;
  std::string version;
  std::string description;
  std::optional<std::string> license;
  std::string created;  // RFC 3339 UTC, seconds
  ArchitectureRecord architecture;
  ExtractionRecord extraction;
  std::optional<TrainingRecord> training;
  std::vector<Evaluation> evaluations;
  std::optional<TokenizerRecord> tokenizer;
  std::vector<FileEntry> files;  // sorted by path
  JsonText extensions;           // an object
  // An organ of before: its reals are C99 hex float strings, and stay so, since the text is signed.
  bool hex_reals = false;

  // Throws corrupt (any malformation, text that is not canonical, signature that does not match
  // architecture.layer, tensors that contradict it, …) or unsupported_version naming the version
  // needed.
  static Manifest parse(std::string_view text, std::string_view subject);
  // Canonical bytes; parse(to_text()) is the identity for every manifest that parse accepts.
  std::string to_text() const;
  const FileEntry* find_file(std::string_view path) const;
  std::uint64_t layer_count() const { return extraction.layer_count; }
  // The stack of the donor its layers belong to; "" when models of the family have one.
  std::string stack() const;
  // "layer.07.safetensors": two digits, three from layer 100 on.
  static std::string layer_file_name(std::uint64_t index);
};

// Throws invalid_argument for what organ.json may not say for people: name, version, description,
// licences, donor, names of the data. What else is in the manifest is not looked at.
void check_texts(const Manifest& manifest);

std::int64_t clock_seconds();                    // now, since 1970
std::string time_text(std::int64_t since_1970);  // RFC 3339 UTC
// Now as RFC 3339 UTC: when something happened (published, installed).
std::string clock_time();

// The same, or SOURCE_DATE_EPOCH when that is set: what is written into files that are made.
std::string creation_time();

}  // namespace organ::format

#pragma GCC visibility pop
