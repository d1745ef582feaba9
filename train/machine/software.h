// SPDX-License-Identifier: Apache-2.0
// What decides a run's bits beside its settings and the number of its threads.
#pragma once

#include <map>
#include <string>

#include "train/machine/device.h"

namespace organ::train {

// The one statement of it: recorded with a run, compared when it is resumed, part of the name of
// whatever is kept for later runs. `organ`, `torch`: the versions that were compiled; `cpu`: the
// instruction set that LibTorch computes with, and what the environment says of MKL's and oneDNN's;
// `libraries`: the LibTorch that was loaded and the oneDNN and MKL in it; `processor`: see there;
// `arithmetic`, where the environment says something of it: how exact oneDNN's products are, how
// MKL's threads divide them; `device` where it is not the CPU.
std::map<std::string, std::string> software_versions(const Device& device);

// Whether both compute alike. What an organ of before did not record, `cpu`, `libraries` and
// `processor`, is taken as equal.
bool same_software(const std::map<std::string, std::string>& saved,
                   const std::map<std::string, std::string>& current);

// A line for each entry, in their order: to be hashed.
std::string software_lines(const Device& device);

}  // namespace organ::train
