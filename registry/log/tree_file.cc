// SPDX-License-Identifier: Apache-2.0
#include "registry/log/tree_file.h"

#include <fcntl.h>

#include <array>
#include <span>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/handle.h"

namespace organ::registry {
namespace {

std::span<const std::byte> bytes_of(const std::vector<Digest>& hashes,
                                    std::vector<std::byte>& out) {
  out.clear();
  for (const Digest& hash : hashes) {
    const auto bytes = std::as_bytes(std::span(hash.bytes()));
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

}  // namespace

bool TreeFile::read(const std::function<void(const SubtreeRoots&)>& use) const {
  try {
    const UniqueFd fd = open_regular(path_, Symlinks::refuse);
    use([&fd](std::uint64_t first, std::uint64_t count) {
      std::array<std::uint8_t, Digest::kSize> bytes{};
      const std::uint64_t at = final_place(first, count) * Digest::kSize;
      read_at(fd.get(), at, std::as_writable_bytes(std::span(bytes)), "log.tree");
      return Digest(bytes);
    });
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::not_found) throw;
    return false;
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
  file.commit(AtomicFile::Mode::replace, 0666, Rights::folder);
}

}  // namespace organ::registry
