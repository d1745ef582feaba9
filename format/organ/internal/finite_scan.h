// SPDX-License-Identifier: Apache-2.0
// Looks for numbers that are not finite in the tensors of files while their bytes are hashed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "format/base/digest.h"
#include "format/base/finding.h"
#include "format/manifest/manifest.h"

namespace organ::format::internal {

// Borrows the entries and the descriptors until finish(). Add first, then hash, then finish(); only
// what seen() gives may run on several threads.
class FiniteScan {
 public:
  // The next ranges that are hashed are the pieces of this file, which stays open until finish().
  void add_pieces(const FileEntry& file, int fd);
  // Or all of it, one range.
  void add_whole(const FileEntry& file, int fd);
  // Or its tensors, one range each.
  void add_tensors(const FileEntry& file, int fd);

  // For hash_seen over exactly the ranges added, in their order. Borrows this object.
  BytesSeen seen();
  // Appends one finding for each tensor that holds such a number, by file and then as they stand in
  // it. Reads tensors again whose elements lie across the ends of pieces. Throws io, corrupt.
  void finish(std::vector<Finding>& found);

 private:
  // Per tensor the first element that is not finite, or kNone. Pieces come on several threads.
  struct File {
    const FileEntry* entry;
    int fd;
    std::unique_ptr<std::atomic<std::uint64_t>[]> first;
  };
  struct Range {
    std::size_t file;
    std::uint64_t begin;  // in the file
  };

  File& add_file(const FileEntry& file, int fd);
  // `bytes` stand at `begin` of the file; passes over tensors that lie across the ends of pieces.
  void look(File& file, std::uint64_t begin, std::span<const std::byte> bytes);
  void look_apart(File& file, std::size_t tensor);  // one of those, read once more

  std::vector<File> files_;
  std::vector<Range> ranges_;
};

}  // namespace organ::format::internal
