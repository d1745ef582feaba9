// SPDX-License-Identifier: Apache-2.0
// MODEL/.organ: where everything lies that organ keeps beside a recipient.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/file.h"
#include "transplant/internal/folder_fd.h"
#include "transplant/journal.h"

namespace organ::transplant {

//   lock              flock; goes with the folder when the last organ is taken out
//   journal           exists while a change is decided but not finished
//   stage/            what a change has prepared: files/, undo/, receipt.json
//   receipts/0001.json, undo/0001/SHARD
//   abandoned/        journal and prepared files of a change that was given up
struct StateFolder {
  explicit StateFolder(std::filesystem::path model_folder)
      : model(std::move(model_folder)), root(model / ".organ") {}

  std::filesystem::path model;
  std::filesystem::path root;

  std::filesystem::path lock() const { return root / "lock"; }
  std::filesystem::path journal() const { return root / "journal"; }
  std::filesystem::path stage() const { return root / "stage"; }
  std::filesystem::path staged_files() const { return stage() / "files"; }
  std::filesystem::path staged_undo() const { return stage() / "undo"; }
  std::filesystem::path staged_receipt() const { return stage() / "receipt.json"; }
  std::filesystem::path receipts() const { return root / "receipts"; }
  std::filesystem::path undos() const { return root / "undo"; }
  std::filesystem::path receipt(std::uint64_t number) const;
  std::filesystem::path undo(std::uint64_t number) const;

  std::filesystem::path abandoned() const { return root / "abandoned"; }

  // false when there is none. Throws corrupt when it is anything but a folder, or when anything but
  // folders and regular files of the same file system lies in it: a link would let a model folder
  // from somebody else direct what is read and renamed to other places.
  bool exists() const;
  Pending pending() const;
  // The numbers of the receipts, ascending.
  std::vector<std::uint64_t> receipt_numbers() const;

  // What is made here when root runs organ belongs to the owner of the model folder, who can then
  // undo it. Makes a folder below the model, and those above it, unless they are there; throws
  // corrupt for anything else there.
  void make(const std::filesystem::path& folder) const;
  // The lock, whose file is made when it is not there. Throws as FileLock does.
  FileLock take_lock(const Work& work) const;
  // Nothing when who held it left nothing behind.
  std::optional<FileLock> take_lock_of_rest(const Work& work) const;
  // Atomic durable replacement of a file in one of these folders.
  void write(const std::filesystem::path& path, std::string_view text) const;

 private:
  // What exists() asks for; nothing when there is none.
  std::optional<FolderFd> open() const;
};

}  // namespace organ::transplant
