// SPDX-License-Identifier: Apache-2.0
// The record of one installation: what went where, from where, on whose word, and enough to undo
// it exactly (schemas/receipt.v1.schema.json, schemas/transplant.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "format/tensor/tensor.h"

#pragma GCC visibility push(default)

namespace organ::transplant {

// Bytes of a receipt at most: 130,000 files with the longest names.
inline constexpr std::uint64_t kReceiptLimit = std::uint64_t{64} << 20;
inline constexpr std::uint64_t kReceiptKeys = 2'000'000;  // keys and array elements together

// Why the origin of the organ was good enough for whoever installed it.
enum class TrustStatus {
  verified,    // the keys below signed exactly these contents, and the policy accepts them
  unverified,  // the policy or the command line let it pass; `reasons` says how
};
std::string_view to_string(TrustStatus status);  // its name as written here

// The verdict of whoever asked for the installation, who found it before. Installing writes it down
// and judges nothing.
struct TrustRecord {
  TrustStatus status = TrustStatus::unverified;
  std::vector<Digest> keys;          // ids of the keys whose signature is good
  std::vector<std::string> reasons;  // sentences: the rule that applied, what was overridden
};

// A tensor whose elements were stored in another type than the organ holds: `from` is the organ's,
// `to` that of the recipient's tensor, which keeps its type.
struct Conversion {
  std::string tensor;  // name in the recipient
  format::DType from = format::DType::F32;
  format::DType to = format::DType::F32;
};

// An attribute with more bytes is in no receipt: an undo leaves it as it then is.
inline constexpr std::size_t kLongestAttribute = std::size_t{32} << 10;

// Owner, mode, time of last change and extended attributes (user.*, POSIX ACLs) of a file. What
// gives rights to a program (set-uid, security.*) is no part of it.
struct FileMetadata {
  unsigned mode = 0;                   // 0 to 0777
  std::uint32_t owner = 0, group = 0;  // numeric ids
  std::int64_t seconds = 0;       // of the last change of its bytes, since 1970; negative before
  std::uint32_t nanoseconds = 0;  // to be added, below 10^9
  // By their names. Values are any bytes, in a receipt at most kLongestAttribute of them.
  std::map<std::string, std::string> attributes;
};

// One file of the recipient. Equal digests: it has the bytes that it had. Whether it was written
// anew tells `undo`: a shard that the organ's layers belong to is, even with equal bytes.
struct FileChange {
  std::string path;        // a safe file name in the model folder
  std::uint64_t size = 0;  // bytes, before the installation
  Digest before;           // SHA-256 of the whole file, as `after`
  Digest after;
  // Of .organ/undo/NNNN/PATH, a safetensors file with the replaced tensors' old bytes; nullopt: the
  // file was left alone.
  std::optional<Digest> undo;
  // Of the file before, where it was replaced; absent in receipts of before.
  std::optional<FileMetadata> metadata = {};
};

// What lies in .organ/receipts/NNNN.json. A plain value: it says what was done, and nothing of what
// the files are by the time it is read. Layers are counted from 0.
struct Receipt {
  std::uint64_t number = 0;  // 1, 2, …: undone from the highest down
  std::string created;       // RFC 3339 UTC
  std::string mode;          // replace
  std::string organ_name;
  std::string organ_version;
  Digest manifest_digest;         // of organ.json
  std::string source;             // the reference or folder name it was installed from
  std::uint64_t first_layer = 0;  // where the organ's layers were in the donor
  std::uint64_t layer_count = 0;
  std::uint64_t position = 0;  // first recipient layer replaced
  TrustRecord trust;
  std::vector<Conversion> conversions;  // by layer, then as tensors stand in the organ's file
  std::vector<FileChange> files;        // sorted by path; every regular file of the recipient

  // Throws corrupt, naming `subject` and the field (unknown fields, unsafe or unsorted paths and a
  // changed file without undo data included), or unsupported_version.
  static Receipt parse(std::string_view text, std::string_view subject);
  // What parse reads: indented JSON. Throws incompatible when it would be longer than
  // kReceiptLimit, invalid_argument when a text in it is longer than a receipt may hold.
  std::string to_text() const;
};

// The receipts of a model folder, oldest first; empty when no organ is installed. Throws corrupt
// when one is damaged or its number is not that of its file, or .organ holds what it may not
// (pending_change), io. Takes no lock and looks at no other file of the model.
std::vector<Receipt> read_receipts(const std::filesystem::path& model);

}  // namespace organ::transplant

#pragma GCC visibility pop
