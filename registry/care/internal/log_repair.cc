// SPDX-License-Identifier: Apache-2.0
#include "registry/care/internal/log_repair.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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

// The leaf of a whole line at the front of a text, which is taken off; nothing: no such line.
std::optional<Digest> take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == text.npos || end < Digest::kHexSize + 1) return std::nullopt;
  const Digest leaf = merkle_leaf(text.substr(Digest::kHexSize + 1, end - Digest::kHexSize - 1));
  if (!text.starts_with(leaf.hex() += ' ')) return std::nullopt;
  text.remove_prefix(end + 1);
  return leaf;
}

// The first lines of a text when they are the tree that the checkpoint signs, with at most one
// behind them: what a writer left, which the next one completes.
std::optional<std::string> leading_to(const Checkpoint& checkpoint, const std::string& text) {
  MerkleTree tree;
  std::string_view rest = text;
  while (tree.size() < checkpoint.size) {
    const auto leaf = take_line(rest);
    if (!leaf) return std::nullopt;
    tree.append(*leaf);
  }
  if (tree.root() != checkpoint.root) return std::nullopt;
  (void)take_line(rest);
  return text.substr(0, text.size() - rest.size());
}

// Where the damaged log may go on behind the lines of a copy: behind the last of them, wherever
// that stands now, or at the same byte, when only bytes were changed.
std::vector<std::size_t> joints(const std::string& lines, const std::string& own) {
  std::vector<std::size_t> places;
  const std::size_t before = lines.size() < 2 ? lines.npos : lines.rfind('\n', lines.size() - 2);
  const std::string last = lines.substr(before == lines.npos ? 0 : before + 1);
  const std::size_t found = last.empty() ? own.npos : own.rfind(last);
  if (found != own.npos && (found == 0 || own[found - 1] == '\n')) {
    places.push_back(found + last.size());
  }
  if (lines.size() <= own.size()) places.push_back(lines.size());
  places.push_back(own.size());
  return places;
}

std::optional<std::string> joined(const std::string& lines, const std::string& own,
                                  const Checkpoint& checkpoint) {
  for (const std::size_t place : joints(lines, own)) {
    auto whole = leading_to(checkpoint, lines + own.substr(place));
    if (whole) return whole;
  }
  return std::nullopt;
}

// In its place, with its owner and mode.
void replace_log(const fs::path& path, const std::string& text) {
  struct stat status {};
  const bool known = ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
  AtomicFile file(path);
  file.write(text);
  if (known && ::fchown(file.fd(), status.st_uid, status.st_gid) != 0 && errno != EPERM) {
    fail_errno(path.string(), "set the owner");
  }
  file.commit(AtomicFile::Mode::replace, known ? status.st_mode & 0777 : 0666, Rights::folder);
  // Whatever the umask says.
  if (known && ::chmod(path.c_str(), status.st_mode & 0777) != 0) {
    fail_errno(path.string(), "set the mode");
  }
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
    const auto text = joined(lines_of(source, checkpoint.size, work), own, checkpoint);
    if (!text || *text == own) continue;
    if (!dry_run) {
      Quarantine(paths).keep_log();
      replace_log(path, *text);
    }
    return source;
  }
  return {};
}

}  // namespace organ::registry
