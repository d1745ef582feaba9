// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/shard_edit.h"

#include <algorithm>
#include <cstddef>
#include <future>
#include <span>
#include <string_view>

#include "format/base/fail.h"
#include "format/base/file.h"

namespace organ::format {
namespace {

constexpr std::uint64_t kPiece = kChunkSize;  // what an organ's files are checked by
constexpr std::uint64_t kWidestElement = 64;  // a multiple of the width of all that is converted

// The new bytes of a shard, in the order in which they stand there.
class Overlay {
 public:
  Overlay(const SafetensorsFile& shard, const std::vector<TensorSource>& replacements) {
    for (const TensorSource& source : replacements) {
      if (source.info.size == 0) continue;
      const TensorInfo& stored = shard.tensor(source.info.name);
      parts_.push_back({shard.header().data_start + stored.offset, &stored, &source});
    }
    std::ranges::sort(parts_, {}, &Part::start);
  }

  // Where a piece of [begin, end) ends so that no element of a new tensor is cut.
  std::uint64_t end_of_piece(std::uint64_t begin, std::uint64_t end) const {
    for (std::size_t i = next_; i < parts_.size() && parts_[i].start < end; ++i) {
      const std::uint64_t inside = end - parts_[i].start;
      if (inside < parts_[i].source->info.size) end -= inside % kWidestElement;
    }
    check(end > begin, "a piece of a shard is empty");
    return end;
  }

  // Puts them into `piece`, which stands at `begin`; pieces come in order. False when none is
  // there.
  bool apply(std::uint64_t begin, std::span<std::byte> piece, const OldBytes& replaced) {
    const std::uint64_t end = begin + piece.size();
    bool changed = false;
    while (next_ < parts_.size() && parts_[next_].start < end) {
      const auto& [start, stored, source] = parts_[next_];
      const std::uint64_t from = std::max(start, begin);
      const std::uint64_t to = std::min(start + source->info.size, end);
      const auto bytes = piece.subspan(from - begin, to - from);
      if (replaced) replaced(*stored, from - start, bytes);
      source->read(from - start, bytes);
      changed = true;
      if (to == end) break;  // it may go on in the next piece
      ++next_;
    }
    return changed;
  }

 private:
  struct Part {
    std::uint64_t start;  // in the file
    const TensorInfo* stored;
    const TensorSource* source;
  };

  std::vector<Part> parts_;
  std::size_t next_ = 0;
};

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

ShardEdit copy_shard_with(const SafetensorsFile& shard, int to, std::string_view to_subject,
                          const std::vector<TensorSource>& replacements, const Work& work,
                          const OldBytes& replaced) {
  for (const TensorSource& source : replacements) {
    require_same_form(shard.tensor(source.info.name), source.info, shard.subject());
  }
  const std::uint64_t size = shard.header().file_size;
  if (const std::uint64_t now = file_size(shard.fd(), shard.subject()); now != size) {
    fail(ErrorCode::conflict, "{}: has {} bytes, had {}", quote(shard.subject()), now, size);
  }
  const bool cloned = clone_contents(shard.fd(), to);
  // Async falls back to deferred where the system has no thread.
  const std::launch beside =
      work.threads() > 1 ? std::launch::async | std::launch::deferred : std::launch::deferred;
  Overlay overlay(shard, replacements);
  Sha256Hasher before, after;
  std::vector<std::byte> old_bytes(static_cast<std::size_t>(std::min(kPiece, size)));
  std::vector<std::byte> new_bytes(old_bytes.size());
  for (std::uint64_t at = 0, end = 0; at < size; at = end) {
    end = overlay.end_of_piece(at, std::min(at + kPiece, size));
    const auto length = static_cast<std::size_t>(end - at);
    const auto old_piece = std::span(old_bytes).first(length);
    const auto new_piece = std::span(new_bytes).first(length);
    read_at(shard.fd(), at, old_piece, shard.subject());
    auto hashed = std::async(beside, [&] { before.update(old_piece); });
    std::ranges::copy(old_piece, new_piece.begin());
    const bool changed = overlay.apply(at, new_piece, replaced);
    if (changed || !cloned) write_at(to, at, new_piece, to_subject);
    after.update(new_piece);
    hashed.get();
    work.advance(length);
  }
  return {size, before.finish(), after.finish()};
}

std::uint64_t edit_size(const SafetensorsFile& shard) { return shard.header().file_size; }

}  // namespace organ::format
