// SPDX-License-Identifier: Apache-2.0
#include "train/machine/software.h"

#include <torch/version.h>

namespace organ::train {

std::map<std::string, std::string> software_versions(const Device& device) {
  std::map<std::string, std::string> versions = {{"organ", ORGAN_VERSION},
                                                 {"torch", TORCH_VERSION}};
  if (!device.is_cpu()) versions["device"] = describe_device(device);
  return versions;
}

}  // namespace organ::train
