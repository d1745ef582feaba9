// SPDX-License-Identifier: Apache-2.0
#include "transplant/internal/verified_file.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "format/base/fail.h"
#include "format/base/file.h"

namespace organ::transplant {

VerifiedFile::VerifiedFile(const format::OrganSource& organ, const format::FileEntry& entry)
    : organ_(organ), entry_(entry), subject_(organ.describe() + "/" + entry.path) {
  for (const format::TensorInfo& tensor : entry.tensors) {
    edges_.push_back(entry.data_start + tensor.offset);
    edges_.push_back(entry.data_start + tensor.offset + tensor.size);
  }
  std::sort(edges_.begin(), edges_.end());
}

bool VerifiedFile::holds(std::uint64_t offset) const {
  return offset >= start_ && offset - start_ < bytes_.size();
}

void VerifiedFile::release() {
  bytes_ = {};  // an organ has many files
  unread_ = 0;
}

void VerifiedFile::load(std::uint64_t start, std::uint64_t end, const Digest& expected) {
  release();
  std::vector<std::byte> bytes(static_cast<std::size_t>(end - start));
  read_at(organ_.open(entry_).get(), start, bytes, subject_);
  const Digest found = sha256(bytes);
  if (found != expected) {
    fail(ErrorCode::corrupt, "{}: bytes {}..{} have digest {}, expected {}", quote(subject_), start,
         end - 1, found.to_string(), expected.to_string());
  }
  bytes_ = std::move(bytes);
  start_ = start;
  unread_ = tensor_bytes(start, end);
}

// Tensors do not overlap: every second edge ends what the one before began.
std::uint64_t VerifiedFile::tensor_bytes(std::uint64_t start, std::uint64_t end) const {
  std::uint64_t bytes = 0;
  const auto after = std::upper_bound(edges_.begin(), edges_.end(), start) - edges_.begin();
  for (auto i = static_cast<std::size_t>(after) & ~std::size_t{1};
       i + 1 < edges_.size() && edges_[i] < end; i += 2) {
    const std::uint64_t from = std::max(edges_[i], start), to = std::min(edges_[i + 1], end);
    if (from < to) bytes += to - from;
  }
  return bytes;
}

void VerifiedFile::keep_parts() {
  const std::uint64_t end = start_ + bytes_.size();
  auto edge = std::upper_bound(edges_.begin(), edges_.end(), start_);
  for (std::uint64_t at = start_; at < end;) {
    while (edge != edges_.end() && *edge <= at) ++edge;
    const std::uint64_t next = edge == edges_.end() ? end : std::min(*edge, end);
    const auto part = std::span(bytes_).subspan(static_cast<std::size_t>(at - start_),
                                                static_cast<std::size_t>(next - at));
    parts_.insert_or_assign(at, Part{next, sha256(part)});
    at = next;
  }
}

void VerifiedFile::hold(std::uint64_t offset) {
  if (unread_ > 0) keep_parts();
  const auto after = parts_.upper_bound(offset);
  if (after != parts_.begin()) {
    const auto& [start, part] = *std::prev(after);
    if (offset < part.end) return load(start, part.end, part.digest);
  }
  const std::uint64_t chunk = offset / kChunkSize, start = chunk * kChunkSize;
  load(start, std::min(start + kChunkSize, entry_.size),
       entry_.chunks.at(static_cast<std::size_t>(chunk)));
}

void VerifiedFile::read(std::uint64_t offset, std::span<std::byte> out) {
  check(offset <= entry_.size && out.size() <= entry_.size - offset, "read beyond an organ's file");
  while (!out.empty()) {
    if (!holds(offset)) hold(offset);
    const auto within = static_cast<std::size_t>(offset - start_);
    const std::size_t length = std::min(out.size(), bytes_.size() - within);
    std::memcpy(out.data(), bytes_.data() + within, length);
    out = out.subspan(length);
    offset += length;
    unread_ -= std::min<std::uint64_t>(unread_, length);
    if (unread_ == 0) release();
  }
}

}  // namespace organ::transplant
