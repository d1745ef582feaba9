// SPDX-License-Identifier: Apache-2.0
#include "cli/train/resources.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "train/machine/memory.h"

namespace organ::cli {

void ResourceWatch::add_to(nlohmann::json& record, const train::Device& device) {
  const auto peak = train::peak_resident_bytes();
  record["peak_memory_bytes"] = peak ? nlohmann::json(*peak) : nlohmann::json();
  if (const auto bytes = train::peak_device_bytes(device)) record["peak_device_bytes"] = *bytes;
  const auto energy = meter_.read();
  record["energy"] = nullptr;
  if (energy.domains.empty()) return;
  nlohmann::json domains = nlohmann::json::array();
  for (const auto& one : energy.domains) {
    domains.push_back({{"name", one.name}, {"joules", one.joules}});
  }
  record["energy"] = {{"joules", energy.joules()}, {"domains", domains}};
}

void ResourceWatch::note(const Context& context, const train::Device& device) {
  const auto energy = meter_.read();
  for (const auto& line : energy.missing) context.detail("energy is not metered: " + line);
  std::string line;
  if (const auto peak = train::peak_resident_bytes()) {
    line = fmt::format("peak memory {:.0f} MiB", static_cast<double>(*peak) / (1 << 20));
  }
  if (const auto bytes = train::peak_device_bytes(device)) {
    line += fmt::format("{}on {} {:.0f} MiB", line.empty() ? "" : ", ", to_string(device),
                        static_cast<double>(*bytes) / (1 << 20));
  }
  if (!energy.domains.empty()) {
    line += fmt::format("{}energy of the machine {:.1f} J (", line.empty() ? "" : ", ",
                        energy.joules());
    for (std::size_t i = 0; i < energy.domains.size(); ++i) {
      line += fmt::format("{}{} {:.1f}", i ? ", " : "", energy.domains[i].name,
                          energy.domains[i].joules);
    }
    line += ")";
  }
  if (!line.empty()) context.note(line);
}

}  // namespace organ::cli
