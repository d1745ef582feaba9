// SPDX-License-Identifier: Apache-2.0
// Which of several processes of one training run this is, from the variables that torchrun sets.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "train/machine/device.h"

#pragma GCC visibility push(default)

namespace organ::train {

struct ProcessPlace {
  int rank = 0, size = 1;
  int local_rank = 0, local_size = 1;  // of the processes on this machine
  std::string address;                 // of rank 0
  std::uint16_t port = 0;
};

// RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT, LOCAL_WORLD_SIZE (default: WORLD_SIZE) and LOCAL_RANK
// (default: RANK modulo LOCAL_WORLD_SIZE); nullopt without WORLD_SIZE or when it is 1. `variable`
// returns a variable's value or null. Throws invalid_argument naming the variable that is missing
// or out of range. A variable that is set to nothing counts as missing; at most 4096 processes,
// ports from 1 on.
std::optional<ProcessPlace> process_place(const std::function<const char*(const char*)>& variable);
// That of this process, by its environment.
std::optional<ProcessPlace> process_place();

// Where a process runs that asks for `wanted`: processes on one machine take a device each, unless
// one was named. What is recorded of the device is recorded of this one. That is cuda:LOCAL_RANK;
// without a place, and for the CPU, `wanted` as it is.
Device own_device(Device wanted, const std::optional<ProcessPlace>& place);

}  // namespace organ::train

#pragma GCC visibility pop
