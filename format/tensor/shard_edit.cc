// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/shard_edit.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/try_thread.h"

namespace organ::format {
namespace {

constexpr std::uint64_t kPiece = kChunkSize;  // what an organ's files are checked by
constexpr std::uint64_t kWidestElement = 64;  // a multiple of the width of all that is converted

struct Range {
  std::size_t offset, size;
};

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

  // Puts them into `piece`, which stands at `begin`; pieces come in order. Returns where it
  // changed.
  std::vector<Range> apply(std::uint64_t begin, std::span<std::byte> piece,
                           const OldBytes& replaced) {
    const std::uint64_t end = begin + piece.size();
    std::vector<Range> changed;
    while (next_ < parts_.size() && parts_[next_].start < end) {
      const auto& [start, stored, source] = parts_[next_];
      const std::uint64_t from = std::max(start, begin);
      const std::uint64_t to = std::min(start + source->info.size, end);
      const auto bytes = piece.subspan(from - begin, to - from);
      if (replaced) replaced(*stored, from - start, bytes);
      source->read(from - start, bytes);
      changed.push_back({from - begin, to - from});
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

void require_fitting(const SafetensorsFile& shard, const std::vector<TensorSource>& replacements) {
  for (const TensorSource& source : replacements) {
    require_same_form(shard.tensor(source.info.name), source.info, shard.subject());
  }
  const std::uint64_t size = shard.header().file_size;
  if (const std::uint64_t now = file_size(shard.fd(), shard.subject()); now != size) {
    fail(ErrorCode::conflict, "{}: has {}, had {}", quote(shard.subject()), counted(now, "byte"),
         size);
  }
}

struct Digests {
  Sha256Hasher before, after;
};

// `digests`: null when nobody wants any.
void copy_pieces(const SafetensorsFile& shard, int to, std::string_view to_subject, Overlay overlay,
                 const Work& work, const OldBytes& replaced, Digests* digests) {
  const std::uint64_t size = shard.header().file_size;
  const bool cloned = clone_contents(shard.fd(), to);
  std::vector<std::byte> new_bytes(static_cast<std::size_t>(std::min(kPiece, size)));
  std::vector<std::byte> old_bytes(digests != nullptr ? new_bytes.size() : 0);
  HashBeside beside(digests != nullptr ? work.threads() : 1);
  for (std::uint64_t at = 0, end = 0; at < size; at = end) {
    end = overlay.end_of_piece(at, std::min(at + kPiece, size));
    const auto length = static_cast<std::size_t>(end - at);
    const auto new_piece = std::span(new_bytes).first(length);
    if (digests != nullptr || !cloned) read_at(shard.fd(), at, new_piece, shard.subject());
    if (digests != nullptr) {
      std::ranges::copy(new_piece, old_bytes.begin());
      beside.update(digests->before, std::span(old_bytes).first(length));
    }
    std::vector<Range> changed = overlay.apply(at, new_piece, replaced);
    if (!cloned) changed = {{0, length}};
    for (const auto& [offset, bytes] : changed) {
      write_at(to, at + offset, new_piece.subspan(offset, bytes), to_subject);
    }
    if (digests != nullptr) {
      digests->after.update(new_piece);
      beside.wait();
    }
    work.advance(length);
  }
}

}  // namespace

ShardEdit copy_shard_with(const SafetensorsFile& shard, int to, std::string_view to_subject,
                          const std::vector<TensorSource>& replacements, const Work& work,
                          const OldBytes& replaced) {
  require_fitting(shard, replacements);
  Digests digests;
  copy_pieces(shard, to, to_subject, Overlay(shard, replacements), work, replaced, &digests);
  return {edit_size(shard), digests.before.finish(), digests.after.finish()};
}

void write_shard_with(const SafetensorsFile& shard, int to, std::string_view to_subject,
                      const std::vector<TensorSource>& replacements, const Work& work) {
  require_fitting(shard, replacements);
  if (replacements.empty()) {
    copy_contents(shard.fd(), to, to_subject, work);
  } else {
    copy_pieces(shard, to, to_subject, Overlay(shard, replacements), work, {}, nullptr);
  }
}

std::uint64_t edit_size(const SafetensorsFile& shard) { return shard.header().file_size; }

std::uint64_t written_size(const SafetensorsFile& shard,
                           const std::vector<TensorSource>& replacements, bool shares) {
  if (!shares) return edit_size(shard);
  constexpr std::uint64_t kBlock = 4096;  // is shared or written as a whole, at both ends
  std::uint64_t bytes = 0;
  for (const TensorSource& source : replacements) bytes += source.info.size + 2 * kBlock;
  return std::min(bytes, edit_size(shard));
}

}  // namespace organ::format
