// SPDX-License-Identifier: Apache-2.0
// Calls between the rooms that the linker leads past here (--wrap, tests/meson.build): seen as they
// are, in a program that is otherwise the one everybody gets.
#pragma once

#include <cstdint>

#include "train/machine/machine_choice.h"

namespace organ::test {

// How many windows of data sets were built since the program began.
std::uint64_t windows_built();

// How many bytes of tensors were hashed since then.
std::uint64_t bytes_hashed();

// How a machine was last started. Other devices than the CPU are not: that throws
// Error(device, "kept from other devices").
struct StartedMachine {
  train::MachineChoice choice;
  unsigned processes = 0;
};
// Forgets it.
StartedMachine take_last_start();

}  // namespace organ::test
