// SPDX-License-Identifier: Apache-2.0
#include "train/machine/start_machine.h"

#include <algorithm>
#include <thread>

#include <ATen/Parallel.h>

#include "train/machine/memory.h"

namespace organ::train {

at::Device start_machine(const MachineChoice& choice, unsigned processes) {
  if (choice.own_process) keep_large_blocks();
  const at::Device device = open_device(choice.device);
  const unsigned share = std::max(1u, std::thread::hardware_concurrency() / processes);
  if (choice.threads != 0) {
    at::set_num_threads(static_cast<int>(choice.threads));
  } else if (choice.own_process) {
    at::set_num_threads(static_cast<int>(share));
  }
  return device;
}

}  // namespace organ::train
