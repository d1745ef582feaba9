// SPDX-License-Identifier: Apache-2.0
#include "transplant/journal.h"

#include "format/base/fail.h"
#include "format/base/file.h"
#include "transplant/internal/recovery.h"
#include "transplant/internal/state_folder.h"

namespace organ::transplant {
namespace fs = std::filesystem;

Pending pending_change(const fs::path& model) { return StateFolder(model).pending(); }

void require_settled(const fs::path& model) {
  if (pending_change(model) != Pending::decided) return;
  throw Error(
      ErrorCode::conflict,
      fmt::format("{}: a change of it was decided and is not finished", quote(model.string())),
      "organ install --continue --into MODEL finishes it, organ install --abort --into MODEL gives "
      "it up");
}

Recovery recover_journal(const fs::path& model, const Work& work) {
  const StateFolder state(model);
  if (state.pending() == Pending::nothing) return Recovery::nothing;
  const auto lock = state.take_lock_of_rest(work);
  if (!lock) return Recovery::nothing;
  const Recovery recovery = recover(state, work);
  remove_state_if_empty(state);
  return recovery;
}

Abandoned abort_change(const fs::path& model, const Work& work) {
  const StateFolder state(model);
  if (state.pending() == Pending::nothing) return {};
  const auto lock = state.take_lock_of_rest(work);
  if (!lock) return {};
  Abandoned outcome = abandon(state, work.phase("looking at the pending change", 0));
  remove_state_if_empty(state);
  return outcome;
}

}  // namespace organ::transplant
