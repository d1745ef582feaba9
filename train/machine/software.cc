// SPDX-License-Identifier: Apache-2.0
#include "train/machine/software.h"

#include <cstdlib>

#include <ATen/Version.h>
#include <torch/version.h>

#include "format/base/fail.h"

namespace organ::train {
namespace {

constexpr std::string_view kCpu = "cpu";

// What the environment takes from the libraries' own choice of instructions, which they do not
// tell: MKL's and oneDNN's.
constexpr const char* kChoices[] = {"DNNL_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS",
                                    "ONEDNN_MAX_CPU_ISA"};

}  // namespace

std::string torch_version_in(std::string_view config) {
  constexpr std::string_view kName = "TORCH_VERSION=";
  const std::size_t at = config.find(kName);
  const std::string_view rest = at == config.npos ? "" : config.substr(at + kName.size());
  const std::string_view version = rest.substr(0, rest.find_first_of(", \n"));
  if (version == TORCH_VERSION) return std::string(version);
  throw Error(ErrorCode::io,
              fmt::format("LibTorch: built with {}, loaded is {}", TORCH_VERSION,
                          version.empty() ? "one that says no version" : escape_text(version)),
              "LD_LIBRARY_PATH or LD_PRELOAD may name another one");
}

std::string torch_version() {
  static const std::string version = torch_version_in(at::show_config());
  return version;
}

std::map<std::string, std::string> software_versions(const Device& device) {
  std::map<std::string, std::string> versions = {{"organ", ORGAN_VERSION},
                                                 {"torch", torch_version()}};
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
