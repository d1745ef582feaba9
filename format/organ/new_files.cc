// SPDX-License-Identifier: Apache-2.0
#include "format/organ/new_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"

namespace organ::format {

void NewFiles::no_wider_than(unsigned permissions) {
  permissions_ = (permissions_ & permissions) | 0600;
  folder_.no_wider_than(permissions_ | ((permissions_ & 0444) >> 2));  // who may read may enter
}

void NewFiles::no_wider_than(const OrganSource& organ) {
  unsigned common = 0666;
  for (const FileEntry& file : organ.manifest().files) {
    common &= permissions_of(organ.open(file).get(), file.path);
  }
  no_wider_than(common);
}

void NewFiles::add_folder(const std::string& name) {
  const std::filesystem::path path = folder_.path() / name;
  const unsigned mode = permissions_ | ((permissions_ & 0444) >> 2);
  if (::mkdir(path.c_str(), mode) != 0) fail_errno(path.string(), "create");
  folders_.push_back(path);
}

void NewFiles::commit() {
  for (const auto& folder : folders_) sync_folder(folder);
  folder_.commit();
}

UniqueFd NewFiles::create(std::string_view name) const {
  const std::filesystem::path path = folder_.path() / name;
  UniqueFd fd(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, permissions_));
  if (!fd) fail_errno(path.string(), "create");
  return fd;
}

void NewFiles::write(std::string_view name, std::string_view text) const {
  const UniqueFd fd = create(name);
  write_all(fd.get(), text, name);
  sync_fd(fd.get(), name);
}

void NewFiles::copy(std::string_view name, int from, const Digest& digest, std::string_view subject,
                    const Work& work) const {
  const UniqueFd fd = create(name);
  copy_contents(from, fd.get(), name, work);
  // Of the copy: what is read twice could be two things.
  const Digest found = hash_file_flat(fd.get(), name, work);
  if (found != digest) {
    fail(ErrorCode::corrupt, "{}: {}: has digest {}, expected {}", quote(subject), quote(name),
         found.to_string(), digest.to_string());
  }
  sync_fd(fd.get(), name);
}

}  // namespace organ::format
