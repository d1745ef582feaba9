// SPDX-License-Identifier: Apache-2.0
// What decides a run's bits beside its settings.
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

// The versions of organ and LibTorch; `cpu`: the instruction set that LibTorch computes with, and
// what the environment says of MKL's and oneDNN's; the device where it is not the CPU. Throws io
// (torch_version).
std::map<std::string, std::string> software_versions(const Device& device);

// Whether both compute alike. What an organ of before did not record, `cpu`, is taken as equal.
bool same_software(const std::map<std::string, std::string>& saved,
                   const std::map<std::string, std::string>& current);

}  // namespace organ::train
