// SPDX-License-Identifier: Apache-2.0
// How a run of `train`, `recover` or `baseline` is watched and ended.
#pragma once

#include <filesystem>
#include <memory>

#include "cli/frame/context.h"
#include "cli/frame/long_work.h"
#include "format/base/error.h"
#include "format/base/progress.h"
#include "train/trainer/trainer.h"

namespace organ::cli {

// Notes, warnings and the progress of a run on stderr. Its end ends the progress line: let it live
// no longer than the run, or the next text is written behind that line. `work` borrows from it.
struct WatchedRun {
  std::unique_ptr<train::TrainObserver> observer;
  Work work;
};
WatchedRun watch_run(const Context& context);

// Throws cancelled: trained, saved, and no result written.
[[noreturn]] void throw_result_interrupted(const std::filesystem::path& run_folder);

// Runs `action(work)`, which writes the result of a training, as long work and returns what it
// returns. Ended by a signal it leaves the train state of the last step, and says so.
template <typename Action>
auto watched_result(const Context& context, const train::TrainSettings& settings,
                    const Action& action) {
  try {
    return watched(context, settings.machine.threads, action);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw_result_interrupted(settings.run_folder);
    throw;
  }
}

}  // namespace organ::cli
