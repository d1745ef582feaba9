// SPDX-License-Identifier: Apache-2.0
#include "transplant/internal/undo_data.h"
#include "format/base/file.h"

#include "format/base/fail.h"

namespace organ::transplant {

void require_digest(const Digest& found, const Digest& expected, const std::filesystem::path& path,
                    std::string_view what) {
  if (found == expected) return;
  fail(ErrorCode::corrupt, "{}: {}: has {}, the receipt says {}", quote(path.string()), what,
       found.to_string(), expected.to_string());
}

format::SafetensorsFile open_undo(const StateFolder& state, const Receipt& receipt,
                                  const FileChange& file, const Work& work) {
  const std::filesystem::path path = state.undo(receipt.number) / file.path;
  UniqueFd fd = open_regular(path, Symlinks::refuse);
  require_digest(hash_file_flat(fd.get(), path.string(), work), *file.undo, path,
                 "the undo data is damaged");
  return format::SafetensorsFile::from_fd(std::move(fd), path.string());
}

}  // namespace organ::transplant
