// SPDX-License-Identifier: Apache-2.0
// The energy that the machine's own meters count while a command runs: processor packages and
// memory by Linux's powercap (RAPL), GPUs by NVML. What is not metered is absent, never estimated.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace organ::train {

// What one meter has counted since its EnergyMeter was made.
struct EnergyDomain {
  // A package is called as powercap labels it, memory by the number of its package's zone, a GPU by
  // its index in NVML.
  std::string name;  // package-0, dram-0, gpu-0
  double joules = 0;
};

struct EnergyReading {
  std::vector<EnergyDomain> domains;  // empty: nothing is metered here
  std::vector<std::string> missing;   // why, a line for each meter that cannot be read
  // Of all domains; 0 without any.
  double joules() const;
};

struct EnergyOptions {
  // The folder with the zones intel-rapl:N, as AMD's processors have them too.
  std::filesystem::path powercap = "/sys/class/powercap";
  // File name of NVIDIA's management library, loaded at run time. Where there is none, or no
  // driver, no GPU is missing.
  std::string nvml = "libnvidia-ml.so.1";
  // Between two looks at the meters; shorter than the time in which one wraps around (a quarter of
  // an hour at 300 W).
  std::chrono::milliseconds interval{10'000};
};

class EnergyCounter;  // one meter

// Counts from construction on, with a thread that looks at the meters now and then. The figures are
// of the whole machine: other programs on it count too. Never throws for a meter that cannot be
// read. read() is thread-safe. A meter that fails later is taken out with all that it counted, and
// `missing` says why. Where the system gives no thread, nothing is metered.
class EnergyMeter {
 public:
  explicit EnergyMeter(const EnergyOptions& options = {});
  ~EnergyMeter();
  EnergyMeter(const EnergyMeter&) = delete;
  EnergyMeter& operator=(const EnergyMeter&) = delete;

  // What has been counted until now. The meters are looked at first; may be asked any number of
  // times.
  EnergyReading read();

 private:
  struct Nvml;
  void find_powercap(const std::filesystem::path& root);
  void find_gpus(const std::string& library);
  void sample();
  void watch(const std::stop_token& stop, std::chrono::milliseconds interval);

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::unique_ptr<Nvml> nvml_;
  std::vector<std::unique_ptr<EnergyCounter>> counters_;
  std::vector<std::string> missing_;
  std::optional<std::jthread> thread_;  // last: it uses the others
};

}  // namespace organ::train
