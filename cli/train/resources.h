// SPDX-License-Identifier: Apache-2.0
// What a command of organ-train costs: memory and energy.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "cli/frame/context.h"
#include "train/machine/device.h"
#include "train/machine/energy.h"

namespace organ::cli {

// Counts from construction on.
class ResourceWatch {
 public:
  // Adds "peak_memory_bytes" and "energy" to a record, null where the machine does not tell; and
  // "peak_device_bytes" where the command ran on another device than the CPU.
  // The peaks are those of the process, the joules those since construction.
  void add_to(nlohmann::json& record, const train::Device& device);
  // The same as notes for people; with -v also why a meter is missing.
  void note(const Context& context, const train::Device& device);

 private:
  train::EnergyMeter meter_;
};

}  // namespace organ::cli
