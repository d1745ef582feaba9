// SPDX-License-Identifier: Apache-2.0
#include "registry/care/internal/log_repair.h"

#include <algorithm>
#include <optional>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "registry/care/quarantine.h"
#include "registry/log/merkle.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLogLimit = std::uint64_t{1} << 30;  // bytes that are held in memory
constexpr std::size_t kHashWidth = 2 * Digest::kSize;

// The lines of a copy's first `most` entries, as far as its own log proves them.
std::string lines_of(const fs::path& registry, std::uint64_t most, const Work& work) {
  std::string lines;
  try {
    Log(RegistryPaths{registry}.organ())
        .scan({}, [&](const LogPlace& place, const LogEntry& entry) {
          work.require_wanted();
          if (place.index >= most) return;
          const std::string text = entry.to_text();
          lines += fmt::format("{} {}\n", merkle_leaf(text).hex(), text);
        });
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    // It is damaged too, or no registry: what stood before may serve.
  }
  return lines;
}

// Whether the first lines of a text are the tree that the checkpoint signs.
bool leads_to(const std::string& text, const Checkpoint& checkpoint) {
  MerkleTree tree;
  for (std::size_t at = 0; tree.size() < checkpoint.size;) {
    const std::size_t end = text.find('\n', at);
    if (end == text.npos || end < at + kHashWidth + 1) return false;
    const std::string_view json =
        std::string_view(text).substr(at, end - at).substr(kHashWidth + 1);
    const Digest leaf = merkle_leaf(json);
    if (!std::string_view(text).substr(at).starts_with(leaf.hex() += ' ')) return false;
    tree.append(leaf);
    at = end + 1;
  }
  return tree.root() == checkpoint.root;
}

}  // namespace

std::string repair_log(const RegistryPaths& paths, const Log& log,
                       const std::vector<std::string>& sources, bool dry_run, const Work& work) {
  std::optional<FileLock> lock;
  if (!dry_run) {
    lock.emplace(paths.write_lock(), FileLock::Kind::exclusive, kLockSeconds, work);
  }
  const fs::path path = paths.organ() / "log";
  const Checkpoint checkpoint = log.checkpoint();
  const std::string own =
      is_file(path) ? read_file(path, kLogLimit, Symlinks::refuse) : std::string();
  for (const std::string& source : sources) {
    std::string text = lines_of(source, checkpoint.size, work);
    if (text.size() < own.size()) text += own.substr(text.size());
    if (text == own || !leads_to(text, checkpoint)) continue;
    if (!dry_run) {
      Quarantine(paths).keep_log();
      write_file(path, text);
    }
    return source;
  }
  return {};
}

}  // namespace organ::registry
