// SPDX-License-Identifier: Apache-2.0
#include "transplant/internal/file_metadata.h"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "format/base/fail.h"
#include "format/base/file_system.h"

namespace organ::transplant {
namespace {

std::string attribute_of(int fd, const std::string& name, std::string_view subject) {
  for (;;) {
    const ssize_t size = ::fgetxattr(fd, name.c_str(), nullptr, 0);
    if (size < 0) fail_errno(subject, "read attribute");
    std::string value(static_cast<std::size_t>(size), '\0');
    const ssize_t got = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
    if (got < 0 && errno == ERANGE) continue;  // it grew
    if (got < 0) fail_errno(subject, "read attribute");
    value.resize(static_cast<std::size_t>(got));
    return value;
  }
}

std::map<std::string, std::string> attributes_of(int fd, std::string_view subject) {
  std::map<std::string, std::string> attributes;
  ssize_t size = ::flistxattr(fd, nullptr, 0);
  if (size < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) return attributes;
  if (size < 0) fail_errno(subject, "list attributes");
  std::vector<char> names(static_cast<std::size_t>(size) + 1024);
  size = ::flistxattr(fd, names.data(), names.size());
  if (size < 0) fail_errno(subject, "list attributes");
  const std::string_view all(names.data(), static_cast<std::size_t>(size));
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = all.find('\0', at);
    const std::string name(all.substr(at, end - at));
    if (is_kept_attribute(name)) attributes.emplace(name, attribute_of(fd, name, subject));
    at = end + 1;
  }
  return attributes;
}

bool give_owner(int fd, const FileMetadata& metadata, std::string_view subject) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) fail_errno(subject, "stat");
  if (status.st_uid == metadata.owner && status.st_gid == metadata.group) return true;
  return ::fchown(fd, metadata.owner, metadata.group) == 0;
}

constexpr std::string_view kAccessList = "system.posix_acl_access";

// A new file takes after its folder's default list.
bool remove_access_list(int fd) {
  if (::fremovexattr(fd, kAccessList.data()) == 0) return true;
  return errno == ENODATA || errno == EOPNOTSUPP || errno == ENOSYS;
}

bool set_attributes(int fd, const std::map<std::string, std::string>& attributes) {
  bool all = true;
  for (const auto& [name, value] : attributes) {
    all = ::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) == 0 && all;
  }
  return all;
}

// Takes the access list out: it says who may read, and a receipt may be anybody's. Returns whether
// the file has the same one.
bool take_access_list(int fd, std::map<std::string, std::string>& attributes,
                      std::string_view subject) {
  const auto told = attributes.extract(std::string(kAccessList));
  const auto present = attributes_of(fd, subject);
  const auto own = present.find(std::string(kAccessList));
  if (told.empty() || own == present.end()) return told.empty() == (own == present.end());
  return own->second == told.mapped();
}

// False where the file then has another time.
bool set_time(int fd, const FileMetadata& metadata, std::string_view subject) {
  const timespec times[2] = {
      {0, UTIME_OMIT},
      {static_cast<time_t>(metadata.seconds), static_cast<long>(metadata.nanoseconds)}};
  if (::futimens(fd, times) != 0 && errno != EPERM && errno != ENOSYS) {
    fail_errno(subject, "set time");
  }
  struct stat status {};
  if (::fstat(fd, &status) != 0) fail_errno(subject, "stat");
  return status.st_mtim.tv_sec == times[1].tv_sec && status.st_mtim.tv_nsec == times[1].tv_nsec;
}

}  // namespace

bool is_kept_attribute(std::string_view name) {
  return name.starts_with("user.") || name == kAccessList;
}

FileMetadata metadata_of(int fd, std::string_view subject) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) fail_errno(subject, "stat");
  FileMetadata metadata;
  metadata.mode = status.st_mode & 0777;
  metadata.owner = status.st_uid;
  metadata.group = status.st_gid;
  metadata.seconds = status.st_mtim.tv_sec;
  metadata.nanoseconds = static_cast<std::uint32_t>(status.st_mtim.tv_nsec);
  metadata.attributes = attributes_of(fd, subject);
  return metadata;
}

void make_like(int fd, const FileMetadata& metadata, std::string_view subject) {
  if (!give_owner(fd, metadata, subject)) {
    throw Error(ErrorCode::io,
                fmt::format("{}: cannot be given to its owner (user {}, group {})", quote(subject),
                            metadata.owner, metadata.group),
                "run as its owner, or build a new folder with --out DIR");
  }
  const bool listed = metadata.attributes.contains(std::string(kAccessList));
  if (!listed && !remove_access_list(fd)) fail_errno(subject, "remove access list");
  if (!set_attributes(fd, metadata.attributes)) fail_errno(subject, "set attribute");
  set_exact_permissions(fd, metadata.mode, subject);
}

std::vector<std::string> give_back(int fd, const FileMetadata& metadata, std::string_view subject) {
  std::vector<std::string> lost;
  struct stat now {};
  if (::fstat(fd, &now) != 0) fail_errno(subject, "stat");
  if (now.st_uid != metadata.owner || now.st_gid != metadata.group) {
    lost.push_back(fmt::format("owner (user {}, group {})", metadata.owner, metadata.group));
  }
  std::map<std::string, std::string> attributes = metadata.attributes;
  if (!take_access_list(fd, attributes, subject)) lost.emplace_back("access control list");
  if (!set_attributes(fd, attributes)) lost.emplace_back("extended attributes");
  const unsigned mode = metadata.mode & now.st_mode;
  const bool set = change_permissions(fd, mode, subject);
  if (!set || mode != metadata.mode) lost.push_back(fmt::format("mode {:04o}", metadata.mode));
  if (!set_time(fd, metadata, subject)) lost.emplace_back("time of last change");
  return lost;
}

}  // namespace organ::transplant
