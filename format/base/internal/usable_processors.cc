// SPDX-License-Identifier: Apache-2.0
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "format/base/try_thread.h"

namespace organ {
namespace {

namespace fs = std::filesystem;

// OpenMP, asked by these, has bound the thread that loaded it to one place of several.
bool openmp_binds() {
  constexpr const char* kAsked[] = {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY"};
  return std::ranges::any_of(kAsked, [](const char* name) { return std::getenv(name) != nullptr; });
}

unsigned processors_of_thread() {
  if (openmp_binds()) return std::thread::hardware_concurrency();
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return std::thread::hardware_concurrency();
  return static_cast<unsigned>(CPU_COUNT(&set));
}

// What follows "0::/" in /proc/self/cgroup (cgroups, version 2); empty where that lies outside of
// what this process sees.
std::string own_group() {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("0::/")) return line.find("..") == line.npos ? line.substr(4) : "";
  }
  return {};
}

}  // namespace

std::optional<unsigned> processors_of_quota(const std::string& cpu_max) {
  constexpr std::uint64_t kMost = 65536;
  const char* end = cpu_max.data() + cpu_max.size();
  std::uint64_t quota = 0, period = 0;
  const auto first = std::from_chars(cpu_max.data(), end, quota);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ' ') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, period);
  if (second.ec != std::errc() || second.ptr != end || quota == 0 || period == 0) {
    return std::nullopt;
  }
  return static_cast<unsigned>(std::min(kMost, (quota - 1) / period + 1));
}

unsigned usable_processors() {
  unsigned least = processors_of_thread();
  const fs::path groups = "/sys/fs/cgroup";
  // A container sees its own group as the first; what is above binds it too.
  for (fs::path group = groups / own_group();; group = group.parent_path()) {
    std::ifstream file(group / "cpu.max");
    std::string line;
    if (std::getline(file, line))
      least = std::min(least, processors_of_quota(line).value_or(least));
    if (group == groups || !group.has_relative_path()) break;
  }
  return std::max(1U, least);
}

}  // namespace organ
