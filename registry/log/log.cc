// SPDX-License-Identifier: Apache-2.0
#include "registry/log/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "format/base/fail.h"
#include "format/base/file.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;

constexpr char kOriginPrefix[] = "organ-registry/";
constexpr std::uint64_t kLineLimit = 64 << 10;
constexpr std::uint64_t kReadSize = 1 << 20;
constexpr std::uint64_t kNoteLimit = 64 << 10;
constexpr std::size_t kHashWidth = 2 * Digest::kSize;

fs::path verifier_path(const fs::path& folder) { return folder / "trust" / "log.vkey"; }

NoteVerifier load_verifier(const fs::path& folder) {
  const fs::path path = verifier_path(folder);
  std::string text = read_file(path, kNoteLimit, Symlinks::refuse);
  if (text.ends_with('\n')) text.pop_back();
  return NoteVerifier::parse(text, quote(path.string()));
}

std::string to_line(const std::string& json) { return merkle_leaf(json).hex() + " " + json + "\n"; }

// Lines of the log from an offset on, with the number of bytes behind each.
class LineReader {
 public:
  LineReader(int fd, std::uint64_t offset, std::string subject)
      : fd_(fd), subject_(std::move(subject)), next_(offset), end_(file_size(fd, subject_)) {}

  std::uint64_t remaining() const { return end_ - next_ + buffer_.size() - at_; }

  // The next line without its LF; false when no whole line of permitted length follows.
  bool next(std::string_view& line) {
    std::size_t length = find();
    while (length == std::string::npos && buffer_.size() - at_ <= kLineLimit && fill()) {
      length = find();
    }
    if (length > kLineLimit) return false;  // npos too
    line = std::string_view(buffer_).substr(at_, length);
    at_ += length + 1;
    return true;
  }

 private:
  std::size_t find() const {
    const std::size_t at = buffer_.find('\n', at_);
    return at == std::string::npos ? at : at - at_;
  }

  bool fill() {
    if (next_ == end_) return false;
    buffer_.erase(0, std::exchange(at_, 0));
    const std::size_t old = buffer_.size();
    const std::uint64_t count = std::min(kReadSize, end_ - next_);
    buffer_.resize(old + count);
    read_at(fd_, next_, std::as_writable_bytes(std::span(buffer_).subspan(old)), subject_);
    next_ += count;
    return true;
  }

  int fd_;
  std::string subject_;
  std::string buffer_;
  std::size_t at_ = 0;
  std::uint64_t next_, end_;
};

// The JSON text of a line whose hash is right, else nothing.
std::optional<std::string_view> intact_text(std::string_view line) {
  if (line.size() <= kHashWidth + 1 || line[kHashWidth] != ' ') return std::nullopt;
  const std::string_view json = line.substr(kHashWidth + 1);
  if (merkle_leaf(json).hex() != line.substr(0, kHashWidth)) return std::nullopt;
  return json;
}

void check_root(const MerkleTree& tree, const Checkpoint& checkpoint, const std::string& subject) {
  if (tree.size() != checkpoint.size || tree.root() == checkpoint.root) return;
  fail(ErrorCode::corrupt,
       "{}: fork: the first {} entries have root {}, but the signed checkpoint says {}", subject,
       tree.size(), tree.root().hex(), checkpoint.root.hex());
}

// Only the last entry may lie beyond the checkpoint; only a crash cuts a line short.
void check_end(const LogScan& scan, const std::string& subject) {
  const std::uint64_t entries = scan.end.entries();
  if (entries < scan.checkpoint.size) {
    fail(ErrorCode::corrupt, "{}: rollback: it has {} entries, but the signed checkpoint covers {}",
         subject, entries, scan.checkpoint.size);
  }
  if (entries > scan.checkpoint.size + 1) {
    fail(ErrorCode::corrupt,
         "{}: rollback of the checkpoint: it covers {} of {} entries, at most the last may be "
         "left out",
         subject, scan.checkpoint.size, entries);
  }
}

}  // namespace

Log Log::create(const fs::path& folder, const std::string& time) {
  const NoteSigner signer = NoteSigner::generate();
  const std::string verifier = signer.verifier_key(kOriginPrefix);
  signer.save(folder / "log.key");
  write_file(verifier_path(folder), verifier + "\n", AtomicFile::Mode::create_new);
  write_file(folder / "log", "", AtomicFile::Mode::create_new);
  Log log(folder);
  log.sign({});
  LogEntry entry;
  entry.kind = LogKind::key;
  entry.time = time;
  entry.action = "log_key";
  entry.key = verifier;
  log.append({}, entry);
  return log;
}

Log::Log(fs::path folder) : folder_(std::move(folder)), verifier_(load_verifier(folder_)) {}

Checkpoint Log::checkpoint() const {
  const fs::path path = folder_ / "checkpoint";
  return verifier_.open(read_file(path, kNoteLimit, Symlinks::refuse), quote(path.string()));
}

LogScan Log::scan(const LogPosition& from, const Visitor& visit) const {
  const std::string subject = quote((folder_ / "log").string());
  const UniqueFd fd = open_regular(folder_ / "log", Symlinks::refuse);
  LogScan scan{.end = from, .torn_bytes = 0, .checkpoint = checkpoint()};
  if (from.bytes > file_size(fd.get(), subject) || from.entries() > scan.checkpoint.size) {
    fail(ErrorCode::corrupt,
         "{}: rollback: {} entries in {} bytes were seen before, the signed checkpoint covers {}",
         subject, from.entries(), from.bytes, scan.checkpoint.size);
  }
  check_root(scan.end.tree, scan.checkpoint, subject);
  LineReader reader(fd.get(), from.bytes, subject);
  std::string_view line;
  while (reader.remaining() > 0) {
    const std::uint64_t before = reader.remaining();
    const std::uint64_t index = scan.end.entries();
    const auto json = reader.next(line) ? intact_text(line) : std::nullopt;
    if (!json) {
      if (index >= scan.checkpoint.size && before <= kLineLimit) {
        scan.torn_bytes = before;
        break;
      }
      fail(ErrorCode::corrupt, "{}: entry {} at byte {} is damaged", subject, index,
           scan.end.bytes);
    }
    const LogEntry entry = LogEntry::parse(*json, fmt::format("{}: entry {}", subject, index));
    scan.end.tree.append(merkle_leaf(*json));
    scan.end.bytes += line.size() + 1;
    check_root(scan.end.tree, scan.checkpoint, subject);
    visit(index, entry);
  }
  check_end(scan, subject);
  return scan;
}

void Log::recover(const LogScan& scan) const {
  const fs::path path = folder_ / "log";
  if (scan.torn_bytes > 0) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) fail_errno(path.string(), "open");
    if (::ftruncate(fd.get(), static_cast<off_t>(scan.end.bytes)) != 0) {
      fail_errno(path.string(), "truncate");
    }
    sync_fd(fd.get(), path.string());
  }
  if (scan.checkpoint.size < scan.end.entries()) {
    // The line may have been written but not synced when its writer died.
    const UniqueFd fd = open_regular(path, Symlinks::refuse);
    sync_fd(fd.get(), path.string());
    sign(scan.end.tree);
  }
}

LogPosition Log::append(const LogPosition& end, const LogEntry& entry) const {
  const std::string json = entry.to_text();
  const std::string line = to_line(json);
  check(line.size() <= kLineLimit, "a log entry is longer than its limit");
  const fs::path path = folder_ / "log";
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) fail_errno(path.string(), "open");
  check(file_size(fd.get(), path.string()) == end.bytes, "the log grew under the write lock");
  write_all(fd.get(), line, path.string());
  sync_fd(fd.get(), path.string());
  LogPosition after{.bytes = end.bytes + line.size(), .tree = end.tree};
  after.tree.append(merkle_leaf(json));
  sign(after.tree);
  return after;
}

bool Log::is_writable() const {
  return ::access(folder_.c_str(), W_OK) == 0 && ::access((folder_ / "log").c_str(), W_OK) == 0 &&
         ::access((folder_ / "log.key").c_str(), R_OK) == 0;
}

void Log::sign(const MerkleTree& tree) const {
  const NoteSigner signer = NoteSigner::load(folder_ / "log.key");
  if (signer.verifier_key(kOriginPrefix) != verifier_.to_string()) {
    fail(ErrorCode::untrusted, "{}: not the key that {} pins",
         quote((folder_ / "log.key").string()), quote(verifier_path(folder_).string()));
  }
  write_file(folder_ / "checkpoint", signer.sign({verifier_.name(), tree.size(), tree.root()}));
}

}  // namespace organ::registry
