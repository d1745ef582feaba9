// SPDX-License-Identifier: Apache-2.0
#include "format/organ/passing_file.h"

#include <algorithm>
#include <utility>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/organ/internal/file_digests.h"
#include "format/organ/internal/finite_scan.h"
#include "format/tensor/safetensors.h"

namespace organ::format {
namespace internal {

Finding damage(std::string subject, std::string message) {
  return {ErrorCode::corrupt, std::move(subject), std::move(message)};
}

std::string tensor_subject(const FileEntry& file, const TensorInfo& tensor) {
  return fmt::format("{}: tensor {}", file.path, quote(tensor.name));
}

// Tensors tile the file behind its header.
void PassingTensors::see(std::span<const std::byte> bytes) {
  const std::uint64_t begin = at_;
  at_ += bytes.size();
  while (digests_.size() < entry_->tensors.size()) {
    const TensorInfo& tensor = entry_->tensors[digests_.size()];
    const std::uint64_t start = entry_->data_start + tensor.offset;
    const std::uint64_t from = std::max(start, begin);
    const std::uint64_t to = std::min(start + tensor.size, at_);
    if (from < to) tensor_.update(bytes.subspan(from - begin, to - from));
    if (start + tensor.size > at_) return;
    digests_.push_back(tensor_.finish());
  }
}

std::vector<Digest> PassingTensors::finish() {
  while (digests_.size() < entry_->tensors.size()) {  // empty ones at the end
    digests_.push_back(tensor_.finish());
  }
  return std::move(digests_);
}

void check_header(const FileEntry& entry, int fd, std::vector<Finding>& findings) {
  if (entry.role == FileRole::card) return;
  std::string prefix(entry.data_start, '\0');
  read_at(fd, 0, std::as_writable_bytes(std::span(prefix)), entry.path);
  const SafetensorsHeader header = parse_safetensors_header(prefix, entry.size, entry.path);
  if (header.tensors == entry.tensors) return;
  for (const TensorInfo& tensor : entry.tensors) {
    const TensorInfo* stored = header.find(tensor.name);
    if (stored != nullptr && *stored == tensor) continue;
    findings.push_back(damage(
        tensor_subject(entry, tensor),
        stored == nullptr
            ? std::string("is in organ.json but not in the file")
            : fmt::format("is {} {} at {} in organ.json but {} {} at {} in the file",
                          to_string(tensor.dtype), to_string(tensor.shape), tensor.offset,
                          to_string(stored->dtype), to_string(stored->shape), stored->offset)));
    return;
  }
  findings.push_back(damage(entry.path, "has tensors that organ.json does not list"));
}

void check_whole(const FileEntry& entry, const Digest& flat, const std::vector<Digest>& tensors,
                 std::vector<Finding>& findings) {
  if (flat != entry.digest) {
    findings.push_back(damage(
        entry.path, fmt::format("every piece is right but the file's digest is {}, expected {}",
                                flat.hex(), entry.digest.hex())));
  }
  for (std::size_t i = 0; i < entry.tensors.size(); ++i) {
    if (tensors[i] != entry.tensor_digests[i]) {
      findings.push_back(damage(tensor_subject(entry, entry.tensors[i]),
                                "every piece is right but the tensor's digest is not"));
    }
  }
}

}  // namespace internal

namespace {
constexpr std::size_t kReadSize = std::size_t{128} << 10;  // stays in the second-level cache
constexpr std::size_t kCacheSize = std::size_t{16} << 10;  // in the first-level one
}  // namespace

struct PassingFile::Impl {
  Impl(const FileEntry& file, int descriptor)
      : entry(file), fd(descriptor), tensors(file), buffer(kReadSize) {
    scan.add_whole(entry, fd);
    look = scan.seen();
  }

  void see(std::span<const std::byte> bytes) {
    flat.update(bytes);
    tensors.see(bytes);
    look(0, at, bytes);
    at += bytes.size();
  }

  const FileEntry& entry;
  int fd;
  std::uint64_t at = 0;
  Sha256Hasher flat;
  internal::PassingTensors tensors;
  internal::FiniteScan scan;
  BytesSeen look;
  std::vector<std::byte> buffer;
};

PassingFile::PassingFile(const FileEntry& entry, int fd)
    : impl_(std::make_unique<Impl>(entry, fd)) {}
PassingFile::~PassingFile() = default;

void PassingFile::read_to(std::uint64_t end) {
  while (impl_->at < end) {
    const auto part = std::span(impl_->buffer)
                          .first(std::min<std::uint64_t>(impl_->buffer.size(), end - impl_->at));
    read_at(impl_->fd, impl_->at, part, impl_->entry.path);
    for (std::size_t i = 0; i < part.size(); i += kCacheSize) {
      impl_->see(part.subspan(i, std::min(kCacheSize, part.size() - i)));
    }
  }
}

std::optional<PassedFile> PassingFile::finish() {
  check(impl_->at == impl_->entry.size, "a file is checked before its last byte");
  PassedFile passed;
  impl_->scan.finish(passed.not_finite);
  std::vector<Finding> findings;
  try {
    internal::check_header(impl_->entry, impl_->fd, findings);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::io) throw;
    return std::nullopt;
  }
  internal::check_whole(impl_->entry, impl_->flat.finish(), impl_->tensors.finish(), findings);
  if (!findings.empty()) return std::nullopt;
  return passed;
}

}  // namespace organ::format
