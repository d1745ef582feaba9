// SPDX-License-Identifier: Apache-2.0
// safetensors: u64 LE header length N, N bytes of JSON, data. Rules: the reference crate's
// (huggingface/safetensors 0.8), closed where it is loose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/digest.h"
#include "format/base/handle.h"
#include "format/tensor/tensor.h"

#pragma GCC visibility push(default)

namespace organ::format {

// The most that a header may hold; beyond it is corrupt, invalid_argument for the writer, which
// keeps the defaults. `name_bytes` is of one tensor, `metadata_bytes` of all keys and values
// together.
struct SafetensorsLimits {
  std::uint64_t header_bytes = std::uint64_t{16} << 20;  // hard cap 100,000,000
  std::uint64_t tensors = 65'536;
  unsigned rank = 8;
  std::uint64_t name_bytes = 512;
  std::uint64_t metadata_bytes = std::uint64_t{1} << 20;
};

// The validated header of one file. Everything (names, dtypes, shapes, tiling without hole or
// overlap up to the end of the file) is checked before it exists.
struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;              // in offset order; at one offset empty ones first
  std::map<std::string, std::string> metadata;  // __metadata__
  std::uint64_t data_start = 0;                 // 8 + N
  std::uint64_t file_size = 0;

  // nullptr when absent. O(log n).
  const TensorInfo* find(std::string_view name) const;

  std::vector<std::uint32_t> by_name;  // indices of `tensors`, sorted by name
};

// Why organ does not take `name` as a tensor name, nullopt when it does: 1 to `limit` bytes of
// printable ASCII (so no two names look alike or fold together), nothing like a path, not
// `__metadata__`.
std::optional<std::string> tensor_name_flaw(std::string_view name, std::uint64_t limit = 512);

// Parses `prefix` = the first 8 + N bytes of a file of `file_size` bytes. Throws corrupt; the
// caller has read N and cut the prefix there, another length is internal.
SafetensorsHeader parse_safetensors_header(std::string_view prefix, std::uint64_t file_size,
                                           std::string_view subject,
                                           const SafetensorsLimits& limits = {});

// An open file. Move-only; reading is thread-safe.
class SafetensorsFile {
 public:
  // Throws not_found, io, corrupt. Says so when the file is a Git LFS pointer, a ZIP or a pickle.
  static SafetensorsFile open(const std::filesystem::path& path,
                              const SafetensorsLimits& limits = {});
  // Of an open regular file, whatever its place; `subject` is what messages call it.
  static SafetensorsFile from_fd(UniqueFd fd, std::string subject,
                                 const SafetensorsLimits& limits = {});

  const SafetensorsHeader& header() const { return header_; }
  const std::string& subject() const { return subject_; }
  int fd() const { return fd_.get(); }
  const TensorInfo& tensor(std::string_view name) const;  // throws not_found

  // Copies the bytes of one tensor of this file's header; `out.size()` must equal tensor.size.
  // Throws io, and corrupt when the file was cut off since it was opened. Values are not looked at.
  void read(const TensorInfo& tensor, std::span<std::byte> out) const;
  std::vector<std::byte> read(const TensorInfo& tensor) const;

 private:
  UniqueFd fd_;
  std::string subject_;
  SafetensorsHeader header_;
};

// Where the writer takes the bytes of one tensor from.
struct TensorSource {
  TensorInfo info;  // offset is ignored
  // Gives `out.size()` bytes that start at `offset` of the tensor; called once per piece, in order.
  std::function<void(std::uint64_t offset, std::span<std::byte> out)> read;
};

std::uint64_t total_size(const std::vector<TensorSource>& sources);  // bytes of all tensors

// A source over bytes in memory (borrowed) or over a tensor of an open file (borrowed, and not
// moved while the source lives; `stored` is used in the call alone). info.size becomes that of the
// bytes.
TensorSource memory_source(TensorInfo info, std::span<const std::byte> bytes);
TensorSource file_source(TensorInfo info, const SafetensorsFile& file, const TensorInfo& stored);

// Canonical form: equal tensors and metadata give equal bytes. Compact JSON with sorted keys,
// padded with spaces so that data starts at a multiple of 4096; tensors by descending element
// width, then those whose size is a multiple of 64 first, then name. Puts `tensors` into file order
// with their offsets and returns the first 8 + N bytes. Throws invalid_argument as
// write_safetensors does.
std::string canonical_header(std::vector<TensorInfo>& tensors,
                             const std::map<std::string, std::string>& metadata);

// Writes the canonical file to `fd` and returns its digests, hashed while writing. `work` is told
// of the tensors' bytes. Throws invalid_argument for two tensors of one name, a reserved name or a
// size that disagrees; corrupt for a shape that byte_size() refuses; io, cancelled, and what
// a source throws. The sources are read on this thread, in file order. `fd` is written from where
// it stands, and neither synced nor closed.
FileDigest write_safetensors(int fd, std::vector<TensorSource> tensors,
                             const std::map<std::string, std::string>& metadata,
                             std::string_view subject, const Work& work = {});

}  // namespace organ::format

#pragma GCC visibility pop
