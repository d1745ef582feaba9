// SPDX-License-Identifier: Apache-2.0
// The machine made ready, once for every command that computes.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>

#include <c10/core/GradMode.h>

#include "train/machine/machine_choice.h"
#include "train/machine/torch_device.h"

namespace organ::train {

// Opens the device and sets, for the whole process, how many threads compute (where the choice says
// how many, or the process is our own) and how memory is kept (where it is our own). `processes`:
// those of this machine that share its cores. Call from one thread at a time, best before anything
// else computes: threads that do keep their numbers (OpenMP counts by thread), but how exact a
// GPU's products are is set for them too, each time to the same. Throws device as open_device.
at::Device start_machine(const MachineChoice& choice, unsigned processes = 1);

// OpenMP makes its threads with the first work that is shared, and ends the process when it cannot:
// now, right behind the trial, and not when weights have taken the room of their stacks. Not in a
// process that was forked from one which had such threads: OpenMP waits for those for ever.
void make_threads();

// While it lives its thread computes with as many threads as a machine that was started with this
// choice, then with as many as before: the bits of what else it computes depend on their number.
// Destroyed on the thread that made it. Fewer threads where the system does not give as many.
class ThreadsInUse {
 public:
  explicit ThreadsInUse(const MachineChoice& choice);
  ~ThreadsInUse();
  ThreadsInUse(const ThreadsInUse&) = delete;
  ThreadsInUse& operator=(const ThreadsInUse&) = delete;

 private:
  int before_;
};

// Returns what `action(at::Device)` returns, of a device that is open; nothing in it records a
// graph for autograd, and what LibTorch throws is an Error or std::bad_alloc (with_device_errors).
// The result is moved and may not be void.
template <typename Action>
auto compute_on(at::Device device, Action&& action) {
  const c10::NoGradGuard no_grad;
  std::optional<std::invoke_result_t<Action, at::Device>> result;
  with_device_errors(device, [&] { result.emplace(std::forward<Action>(action)(device)); });
  return std::move(*result);
}

// Starts the machine, then compute_on().
template <typename Action>
auto on_machine(const MachineChoice& choice, unsigned processes, Action&& action) {
  return compute_on(start_machine(choice, processes), [&](at::Device device) {
    if (choice.own_process) make_threads();
    return std::forward<Action>(action)(device);
  });
}

}  // namespace organ::train
