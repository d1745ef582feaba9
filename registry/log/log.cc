// SPDX-License-Identifier: Apache-2.0
#include "registry/log/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "registry/log/internal/line_reader.h"
#include "registry/log/tree_file.h"

namespace organ::registry {

namespace fs = std::filesystem;

namespace {

std::string to_line(const std::string& json) { return merkle_leaf(json).hex() + " " + json + "\n"; }

// The JSON text of a line whose hash is right, else nothing.
std::optional<std::string_view> intact_text(std::string_view line) {
  if (line.size() <= Digest::kHexSize + 1 || line[Digest::kHexSize] != ' ') return std::nullopt;
  const std::string_view json = line.substr(Digest::kHexSize + 1);
  if (merkle_leaf(json).hex() != line.substr(0, Digest::kHexSize)) return std::nullopt;
  return json;
}

template <typename... Args>
[[noreturn]] void fail_log(fmt::format_string<Args...> format, Args&&... args) {
  throw LogError(ErrorCode::corrupt, fmt::format(format, std::forward<Args>(args)...));
}

void check_root(const MerkleTree& tree, const Checkpoint& checkpoint, const std::string& subject) {
  if (tree.size() != checkpoint.size || tree.root() == checkpoint.root) return;
  fail_log("{}: fork: over the first {} the root is {}, but the signed checkpoint says {}", subject,
           counted(tree.size(), "entry"), tree.root().hex(), checkpoint.root.hex());
}

// The line after a position.
struct NextLine {
  std::string text;        // with its line feed
  MerkleTree tree;         // with it
  std::uint64_t rest = 0;  // bytes behind it
};

std::optional<NextLine> next_line(LineReader& reader, const MerkleTree& before) {
  std::string_view line;
  const auto json = reader.next(line) ? intact_text(line) : std::nullopt;
  if (!json) return std::nullopt;
  NextLine next{.text = std::string(line) += '\n', .tree = before, .rest = reader.remaining()};
  next.tree.append(merkle_leaf(*json));
  return next;
}

void cut(int fd, std::uint64_t bytes, const std::string& subject) {
  if (::ftruncate(fd, static_cast<off_t>(bytes)) != 0) fail_errno(subject, "truncate");
  sync_fd(fd, subject);
}

UniqueFd open_to_write(const fs::path& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) fail_errno(path.string(), "open");
  return fd;
}

}  // namespace

std::string Log::subject() const { return quote((folder_ / "log").string()); }

LogScan Log::scan(const LogPosition& from, const Visitor& visit) const {
  const std::string subject = this->subject();
  // The checkpoint first: the file may grow meanwhile, and never loses what is covered.
  SignedCheckpoint covered = signed_checkpoint();
  LogScan scan{
      .end = from, .checkpoint = covered.tree, .note = std::move(covered.note), .beyond = 0};
  const UniqueFd fd = open_regular(folder_ / "log", Symlinks::refuse);
  if (from.bytes > file_size(fd.get(), subject) || from.entries() > scan.checkpoint.size) {
    fail_log("{}: rollback: seen before with {} in {}, the signed checkpoint covers {}", subject,
             counted(from.entries(), "entry"), counted(from.bytes, "byte"), scan.checkpoint.size);
  }
  check_root(scan.end.tree, scan.checkpoint, subject);
  LineReader reader(fd.get(), from.bytes, subject);
  std::string_view line;
  for (std::uint64_t index = from.entries(); index < scan.checkpoint.size; ++index) {
    if (reader.remaining() == 0) {
      fail_log("{}: rollback: it has {}, but the signed checkpoint covers {}", subject,
               counted(index, "entry"), scan.checkpoint.size);
    }
    const auto json = reader.next(line) ? intact_text(line) : std::nullopt;
    if (!json) {
      fail_log("{}: entry {} at byte {} is damaged", subject, index, scan.end.bytes);
    }
    const LogEntry entry = LogEntry::parse(*json, fmt::format("{}: entry {}", subject, index));
    const LogPlace place{index, scan.end.bytes};
    scan.end.tree.append(merkle_leaf(*json));
    scan.end.bytes += line.size() + 1;
    check_root(scan.end.tree, scan.checkpoint, subject);
    visit(place, entry);
  }
  scan.beyond = reader.remaining();
  if (scan.beyond > 0) check_beyond(reader, scan);
  return scan;
}

// One line may wait for its checkpoint. A second one behind it means that the first was covered
// once: by now the checkpoint is a newer one than was read at the start, or an older one was put
// back.
void Log::check_beyond(LineReader& reader, const LogScan& scan) const {
  const auto first = next_line(reader, scan.end.tree);
  if (!first || first->rest == 0) return;
  const auto second = next_line(reader, first->tree);
  if (!second || checkpoint().size > scan.checkpoint.size) return;
  fail_log(
      "{}: rollback of the checkpoint: it covers {} of {} or more entries, at most the last may "
      "be left out",
      subject(), scan.checkpoint.size, second->tree.size());
}

std::optional<LogEntry> Log::proved_entry(const LogPlace& place, const TreeHead& covered) const {
  if (place.index >= covered.size) return std::nullopt;
  const UniqueFd fd = open_regular(folder_ / "log", Symlinks::refuse);
  const std::string subject = fmt::format("{}: entry {}", this->subject(), place.index);
  if (place.offset < file_size(fd.get(), subject)) {
    LineReader reader(fd.get(), place.offset, subject);
    std::string_view line;
    const auto json = reader.next(line) ? intact_text(line) : std::nullopt;
    if (json && proves(place.index, merkle_leaf(*json), covered)) {
      return LogEntry::parse(*json, subject);
    }
  }
  std::optional<LogEntry> found;
  MerkleTree tree;
  scan({}, [&](const LogPlace& at, const LogEntry& entry) {
    if (tree.size() < covered.size) tree.append(merkle_leaf(entry.to_text()));
    if (at.index == place.index) found = entry;
  });
  if (tree.size() != covered.size || tree.root() != covered.root) {
    fail_log("{}: fork: the root over its first {} is not the known one", this->subject(),
             counted(covered.size, "entry"));
  }
  return found;
}

LogEntry Log::last_entry(const LogPosition& end) const {
  const std::string subject = fmt::format("{}: entry {}", this->subject(), end.entries() - 1);
  const UniqueFd fd = open_regular(folder_ / "log", Symlinks::refuse);
  std::string text(static_cast<std::size_t>(std::min<std::uint64_t>(end.bytes, kLineLimit)), '\0');
  read_at(fd.get(), end.bytes - text.size(), std::as_writable_bytes(std::span(text)), subject);
  if (!text.ends_with('\n')) fail_log("{}: is damaged", subject);
  text.pop_back();
  const auto json = intact_text(std::string_view(text).substr(text.rfind('\n') + 1));
  if (!json) fail_log("{}: is damaged", subject);
  return LogEntry::parse(*json, subject);
}

bool Log::read_tree(const std::function<void(const SubtreeRoots&)>& use) const {
  return TreeFile(folder_ / "log.tree").read(use);
}

bool Log::proves(std::uint64_t index, const Digest& leaf, const TreeHead& covered) const {
  std::optional<Digest> root;
  read_tree([&](const SubtreeRoots& subtrees) {
    root = root_from_inclusion(index, covered.size, leaf,
                               inclusion_proof(index, covered.size, subtrees));
  });
  return root == covered.root;
}

Log::Recovered Log::recover(const LogScan& scan, const fs::path& quarantine,
                            const std::string& log_key) const {
  if (scan.beyond == 0) return Recovered::nothing;
  const fs::path path = folder_ / "log";
  const UniqueFd fd = open_to_write(path, O_RDWR);
  LineReader reader(fd.get(), scan.end.bytes, subject());
  const auto line = next_line(reader, scan.end.tree);
  if (line ? line->rest > 0 : scan.beyond > kLineLimit) {
    fail_log("{}: entry {} at byte {} is damaged", subject(), scan.end.entries(), scan.end.bytes);
  }
  if (!line || !is_pending(line->tree, log_key)) {
    if (line) {
      create_folders(quarantine, Rights::folder);
      write_file(quarantine / ("log-" + sha256(line->text).hex()), line->text,
                 AtomicFile::Mode::replace, 0666, Rights::folder);
    }
    cut(fd.get(), scan.end.bytes, path.string());
    return line ? Recovered::set_aside : Recovered::cut_off;
  }
  // Its writer may have died of a failed fsync, after which the kernel takes the pages for clean:
  // only bytes that are written anew are synced for sure.
  write_at(fd.get(), scan.end.bytes, std::as_bytes(std::span(line->text)), path.string());
  sync_fd(fd.get(), path.string());
  write_note(signers(log_key), line->tree, NoteKind::checkpoint);
  return Recovered::taken_in;
}

bool Log::covers(const MerkleTree& tree) const {
  const Checkpoint now = checkpoint();
  return now.size == tree.size() && now.root == tree.root();
}

// After a failure behind the pending note: without its line the note means nothing.
void Log::take_back(int fd, std::uint64_t bytes, const Error& cause) const {
  try {
    cut(fd, bytes, (folder_ / "log").string());
  } catch (const Error& error) {
    throw Error(ErrorCode::io,
                fmt::format("{}; then the entry could not be taken back: {}", cause.message(),
                            error.message()),
                "organ log tells whether it is there");
  }
}

LogPosition Log::append(const LogPosition& end, const LogEntry& entry,
                        const std::string& log_key) const {
  const std::string json = entry.to_text();
  const std::string line = to_line(json);
  if (line.size() > kLineLimit) {
    fail(ErrorCode::invalid_argument, "a log entry of {} bytes, at most {} are read", line.size(),
         kLineLimit);
  }
  if (LogEntry::parse(json, "new log entry") != entry) {
    fail(ErrorCode::internal, "a log entry does not survive its text");
  }
  LogPosition after{.bytes = end.bytes + line.size(), .tree = end.tree};
  const std::vector<Digest> final_hashes = after.tree.append(merkle_leaf(json));
  const fs::path path = folder_ / "log";
  const std::vector<NoteSigner> keys = signers(log_key);
  const UniqueFd fd = open_to_write(path, O_WRONLY | O_APPEND);
  check(file_size(fd.get(), path.string()) == end.bytes, "the log grew under the write lock");
  write_note(keys, after.tree, NoteKind::pending);
  try {
    write_all(fd.get(), line, path.string());
    sync_fd(fd.get(), path.string());
    write_note(keys, after.tree, NoteKind::checkpoint);
  } catch (const Error& error) {
    // The checkpoint may have its name although its folder was not synced: the entry exists then.
    if (!covers(after.tree)) {
      take_back(fd.get(), end.bytes, error);
      throw;
    }
  }
  grow_tree_file(end.entries(), final_hashes);
  return after;
}

// Only a cache: a proof without it reads the whole log.
void Log::grow_tree_file(std::uint64_t index, const std::vector<Digest>& final_hashes) const {
  try {
    if (!TreeFile(folder_ / "log.tree").append(index, final_hashes)) make_tree_file();
  } catch (const Error&) {
    return;  // disk full, and the entry is there: the next one tries again
  }
}

void Log::make_tree_file() const {
  MerkleTree tree;
  std::vector<Digest> hashes;
  const UniqueFd fd = open_regular(folder_ / "log", Symlinks::refuse);
  LineReader reader(fd.get(), 0, subject());
  std::string_view line;
  while (reader.next(line)) {
    const auto json = intact_text(line);
    if (!json) return;  // whoever reads it says what is damaged
    const std::vector<Digest> more = tree.append(merkle_leaf(*json));
    hashes.insert(hashes.end(), more.begin(), more.end());
  }
  TreeFile(folder_ / "log.tree").replace(hashes);
}

}  // namespace organ::registry
