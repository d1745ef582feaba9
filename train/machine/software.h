// SPDX-License-Identifier: Apache-2.0
// What decides a run's bits beside its settings.
#pragma once

#include <map>
#include <string>

#include "train/machine/device.h"

namespace organ::train {

// The versions of organ and LibTorch; `cpu`: the instruction set that LibTorch computes with, and
// what the environment says of MKL's and oneDNN's; the device where it is not the CPU.
std::map<std::string, std::string> software_versions(const Device& device);

// Whether both compute alike. What an organ of before did not record, `cpu`, is taken as equal.
bool same_software(const std::map<std::string, std::string>& saved,
                   const std::map<std::string, std::string>& current);

}  // namespace organ::train
