// SPDX-License-Identifier: Apache-2.0
// How the library gets at a model that a host holds.
#pragma once

#include <utility>

#include "train/machine/start_machine.h"
#include "train/model/loaded_model.h"
#include "train/model/model.h"

namespace organ::train {

struct ModelAccess {
  // A model of its own over the weights, which outlive the loaded model with it. Thread-safe.
  static Model share(const LoadedModel& loaded);
};

// on_machine() for one use of a loaded model: returns what `action(Model)` returns, given a share.
template <typename Action>
auto with_share(const LoadedModel& loaded, Action&& action) {
  return on_machine(loaded.machine(), 1, [&](at::Device) {
    return std::forward<Action>(action)(ModelAccess::share(loaded));
  });
}

}  // namespace organ::train
