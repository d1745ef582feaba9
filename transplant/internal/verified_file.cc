// SPDX-License-Identifier: Apache-2.0
#include "transplant/internal/verified_file.h"

#include <algorithm>
#include <cstring>

#include "format/base/digest.h"
#include "format/base/fail.h"
#include "format/base/file.h"

namespace organ::transplant {

VerifiedFile::VerifiedFile(const format::OrganSource& organ, const format::FileEntry& entry)
    : organ_(organ), entry_(entry), subject_(organ.describe() + "/" + entry.path) {}

void VerifiedFile::load(std::uint64_t chunk) {
  loaded_.reset();
  const std::uint64_t start = chunk * kChunkSize;
  bytes_.resize(static_cast<std::size_t>(std::min(kChunkSize, entry_.size - start)));
  read_at(organ_.open(entry_).get(), start, bytes_, subject_);
  const Digest found = sha256(bytes_);
  if (found != entry_.chunks.at(static_cast<std::size_t>(chunk))) {
    fail(ErrorCode::corrupt, "{}: bytes {}..{} have digest {}, expected {}", quote(subject_), start,
         start + bytes_.size() - 1, found.to_string(),
         entry_.chunks[static_cast<std::size_t>(chunk)].to_string());
  }
  loaded_ = chunk;
}

void VerifiedFile::read(std::uint64_t offset, std::span<std::byte> out) {
  check(offset <= entry_.size && out.size() <= entry_.size - offset, "read beyond an organ's file");
  while (!out.empty()) {
    const std::uint64_t chunk = offset / kChunkSize;
    if (loaded_ != chunk) load(chunk);
    const auto within = static_cast<std::size_t>(offset % kChunkSize);
    const std::size_t length = std::min(out.size(), bytes_.size() - within);
    std::memcpy(out.data(), bytes_.data() + within, length);
    out = out.subspan(length);
    offset += length;
  }
  if (offset == entry_.size) {  // an organ has many, and most are read to their end
    loaded_.reset();
    bytes_ = {};
  }
}

}  // namespace organ::transplant
