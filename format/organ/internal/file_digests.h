// SPDX-License-Identifier: Apache-2.0
// What the bytes of one file of an organ must agree with beside its pieces.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "format/base/digest.h"
#include "format/base/finding.h"
#include "format/manifest/manifest.h"

namespace organ::format::internal {

// A finding of ErrorCode::corrupt.
Finding damage(std::string subject, std::string message);
// "layer.00.safetensors: tensor 'mlp.up_proj.weight'".
std::string tensor_subject(const FileEntry& file, const TensorInfo& tensor);

// The digests of a file's tensors, computed while its bytes pass once. Borrows the entry.
class PassingTensors {
 public:
  explicit PassingTensors(const FileEntry& entry) : entry_(&entry) {}
  void see(std::span<const std::byte> bytes);  // the next ones
  // After the last byte, once: in the order of FileEntry::tensors.
  std::vector<Digest> finish();

 private:
  const FileEntry* entry_;
  std::uint64_t at_ = 0;
  Sha256Hasher tensor_;
  std::vector<Digest> digests_;
};

// Appends a finding when the file's own header says other than the manifest. Throws what reading
// and parsing a header throws.
void check_header(const FileEntry& entry, int fd, std::vector<Finding>& findings);

// Appends findings of the digests that piecewise verification has no need of; every piece is right.
// `tensors` has one digest for each of the entry's, in their order.
void check_whole(const FileEntry& entry, const Digest& flat, const std::vector<Digest>& tensors,
                 std::vector<Finding>& findings);

}  // namespace organ::format::internal
