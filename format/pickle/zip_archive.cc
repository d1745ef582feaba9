// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/internal/zip_archive.h"

#include <algorithm>
#include <set>
#include <span>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/pickle/internal/crc32.h"
#include "format/pickle/internal/zip_format.h"

namespace organ::format::internal {
namespace {

constexpr std::uint64_t kMembersLimit = 262'144;
constexpr std::uint64_t kDirectoryLimit = std::uint64_t{64} << 20;
constexpr std::uint64_t kNameLimit = 512;
constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;  // bytes read at one time

// One member as the central directory says it is.
struct Entry {
  std::string name;
  std::uint64_t flags = 0, header = 0;  // `header`: where its local header begins
  ZipMember member;
  std::uint64_t end = 0;  // behind its bytes
};

constexpr std::uint64_t kIsFolder = 0x10;  // of the external attributes, as DOS has them

struct Directory {
  std::uint64_t count = 0, size = 0, begin = 0, end = 0;
};

class ZipReader {
 public:
  ZipReader(int fd, std::string_view subject)
      : fd_(fd), subject_(subject), file_size_(file_size(fd, subject)) {}

  ZipArchive read() {
    const Directory directory = find_directory();
    if (directory.count > kMembersLimit || directory.size > kDirectoryLimit) {
      refuse("a directory of {} members in {} bytes, the limits are {} and {}", directory.count,
             directory.size, kMembersLimit, kDirectoryLimit);
    }
    if (directory.begin > directory.end || directory.end - directory.begin != directory.size) {
      refuse("the directory has {} from byte {} on, expected its end at byte {}",
             counted(directory.size, "byte"), directory.begin, directory.end);
    }
    std::vector<Entry> entries = read_entries(directory);
    check_places(entries, directory.begin);
    ZipArchive archive;
    std::set<std::string> names;  // torch finds a member whatever its case
    for (Entry& entry : entries) {
      const std::string shown = quote(entry.name);
      const bool added = names.insert(lower_case(entry.name)).second;
      if (!added && !archive.members.contains(entry.name)) {
        refuse("member {} differs from another by the case of its letters only", shown);
      }
      if (!archive.members.emplace(std::move(entry.name), entry.member).second) {
        refuse("two members are called {}", shown);
      }
    }
    return archive;
  }

 private:
  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ErrorCode::corrupt,
                fmt::format("{}: ZIP: {}", quote(subject_),
                            fmt::format(format, std::forward<Args>(args)...)),
                "torch.save writes such a file as it is read here");
  }

  std::string bytes(std::uint64_t begin, std::uint64_t count) const {
    if (begin > file_size_ || count > file_size_ - begin) {
      refuse("a record at byte {} leaves the file of {}", begin, counted(file_size_, "byte"));
    }
    std::string text(count, '\0');
    read_at(fd_, begin, std::as_writable_bytes(std::span(text)), subject_);
    return text;
  }

  Directory find_directory() const;
  Directory find_large_directory(std::uint64_t locator, const Directory& small) const;
  std::vector<Entry> read_entries(const Directory& directory) const;
  Entry read_entry(RecordReader& record) const;
  void read_large_numbers(Entry& entry, std::string_view extra) const;
  void check_name(const std::string& name) const;
  void check_places(std::vector<Entry>& entries, std::uint64_t directory) const;
  void check_local_header(Entry& entry) const;
  void check_local_sizes(const Entry& entry, std::uint64_t packed, std::uint64_t size,
                         std::string_view extra) const;
  void check_descriptor(const Entry& entry, std::uint64_t size) const;

  int fd_;
  std::string_view subject_;
  std::uint64_t file_size_;
};

// The file ends with the end record: no comment, which could hold another one.
Directory ZipReader::find_directory() const {
  if (file_size_ < kEndBytes) refuse("the file has {}", counted(file_size_, "byte"));
  const std::uint64_t at = file_size_ - kEndBytes;
  const std::string text = bytes(at, kEndBytes);
  RecordReader record(text);
  if (record.number(4) != kEnd)
    refuse("does not end with the end record: cut off, or with bytes behind it");
  const std::uint64_t disk = record.number(2), first_disk = record.number(2);
  const std::uint64_t here = record.number(2);
  Directory directory;
  directory.count = record.number(2);
  directory.size = record.number(4);
  directory.begin = record.number(4);
  directory.end = at;
  if (record.number(2) != 0) refuse("has a comment");
  if ((disk != 0 && disk != kCountIn64) || (first_disk != 0 && first_disk != kCountIn64) ||
      here != directory.count) {
    refuse("is one of several disks");
  }
  if (at >= kLocatorBytes &&
      RecordReader(bytes(at - kLocatorBytes, 4)).number(4) == kEnd64Locator) {
    return find_large_directory(at - kLocatorBytes, directory);
  }
  return directory;
}

Directory ZipReader::find_large_directory(std::uint64_t locator, const Directory& small) const {
  const std::string pointer = bytes(locator + 4, kLocatorBytes - 4);
  RecordReader where(pointer);
  where.number(4);
  const std::uint64_t at = where.number(8);
  if (at > locator || locator - at != kEnd64Bytes)
    refuse("the ZIP64 end record is out of its place");
  const std::string text = bytes(at, kEnd64Bytes);
  RecordReader record(text);
  if (record.number(4) != kEnd64) refuse("the ZIP64 end record is not where it should be");
  record.number(8 + 2 + 2);
  const std::uint64_t disks = record.number(8);
  const std::uint64_t here = record.number(8);
  Directory directory;
  directory.count = record.number(8);
  directory.size = record.number(8);
  directory.begin = record.number(8);
  directory.end = at;
  if (disks != 0 || here != directory.count) refuse("is one of several disks");
  const auto same = [](std::uint64_t little, std::uint64_t large, std::uint64_t none) {
    return little == large || little == none;
  };
  if (!same(small.count, directory.count, kCountIn64) || !same(small.size, directory.size, kIn64) ||
      !same(small.begin, directory.begin, kIn64)) {
    refuse("its two end records differ");
  }
  return directory;
}

std::vector<Entry> ZipReader::read_entries(const Directory& directory) const {
  const std::string text = bytes(directory.begin, directory.size);
  RecordReader record(text);
  std::vector<Entry> entries;
  while (record.left() > 0) {
    if (entries.size() == directory.count)
      refuse("its directory has more than {} members", directory.count);
    entries.push_back(read_entry(record));
  }
  if (entries.size() != directory.count) {
    refuse("its directory has {}, expected {}", counted(entries.size(), "member"), directory.count);
  }
  return entries;
}

Entry ZipReader::read_entry(RecordReader& record) const {
  constexpr std::uint64_t kStored = 0;
  if (record.left() < kCentralBytes || record.number(4) != kCentralHeader) {
    refuse("its directory is cut off");
  }
  Entry entry;
  record.number(2 + 2);  // versions
  entry.flags = record.number(2);
  const std::uint64_t method = record.number(2);
  record.number(4);  // time
  entry.member.crc = static_cast<std::uint32_t>(record.number(4));
  const std::uint64_t packed = record.number(4);
  entry.member.size = record.number(4);
  const std::uint64_t name_bytes = record.number(2), extra_bytes = record.number(2);
  const std::uint64_t comment_bytes = record.number(2);
  const std::uint64_t disk = record.number(2);
  record.number(2);  // internal attributes
  const std::uint64_t attributes = record.number(4);
  entry.header = record.number(4);
  if (record.left() < name_bytes + extra_bytes) refuse("its directory is cut off");
  entry.name = std::string(record.take(name_bytes));
  const std::string_view extra = record.take(extra_bytes);
  check_name(entry.name);
  const std::string shown = quote(entry.name);
  // torch reads nothing of such a member.
  if ((attributes & kIsFolder) != 0) refuse("member {} is marked as a folder", shown);
  if (method != kStored) refuse("member {} is compressed", shown);
  if ((entry.flags & ~(kHasDescriptor | kIsUtf8)) != 0)
    refuse("member {} is encrypted or of a kind that torch does not write", shown);
  if (comment_bytes != 0 || disk != 0)
    refuse("member {} has a comment or lies on another disk", shown);
  if (packed != entry.member.size)
    refuse("member {} has {} in {}", shown, counted(entry.member.size, "byte"), packed);
  read_large_numbers(entry, extra);
  return entry;
}

// ZIP64: the size, the packed size and the place, each only where the record says kIn64.
void ZipReader::read_large_numbers(Entry& entry, std::string_view extra) const {
  RecordReader fields(extra);
  while (fields.left() > 0) {
    const std::uint64_t id = fields.number(2), size = fields.number(2);
    RecordReader field(fields.take(size));
    if (field.left() != size) refuse("member {} has a broken extra field", quote(entry.name));
    if (id != kExtra64) continue;
    const std::uint64_t wanted =
        (entry.member.size == kIn64 ? 16U : 0U) + (entry.header == kIn64 ? 8U : 0U);
    if (wanted == 0 || size < wanted)
      refuse("member {} has a ZIP64 field that does not fit it", quote(entry.name));
    if (entry.member.size == kIn64) {
      entry.member.size = field.number(8);
      if (field.number(8) != entry.member.size)
        refuse("member {} is compressed", quote(entry.name));
    }
    if (entry.header == kIn64) entry.header = field.number(8);
  }
}

// Names are only looked up, never used as paths; but what looks like a way out is no file of torch.
void ZipReader::check_name(const std::string& name) const {
  const bool odd = std::any_of(name.begin(), name.end(), [](char c) {
    return c < 0x20 || c > 0x7e || c == '\\' || c == ':';
  });
  bool leaves =
      name.empty() || name.size() > kNameLimit || name.front() == '/' || name.back() == '/';
  for (std::size_t at = 0; at < name.size();) {
    const std::size_t end = std::min(name.find('/', at), name.size());
    const std::string_view part = std::string_view(name).substr(at, end - at);
    leaves = leaves || part.empty() || part == "." || part == "..";
    at = end + 1;
  }
  if (odd || leaves) refuse("a member is called {}", quote(name));
}

// From byte 0 to the directory every byte belongs to one member.
void ZipReader::check_places(std::vector<Entry>& entries, std::uint64_t directory) const {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.header < b.header; });
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    Entry& entry = entries[i];
    const std::string shown = quote(entry.name);
    if (entry.header != at) {
      refuse("member {} begins at byte {}, expected {}: {}", shown, entry.header, at,
             entry.header < at ? "it overlaps another" : "bytes belong to no member");
    }
    check_local_header(entry);
    const std::uint64_t next = i + 1 < entries.size() ? entries[i + 1].header : directory;
    if (entry.end > directory || entry.end > next) {
      refuse("member {} ends at byte {} and overlaps what begins at byte {}", shown, entry.end,
             next);
    }
    at = entry.end;
    if ((entry.flags & kHasDescriptor) == 0) continue;
    check_descriptor(entry, next - entry.end);
    at = next;
  }
  if (at != directory)
    refuse("{} before the directory belonging to no member", counted(directory - at, "byte"));
}

void ZipReader::check_local_header(Entry& entry) const {
  const std::string shown = quote(entry.name);
  const std::string text = bytes(entry.header, kLocalBytes);
  RecordReader record(text);
  if (record.number(4) != kLocalHeader) refuse("member {} has no header", shown);
  record.number(2);  // version
  const std::uint64_t flags = record.number(2), method = record.number(2);
  record.number(4);  // time
  const std::uint64_t crc = record.number(4), packed = record.number(4), size = record.number(4);
  const std::uint64_t name_bytes = record.number(2), extra_bytes = record.number(2);
  if (bytes(entry.header + kLocalBytes, name_bytes) != entry.name) {
    refuse("member {} has another name in front of its bytes", shown);
  }
  if (flags != entry.flags || method != 0) refuse("the two headers of member {} differ", shown);
  if (crc != entry.member.crc && ((flags & kHasDescriptor) == 0 || crc != 0)) {
    refuse("the two headers of member {} differ", shown);
  }
  const std::uint64_t extra_begin = entry.header + kLocalBytes + name_bytes;
  check_local_sizes(entry, packed, size, bytes(extra_begin, extra_bytes));
  entry.member.begin = entry.header + kLocalBytes + name_bytes + extra_bytes;
  entry.end = checked_add(entry.member.begin, entry.member.size, subject_);
  if (entry.end > file_size_)
    refuse("member {} ends at byte {} of {}", shown, entry.end, file_size_);
}

// The sizes in front of the bytes: those of the directory, in the header or where it says kIn64 in
// its field of ZIP64; or zeros, where a descriptor says them.
void ZipReader::check_local_sizes(const Entry& entry, std::uint64_t packed, std::uint64_t size,
                                  std::string_view extra) const {
  RecordReader fields(extra);
  while (size == kIn64 && packed == kIn64 && fields.left() >= 4) {
    const std::uint64_t id = fields.number(2);
    RecordReader field(fields.take(fields.number(2)));
    if (id != kExtra64 || field.left() < 16) continue;
    size = field.number(8);
    packed = field.number(8);
    break;
  }
  const bool later = (entry.flags & kHasDescriptor) != 0 && size == 0 && packed == 0;
  if (later || (size == entry.member.size && packed == entry.member.size)) return;
  refuse("the two headers of member {} differ", quote(entry.name));
}

// What stands behind the bytes: checksum and two sizes of 4 or 8 bytes, with or without a
// signature.
void ZipReader::check_descriptor(const Entry& entry, std::uint64_t size) const {
  const std::string shown = quote(entry.name);
  if (size != 12 && size != 16 && size != 20 && size != 24) {
    refuse("member {} has {} behind it, no data descriptor", shown, counted(size, "byte"));
  }
  const std::string text = bytes(entry.end, size);
  RecordReader record(text);
  const bool has_signature = size == 16 || size == 24;
  const std::size_t width = size < 20 ? 4 : 8;
  if ((has_signature && record.number(4) != kDescriptor) || record.number(4) != entry.member.crc ||
      record.number(width) != entry.member.size || record.number(width) != entry.member.size) {
    refuse("the data descriptor of member {} differs from its headers", shown);
  }
}

}  // namespace

std::string lower_case(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

ZipArchive read_zip(int fd, std::string_view subject) { return ZipReader(fd, subject).read(); }

void check_member(int fd, std::string_view name, const ZipMember& member, std::string_view subject,
                  const Work& work) {
  std::vector<std::byte> buffer(std::min(member.size, kPiece));
  std::uint32_t sum = 0;
  for (std::uint64_t at = 0; at < member.size; at += buffer.size()) {
    buffer.resize(std::min<std::uint64_t>(buffer.size(), member.size - at));
    read_at(fd, member.begin + at, buffer, subject);
    sum = crc32(buffer, sum);
    work.advance(buffer.size());
  }
  if (sum == member.crc) return;
  throw Error(ErrorCode::corrupt,
              fmt::format("{}: ZIP: member {} has the checksum {:08x}, expected {:08x}",
                          quote(subject), quote(name), sum, member.crc),
              "the file is damaged; get it again");
}

}  // namespace organ::format::internal
