// SPDX-License-Identifier: Apache-2.0
#include "transplant/internal/transaction.h"

#include <sys/stat.h>

#include "format/base/fail.h"
#include "format/base/path_status.h"
#include "transplant/internal/recovery.h"

namespace organ::transplant {
namespace {

namespace fs = std::filesystem;

// rename() works only inside one file system.
void require_one_device(const StateFolder& state) {
  struct stat model {
  }, own{};
  if (::stat(state.model.c_str(), &model) != 0) fail_errno(state.model.string(), "stat");
  if (::lstat(state.root.c_str(), &own) != 0) fail_errno(state.root.string(), "stat");
  if (model.st_dev != own.st_dev) {
    fail(ErrorCode::invalid_argument, "{}: lies on another file system than the model",
         quote(state.root.string()));
  }
}

// What was made for a lock that the file system does not give.
void remove_unlocked(const StateFolder& state) {
  try {
    remove_state_if_empty(state);
  } catch (const Error&) {
    // The reason for which there is no lock is what counts.
  }
}

}  // namespace

Transaction::Transaction(const fs::path& model, const Work& work) : state_(model) {
  while (!try_lock(work)) {
  }
  recovery_ = recover(state_, work);
  for (const fs::path& folder : {state_.receipts(), state_.undos(), state_.stage(),
                                 state_.staged_files(), state_.staged_undo()}) {
    state_.make(folder);
  }
}

bool Transaction::try_lock(const Work& work) {
  bool made = false;
  try {
    made = !state_.exists();
    state_.make(state_.root);
    require_one_device(state_);
    lock_.emplace(state_.take_lock(work));
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found && is_folder(state_.model)) {
      work.require_wanted();
      return false;
    }
    // Whoever holds the lock, or may, has what lies there; where nobody can it is ours.
    if (made && error.code() == ErrorCode::io) remove_unlocked(state_);
    throw;
  }
}

Transaction::~Transaction() {
  try {
    if (!is_taken(state_.journal())) discard(state_);
    remove_state_if_empty(state_);
  } catch (const std::exception&) {
    // The next command discards the stage: a stage without a journal means nothing.
  }
}

void Transaction::commit(const Change& change) {
  const std::string text = change.to_text();
  Change::parse(text, state_.journal().string());  // what nobody can read must not be decided
  sync_folder(state_.staged_files());
  sync_folder(state_.staged_undo());
  sync_folder(state_.stage());
  sync_folder(state_.root);
  sync_folder(state_.model);  // makes .organ itself durable
  // Written in the stage first, so that no temporary name of it outlives a crash.
  state_.write(state_.stage() / "journal", text);
  rename_path(state_.stage() / "journal", state_.journal());
  sync_folder(state_.root);
  try {
    finish(state_, change);
  } catch (Error& error) {
    error.with_context(
        "finishing a decided change, which organ install --continue --into MODEL does again");
    throw;
  }
}

}  // namespace organ::transplant
