// SPDX-License-Identifier: Apache-2.0
// The machine made ready for one process of several.
#pragma once

#include <optional>
#include <utility>

#include "train/machine/start_machine.h"
#include "train/processes/process_place.h"

namespace organ::train {

// on_machine() for a process at its place: on its own device (own_device), with its share of the
// cores. Returns what `action(Device named, at::Device opened)` returns: what is told and recorded
// of the device, and what LibTorch calls it. Throws as on_machine. The share is what the choice
// says; where it does not, and the process is our own, the usable cores divided by the processes of
// this machine, at least one.
template <typename Action>
auto on_own_machine(const MachineChoice& choice, const std::optional<ProcessPlace>& place,
                    Action&& action) {
  MachineChoice own = choice;
  own.device = own_device(choice.device, place);
  const auto processes = static_cast<unsigned>(place ? place->local_size : 1);
  return on_machine(own, processes, [&](at::Device opened) {
    return std::forward<Action>(action)(own.device, opened);
  });
}

}  // namespace organ::train
