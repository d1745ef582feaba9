// SPDX-License-Identifier: Apache-2.0
#include "train/machine/software.h"

#include <cstdlib>

#include <ATen/Version.h>
#include <torch/version.h>

namespace organ::train {
namespace {

constexpr std::string_view kCpu = "cpu";

// What the environment takes from the libraries' own choice of instructions, which they do not
// tell: MKL's and oneDNN's.
constexpr const char* kChoices[] = {"DNNL_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS",
                                    "ONEDNN_MAX_CPU_ISA"};

}  // namespace

std::map<std::string, std::string> software_versions(const Device& device) {
  std::map<std::string, std::string> versions = {{"organ", ORGAN_VERSION},
                                                 {"torch", TORCH_VERSION}};
  std::string cpu = at::get_cpu_capability();
  for (const char* choice : kChoices) {
    const char* value = std::getenv(choice);
    if (value != nullptr) cpu.append(" ").append(choice).append("=").append(value);
  }
  versions.emplace(kCpu, std::move(cpu));
  if (!device.is_cpu()) versions["device"] = describe_device(device);
  return versions;
}

bool same_software(const std::map<std::string, std::string>& saved,
                   const std::map<std::string, std::string>& current) {
  auto expected = current;
  if (!saved.contains(std::string(kCpu))) expected.erase(std::string(kCpu));
  return saved == expected;
}

}  // namespace organ::train
