// SPDX-License-Identifier: Apache-2.0
// What a command may use of a machine. No Torch.
#pragma once

#include "train/machine/device.h"

#pragma GCC visibility push(default)

namespace organ::train {

struct MachineChoice {
  Device device = {};
  unsigned threads = 0;  // 0: all cores, or this process's share of them
};

}  // namespace organ::train

#pragma GCC visibility pop
