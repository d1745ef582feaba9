// SPDX-License-Identifier: Apache-2.0
#include "format/organ/internal/finite_scan.h"

#include <algorithm>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/organ/finite_check.h"
#include "format/tensor/finite.h"

namespace organ::format {
namespace internal {
namespace {

constexpr std::uint64_t kNone = UINT64_MAX;

void keep_first(std::atomic<std::uint64_t>& place, std::uint64_t element) {
  std::uint64_t now = place.load(std::memory_order_relaxed);
  while (element < now && !place.compare_exchange_weak(now, element)) {
  }
}

std::uint64_t width_of(const TensorInfo& tensor) { return bit_width(tensor.dtype) / 8; }

// Pieces of a file are cut between elements.
bool is_aligned(const FileEntry& file, const TensorInfo& tensor) {
  return (file.data_start + tensor.offset) % width_of(tensor) == 0;
}

}  // namespace

FiniteScan::File& FiniteScan::add_file(const FileEntry& file, int fd) {
  const std::size_t tensors = file.tensors.size();
  File added{&file, fd, std::make_unique<std::atomic<std::uint64_t>[]>(tensors)};
  for (std::size_t i = 0; i < tensors; ++i) added.first[i] = kNone;
  return files_.emplace_back(std::move(added));
}

void FiniteScan::add_pieces(const FileEntry& file, int fd) {
  add_file(file, fd);
  for (std::uint64_t at = 0; at < file.size; at += kChunkSize) {
    ranges_.push_back({files_.size() - 1, at});
  }
}

void FiniteScan::add_whole(const FileEntry& file, int fd) {
  add_file(file, fd);
  ranges_.push_back({files_.size() - 1, 0});
}

void FiniteScan::add_tensors(const FileEntry& file, int fd) {
  add_file(file, fd);
  for (const TensorInfo& tensor : file.tensors) {
    ranges_.push_back({files_.size() - 1, file.data_start + tensor.offset});
  }
}

BytesSeen FiniteScan::seen() {
  return [this](std::size_t range, std::uint64_t offset, std::span<const std::byte> bytes) {
    look(files_[ranges_[range].file], ranges_[range].begin + offset, bytes);
  };
}

// `bytes` stand at `begin` of the file.
void FiniteScan::look(File& file, std::uint64_t begin, std::span<const std::byte> bytes) {
  const FileEntry& entry = *file.entry;
  const std::uint64_t end = begin + bytes.size();
  const auto ends_before = [&](const TensorInfo& tensor) {
    return entry.data_start + tensor.offset + tensor.size <= begin;
  };
  const auto first = std::ranges::partition_point(entry.tensors, ends_before);
  for (auto tensor = first; tensor != entry.tensors.end(); ++tensor) {
    const std::uint64_t start = entry.data_start + tensor->offset;
    if (start >= end) break;
    if (!may_be_not_finite(tensor->dtype) || !is_aligned(entry, *tensor)) continue;
    const std::uint64_t from = std::max(start, begin);
    const std::uint64_t to = std::min(start + tensor->size, end);
    if (from >= to) continue;
    const auto found = first_not_finite(tensor->dtype, bytes.subspan(from - begin, to - from));
    if (!found) continue;
    keep_first(file.first[static_cast<std::size_t>(tensor - entry.tensors.begin())],
               (from - start) / width_of(*tensor) + *found);
  }
}

// A tensor whose elements lie across the ends of pieces.
void FiniteScan::look_apart(File& file, std::size_t index) {
  const TensorInfo& tensor = file.entry->tensors[index];
  std::vector<std::byte> buffer(std::size_t{64} << 10);
  for (std::uint64_t done = 0; done < tensor.size; done += buffer.size()) {
    const auto piece =
        std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), tensor.size - done));
    read_at(file.fd, file.entry->data_start + tensor.offset + done, piece, file.entry->path);
    if (const auto found = first_not_finite(tensor.dtype, piece)) {
      file.first[index] = done / width_of(tensor) + *found;
      return;
    }
  }
}

void FiniteScan::finish(std::vector<Finding>& found) {
  for (File& file : files_) {
    for (std::size_t i = 0; i < file.entry->tensors.size(); ++i) {
      const TensorInfo& tensor = file.entry->tensors[i];
      if (may_be_not_finite(tensor.dtype) && !is_aligned(*file.entry, tensor)) {
        look_apart(file, i);
      }
      if (file.first[i] == kNone) continue;
      found.push_back({ErrorCode::corrupt,
                       fmt::format("{}: tensor {}", file.entry->path, quote(tensor.name)),
                       describe_not_finite(tensor.shape, file.first[i])});
    }
  }
}

}  // namespace internal

void require_finite(const FiniteCheck& check, std::string_view subject) {
  if (!check.required || check.found.empty()) return;
  const Finding& first = check.found.front();
  throw Error(
      first.code,
      fmt::format("{}: {}: {}{}", quote(subject), first.subject, first.message,
                  check.found.size() > 1
                      ? fmt::format(" (and {})", counted(check.found.size() - 1, "more tensor"))
                      : ""),
      "without --require-finite it is a warning");
}

}  // namespace organ::format
