// SPDX-License-Identifier: Apache-2.0
// The steps behind the decision of a change, each of which may be repeated. All expect the
// exclusive lock of the state folder.
#pragma once

#include "transplant/internal/change.h"
#include "transplant/internal/state_folder.h"
#include "transplant/journal.h"

namespace organ::transplant {

// Renames everything to its place and removes the stage and, last, the journal: a stage without a
// journal always means a change that was not decided. Throws corrupt, io.
void finish(const StateFolder& state, const Change& change);

// Finishes or forgets what a crash left. Throws as recover_journal.
Recovery recover(const StateFolder& state, const Work& work);

// As abort_change.
Abandoned abandon(const StateFolder& state, const Work& work);

// Removes what a change has prepared.
void discard(const StateFolder& state);

// Without receipts nothing of organ is left in the model folder.
void remove_state_if_empty(const StateFolder& state);

}  // namespace organ::transplant
