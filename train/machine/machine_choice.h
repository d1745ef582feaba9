// SPDX-License-Identifier: Apache-2.0
// What a command may use of a machine. No Torch.
#pragma once

#include "train/machine/device.h"

#pragma GCC visibility push(default)

namespace organ::train {

// The default: the CPU, as the host process has it.
struct MachineChoice {
  Device device = {};
  unsigned threads = 0;  // 0: all cores, or this process's share of them
  // The process is there for organ alone: how it keeps memory and, with threads = 0, how many of
  // them LibTorch uses may be changed. Otherwise both stay as the host has them.
  bool own_process = false;
};

}  // namespace organ::train

#pragma GCC visibility pop
