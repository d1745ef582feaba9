// SPDX-License-Identifier: Apache-2.0
// After a crash: a change of a model folder is finished or forgotten, never left half done.
#pragma once

#include <filesystem>

#include "format/base/progress.h"

#pragma GCC visibility push(default)

namespace organ::transplant {

enum class Recovery {
  nothing,    // no change was under way
  discarded,  // one was being prepared: its files are gone, the model was never touched
  completed,  // one was decided (journal written): it is finished now
};

// Every command that reads or changes a model folder calls this first. Costs two look-ups when
// nothing is pending and writes nothing then. Throws conflict when another process holds the
// folder, corrupt when a file is neither what it was nor what it was to become (nothing is
// changed then), io when the folder cannot be written, cancelled.
Recovery recover_journal(const std::filesystem::path& model, const Work& work = {});

}  // namespace organ::transplant

#pragma GCC visibility pop
