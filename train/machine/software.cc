// SPDX-License-Identifier: Apache-2.0
#include "train/machine/software.h"

#include <cstdlib>
#include <span>
#include <string_view>

#include <ATen/Version.h>
#include <fmt/core.h>
#include <torch/version.h>

#include "format/base/fail.h"
#include "train/machine/processor.h"

namespace organ::train {
namespace {

constexpr std::string_view kCpu = "cpu", kLibraries = "libraries", kProcessor = "processor";

// What the environment takes from the libraries' own choice of instructions, which they do not
// tell: MKL's and oneDNN's, whose variables have two names each.
constexpr const char* kChoices[] = {"DNNL_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS",
                                    "ONEDNN_MAX_CPU_ISA"};

// And from their choice of arithmetic.
constexpr const char* kArithmetic[] = {
    "DNNL_CPU_ISA_HINTS",   "DNNL_DEFAULT_FPMATH_MODE",   "MKL_DYNAMIC",
    "ONEDNN_CPU_ISA_HINTS", "ONEDNN_DEFAULT_FPMATH_MODE", "OPENBLAS_CORETYPE"};

// " NAME=VALUE" of those that are set.
std::string said_of(std::span<const char* const> names) {
  std::string said;
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value != nullptr) said.append(" ").append(name).append("=").append(value);
  }
  return said;
}

// The value of a setting that a LibTorch was built with, by a text of at::show_config(), or
// nothing.
std::string_view build_setting(std::string_view settings, std::string_view name) {
  const std::string before = fmt::format(" {}=", name);
  const auto start = settings.find(before);
  if (start == std::string_view::npos) return "";
  settings.remove_prefix(start + before.size());
  return settings.substr(0, settings.find_first_of(", \n"));
}

std::string libraries() {
  return fmt::format("LibTorch {}; {}; {}", build_setting(at::show_config(), "COMMIT_SHA"),
                     at::get_mkldnn_version(), at::get_mkl_version());
}

}  // namespace

std::string torch_version_in(std::string_view config) {
  const std::string_view version = build_setting(config, "TORCH_VERSION");
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
  versions.emplace(kCpu, at::get_cpu_capability() + said_of(kChoices));
  versions.emplace(kLibraries, libraries());
  versions.emplace(kProcessor, processor());
  const std::string arithmetic = said_of(kArithmetic);
  if (!arithmetic.empty()) versions.emplace("arithmetic", arithmetic.substr(1));
  if (!device.is_cpu()) versions["device"] = describe_device(device);
  return versions;
}

bool same_software(const std::map<std::string, std::string>& saved,
                   const std::map<std::string, std::string>& current) {
  auto expected = current;
  for (const std::string_view name : {kCpu, kLibraries, kProcessor}) {
    if (!saved.contains(std::string(name))) expected.erase(std::string(name));
  }
  return saved == expected;
}

std::string software_lines(const Device& device) {
  std::string lines;
  for (const auto& entry : software_versions(device)) {
    lines += fmt::format("{} {}\n", entry.first, entry.second);
  }
  return lines;
}

}  // namespace organ::train
