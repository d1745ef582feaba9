// SPDX-License-Identifier: Apache-2.0
// What decides a run's bits beside its settings and the number of its threads.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "train/machine/device.h"

namespace organ::train {

// The version of the LibTorch that computes, by its own word: the loader may have found another one
// than that of the headers. Throws io where it is not the version that organ was built with, whose
// kernels may compute other bits. Thread-safe.
std::string torch_version();
// The same by a text of at::show_config().
std::string torch_version_in(std::string_view config);

// The one statement of it: recorded with a run, compared when it is resumed, part of the name of
// whatever is kept for later runs. `organ`, `torch`: their versions (throws io as torch_version
// does); `cpu`: the instruction set that LibTorch computes with, and what the environment says of
// MKL's and oneDNN's; `libraries`: the LibTorch that was loaded and the oneDNN and MKL in it;
// `processor`: see there; `arithmetic`, where the environment says something of it: how exact
// oneDNN's products are, how MKL's threads divide them; `device` where it is not the CPU.
std::map<std::string, std::string> software_versions(const Device& device);

// Whether both compute alike. What an organ of before did not record, `cpu`, `libraries` and
// `processor`, is taken as equal.
bool same_software(const std::map<std::string, std::string>& saved,
                   const std::map<std::string, std::string>& current);

// A line for each entry, in their order: to be hashed.
std::string software_lines(const Device& device);

}  // namespace organ::train
