// SPDX-License-Identifier: Apache-2.0
// A folder held by its descriptor. Names in it are looked up without following links, so that a
// model folder from somewhere else cannot lead organ to other places of the machine.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "format/base/handle.h"

namespace organ::transplant {

class FolderFd {
 public:
  // What a person named: links on the way are theirs. Throws not_found, io.
  explicit FolderFd(const std::filesystem::path& path);

  // The folder `name` in this one. Throws corrupt when it is a link or anything else but a folder,
  // not_found, io.
  FolderFd below(const std::string& name) const;
  // The same, made when it is not there. What root makes belongs to whom this folder belongs.
  FolderFd make_below(const std::string& name) const;
  // A new empty file, or nothing when the name is taken; of the same owner.
  UniqueFd make_file(const std::string& name) const;
  // Gives an open file of ours to the owner of this folder when root made it. Throws io.
  void give_to_owner(int fd, std::string_view subject) const;
  // Whether anything is called `name`, a link included.
  bool has(const std::string& name) const;
  // Opens a regular file for reading. Throws corrupt when it is a link or no regular file,
  // not_found, io.
  UniqueFd open_file(const std::string& name) const;
  // rename(2) into `to`; both names are single components.
  void move(const std::string& name, const FolderFd& to, const std::string& new_name) const;
  // fsync of the folder itself.
  void sync() const;
  // Throws corrupt unless everything in it, down to `depth` folders below, is a folder or a regular
  // file on the same file system.
  void require_plain(int depth) const;

  const std::filesystem::path& path() const { return path_; }

 private:
  FolderFd(UniqueFd fd, std::filesystem::path path) : fd_(std::move(fd)), path_(std::move(path)) {}

  UniqueFd fd_;
  std::filesystem::path path_;  // for messages
};

}  // namespace organ::transplant
