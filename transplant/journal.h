// SPDX-License-Identifier: Apache-2.0
// After a crash: a change of a model folder is finished, forgotten or given up, never left half
// done. Nothing here follows a link below the model folder: a folder from somebody else may hold
// any .organ (schemas/transplant.md).
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "format/base/progress.h"

#pragma GCC visibility push(default)

namespace organ::transplant {

enum class Pending {
  nothing,    // no change is under way
  undecided,  // one was being prepared: the model was never touched
  decided,    // one was decided (journal written): some of its files may be changed already
};

// Looks, and changes nothing. Throws corrupt when .organ holds anything but folders and regular
// files of one file system; io.
Pending pending_change(const std::filesystem::path& model);

// For commands that only read a model: throws conflict when a decided change is pending, because
// the files may be of two times; and what pending_change throws. Changes nothing.
void require_settled(const std::filesystem::path& model);

enum class Recovery {
  nothing,    // no change was under way
  discarded,  // one was being prepared: its files are gone, the model was never touched
  completed,  // one was decided (journal written): it is finished now
};

// Commands that change a model folder call this first. Costs few look-ups when nothing is pending
// and writes nothing then. Throws conflict when another process holds the folder, corrupt when a
// file is neither what it was nor what it was to become (nothing is changed then) and as
// pending_change, io when the folder cannot be written, cancelled.
Recovery recover_journal(const std::filesystem::path& model, const Work& work = {});

struct Abandoned {
  enum class FileState { old, changed, unknown };
  Pending pending = Pending::nothing;      // what there was
  std::map<std::string, FileState> files;  // of a decided change, by name in the model folder
  // Where its journal and prepared files lie now; none when they were worth nothing.
  std::optional<std::filesystem::path> aside;
};

// Gives up a pending change that recover_journal cannot finish. No file of the model is touched.
// Throws conflict when the change has begun and can still be finished, or when another process
// holds the folder; already_exists when one was given up before and still lies there; corrupt as
// pending_change, io, cancelled.
Abandoned abort_change(const std::filesystem::path& model, const Work& work = {});

}  // namespace organ::transplant

#pragma GCC visibility pop
