// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/internal/spinning.h"

#include <charconv>
#include <cstdlib>
#include <string>

#include "format/base/error.h"
#include "format/base/file.h"

namespace organ::cli {
namespace {

constexpr double kBusy = 10;  // percent; a run just ended on an idle machine leaves under 1

std::string pressure_of_machine() {
  try {
    return read_kernel_file("/proc/pressure/cpu", 4096);
  } catch (const Error&) {  // a kernel without pressure figures: nothing is known
    return "";
  }
}

bool several_processes_train() {
  const char* size = std::getenv("WORLD_SIZE");
  return size != nullptr && std::string_view(size) != "1";
}

}  // namespace

std::optional<double> processor_pressure(std::string_view pressure) {
  constexpr std::string_view kBefore = "some avg10=";
  if (!pressure.starts_with(kBefore)) return std::nullopt;
  const char* first = pressure.data() + kBefore.size();
  const char* last = pressure.data() + pressure.size();
  double percent = 0;
  if (std::from_chars(first, last, percent).ec != std::errc{}) return std::nullopt;
  return percent;
}

std::optional<std::string_view> spin_count(std::string_view pressure, bool several_processes) {
  const std::optional<double> percent = processor_pressure(pressure);
  const bool idle = percent && *percent < kBusy;
  if (idle && !several_processes) return std::nullopt;
  return kBusySpinCount;
}

void choose_spinning() {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  const auto count = spin_count(pressure_of_machine(), several_processes_train());
  if (count) ::setenv("GOMP_SPINCOUNT", std::string(*count).c_str(), 0);
}

}  // namespace organ::cli
