// SPDX-License-Identifier: Apache-2.0
#include "registry/log/tree_file.h"

#include <fcntl.h>

#include <bit>
#include <span>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "registry/log/merkle.h"

namespace organ::registry {
namespace {

// How many hashes are final with `entries` entries: one for each entry and inner node of its
// perfect subtrees.
std::uint64_t final_count(std::uint64_t entries) {
  return 2 * entries - static_cast<std::uint64_t>(std::popcount(entries));
}

std::span<const std::byte> bytes_of(const std::vector<Digest>& hashes,
                                    std::vector<std::byte>& out) {
  out.clear();
  for (const Digest& hash : hashes) {
    const auto bytes = std::as_bytes(std::span(hash.bytes()));
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

// Computes roots of ranges of entries; one leaf is given, the rest is read.
class Prover {
 public:
  Prover(int fd, std::uint64_t index, const Digest& leaf) : fd_(fd), index_(index), leaf_(leaf) {}

  Digest root(std::uint64_t first, std::uint64_t end) const {
    const std::uint64_t count = end - first;
    const bool given = index_ >= first && index_ < end;
    if (given && count == 1) return leaf_;
    if (!given && std::has_single_bit(count)) return stored(first, count);
    const std::uint64_t left = std::bit_floor(count - 1);
    return merkle_node(root(first, first + left), root(first + left, end));
  }

 private:
  // RFC 6962 splits at powers of two, so a perfect subtree begins at a multiple of its size.
  Digest stored(std::uint64_t first, std::uint64_t count) const {
    const auto level = static_cast<std::uint64_t>(std::countr_zero(count));
    const std::uint64_t at = final_count(first + count - 1) + level;
    std::array<std::uint8_t, Digest::kSize> bytes{};
    read_at(fd_, at * Digest::kSize, std::as_writable_bytes(std::span(bytes)), "log.tree");
    return Digest(bytes);
  }

  int fd_;
  std::uint64_t index_;
  Digest leaf_;
};

}  // namespace

std::optional<Digest> TreeFile::root_with(std::uint64_t index, const Digest& leaf,
                                          std::uint64_t size) const {
  try {
    const UniqueFd fd = open_regular(path_, Symlinks::refuse);
    return Prover(fd.get(), index, leaf).root(0, size);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::not_found) throw;
    return std::nullopt;
  }
}

bool TreeFile::append(std::uint64_t index, const std::vector<Digest>& final_hashes) const {
  const UniqueFd fd(::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  const std::uint64_t offset = final_count(index) * Digest::kSize;
  if (!fd || file_size(fd.get(), path_.string()) < offset) return false;
  std::vector<std::byte> bytes;
  write_at(fd.get(), offset, bytes_of(final_hashes, bytes), path_.string());
  return true;
}

void TreeFile::replace(const std::vector<Digest>& hashes) const {
  AtomicFile file(path_);
  std::vector<std::byte> bytes;
  file.write(bytes_of(hashes, bytes));
  file.commit();
}

}  // namespace organ::registry
