// SPDX-License-Identifier: Apache-2.0
// How the library gets at a model that a host holds.
#pragma once

#include <utility>

#include "train/machine/start_machine.h"
#include "train/model/loaded_model.h"
#include "train/model/model.h"

namespace organ::train {

struct ModelAccess {
  // A model of its own over the weights, which outlive the loaded model with it. Thread-safe. The
  // share may be bound, adapted and run, and the loaded model sees nothing of it.
  static Model share(const LoadedModel& loaded);
};

// One use of a loaded model: returns what `action(Model)` returns, given a share. The machine was
// started when the model was loaded; started again, it would be set anew under other threads.
// Throws as compute_on. The action's result may not be void.
template <typename Action>
auto with_share(const LoadedModel& loaded, Action&& action) {
  const ThreadsInUse threads(loaded.machine());
  Model share = ModelAccess::share(loaded);
  return compute_on(share.device(), [&](at::Device /*device*/) {
    return std::forward<Action>(action)(std::move(share));
  });
}

}  // namespace organ::train
