// SPDX-License-Identifier: Apache-2.0
// One all-or-nothing change of a model folder in place. Everything new is prepared and synced in
// .organ/stage; writing .organ/journal decides the change; then the prepared files are renamed to
// their places. A crash before the journal leaves the old model, after it the next command
// finishes the renames (redo log; every step may be repeated).
#pragma once

#include <filesystem>
#include <optional>

#include "format/base/file.h"
#include "transplant/internal/change.h"
#include "transplant/internal/state_folder.h"
#include "transplant/journal.h"

namespace organ::transplant {

class Transaction {
 public:
  // Takes the lock, finishes or discards what a crash left, makes an empty stage. Throws conflict,
  // io, cancelled.
  explicit Transaction(const std::filesystem::path& model, const Work& work = {});
  // Discards the stage unless a journal was written.
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  const StateFolder& state() const { return state_; }
  Recovery recovery() const { return recovery_; }

  // Once. Everything in the stage must be synced except its folders. When this throws after the
  // decision the next command finishes the change. Nothing cancels it.
  void commit(const Change& change);

 private:
  // False when the command before ended meanwhile, and took the folder of the lock with it.
  bool try_lock(const Work& work);

  StateFolder state_;
  std::optional<FileLock> lock_;
  Recovery recovery_ = Recovery::nothing;
};

}  // namespace organ::transplant
