// SPDX-License-Identifier: Apache-2.0
// What decides a run's bits beside its settings.
#pragma once

#include <map>
#include <string>

#include "train/machine/device.h"

namespace organ::train {

// The versions of organ and LibTorch, and the device where it is not the CPU.
std::map<std::string, std::string> software_versions(const Device& device);

}  // namespace organ::train
