// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/shard_edit.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <span>
#include <string_view>

#include "format/base/fail.h"
#include "format/base/file.h"

namespace organ::format {
namespace {

constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;

void write_at(int fd, std::uint64_t offset, std::span<const std::byte> bytes,
              std::string_view subject) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail_errno(subject, "write");
    offset += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void write_tensor(int fd, std::uint64_t start, const TensorSource& source, std::string_view subject,
                  const Work& work) {
  std::vector<std::byte> piece(static_cast<std::size_t>(std::min(kPiece, source.info.size)));
  for (std::uint64_t at = 0; at < source.info.size; at += kPiece) {
    const auto length = static_cast<std::size_t>(std::min(kPiece, source.info.size - at));
    const std::span<std::byte> bytes = std::span(piece).first(length);
    source.read(at, bytes);
    write_at(fd, start + at, bytes, subject);
    work.advance(length);
  }
}

void require_same_form(const TensorInfo& stored, const TensorInfo& given,
                       std::string_view subject) {
  if (stored.dtype == given.dtype && stored.shape == given.shape && stored.size == given.size) {
    return;
  }
  fail(ErrorCode::invalid_argument, "{}: tensor {} is {} {}, its replacement {} {}", quote(subject),
       quote(stored.name), to_string(stored.dtype), to_string(stored.shape), to_string(given.dtype),
       to_string(given.shape));
}

}  // namespace

ShardEdit copy_shard_with(const SafetensorsFile& shard, int to,
                          const std::vector<TensorSource>& replacements, const Work& work) {
  for (const TensorSource& source : replacements) {
    require_same_form(shard.tensor(source.info.name), source.info, shard.subject());
  }
  ShardEdit edit;
  edit.size = copy_contents(shard.fd(), to, shard.subject(), work);
  if (edit.size != shard.header().file_size) {
    fail(ErrorCode::conflict, "{}: copied {} bytes of a file of {}", quote(shard.subject()),
         edit.size, shard.header().file_size);
  }
  edit.before = hash_file_flat(to, shard.subject(), work);
  for (const TensorSource& source : replacements) {
    const TensorInfo& stored = shard.tensor(source.info.name);
    write_tensor(to, shard.header().data_start + stored.offset, source, shard.subject(), work);
  }
  edit.after = hash_file_flat(to, shard.subject(), work);
  return edit;
}

std::uint64_t edit_size(const SafetensorsFile& shard,
                        const std::vector<TensorSource>& replacements) {
  return 3 * shard.header().file_size + total_size(replacements);
}

}  // namespace organ::format
