// SPDX-License-Identifier: Apache-2.0
#include "train/machine/start_machine.h"

#include <algorithm>
#include <thread>

#include <ATen/Parallel.h>

#include "train/machine/memory.h"

namespace organ::train {
namespace {

// 0: as many as there are.
int wanted_threads(const MachineChoice& choice, unsigned processes) {
  if (choice.threads != 0 || !choice.own_process) return static_cast<int>(choice.threads);
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency() / processes));
}

void use_threads(int threads) {
  if (threads != 0 && threads != at::get_num_threads()) at::set_num_threads(threads);
}

}  // namespace

at::Device start_machine(const MachineChoice& choice, unsigned processes) {
  if (choice.own_process) keep_large_blocks();
  const at::Device device = open_device(choice.device);
  if (const int threads = wanted_threads(choice, processes)) at::set_num_threads(threads);
  return device;
}

ThreadsInUse::ThreadsInUse(const MachineChoice& choice) : before_(at::get_num_threads()) {
  use_threads(wanted_threads(choice, 1));
}

ThreadsInUse::~ThreadsInUse() { use_threads(before_); }

}  // namespace organ::train
