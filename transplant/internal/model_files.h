// SPDX-License-Identifier: Apache-2.0
// The files of a model folder as an installation sees them: proved unchanged, copied, recorded.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "format/base/digest.h"
#include "format/base/file.h"
#include "format/checkpoint/checkpoint.h"
#include "transplant/internal/plan.h"
#include "transplant/receipt.h"

namespace organ::transplant {

// A regular file of the model folder, opened once; symlinks were followed only inside the folder
// or the Hugging Face cache repository around it.
struct ModelFile {
  std::string name;  // a safe file name
  UniqueFd fd;
  std::uint64_t size = 0;
  Digest digest;
};

// The files of a folder that take part in an installation, by name; `skipped` gets the names of
// everything else but dot-files (folders, odd names, links that lead away). Hashes every file, as a
// phase of this name.
std::map<std::string, ModelFile> open_model_files(const std::filesystem::path& model,
                                                  std::vector<std::string>& skipped,
                                                  std::string_view phase, const Work& work = {});

// Throws invalid_argument when config or a shard is a symlink: writing there would change a cache
// other models share.
void require_own_files(const format::Checkpoint& recipient);

// Throws conflict unless every file still has the content and place it was opened with.
void require_unchanged(const std::filesystem::path& model,
                       const std::map<std::string, ModelFile>& files, const Work& work);

// A new empty file, open for reading and writing, with the permissions of an open one.
UniqueFd create_like(int model_fd, const std::filesystem::path& path);

// Writes the changed shards to `files_folder` and the old bytes of what they replace to
// `undo_folder`, synced, and fills `after` and `undo` of `changes`.
void write_changed_shards(const InstallPlan& plan, const format::Checkpoint& recipient,
                          const std::filesystem::path& files_folder,
                          const std::filesystem::path& undo_folder,
                          std::vector<FileChange>& changes, const Work& work);

}  // namespace organ::transplant
