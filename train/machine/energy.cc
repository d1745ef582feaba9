// SPDX-License-Identifier: Apache-2.0
#include "train/machine/energy.h"

#include <charconv>
#include <functional>
#include <numeric>
#include <optional>
#include <utility>

#include <dlfcn.h>
#include <fmt/core.h>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/try_thread.h"

namespace organ::train {

// A meter that only rises, but for starting again at 0 behind `range`.
class EnergyCounter {
 public:
  using Read = std::function<std::uint64_t()>;  // throws Error
  // `unit` joules a count; range 0: never wraps. Throws what `read` throws.
  EnergyCounter(std::string name, double unit, std::uint64_t range, Read read)
      : name_(std::move(name)),
        unit_(unit),
        range_(range),
        read_(std::move(read)),
        last_(read_()) {}

  const std::string& name() const { return name_; }
  double joules() const { return static_cast<double>(sum_) * unit_; }

  void sample() {
    const std::uint64_t now = read_();
    if (now >= last_) {
      sum_ += now - last_;
    } else if (range_ >= last_) {
      sum_ += range_ - last_ + now;
    } else {
      fail(ErrorCode::io, "{}: the meter went back from {} to {}", name_, last_, now);
    }
    last_ = now;
  }

 private:
  std::string name_;
  double unit_;
  std::uint64_t range_;
  Read read_;
  std::uint64_t last_;
  std::uint64_t sum_ = 0;
};

namespace {

constexpr std::uint64_t kLineLimit = 256;
constexpr double kMicrojoule = 1e-6, kMillijoule = 1e-3;

// The one line of a file in /sys.
std::string read_line(const std::filesystem::path& path) {
  std::string text = read_kernel_file(path, kLineLimit);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::uint64_t read_number(const std::filesystem::path& path) {
  const std::string text = read_line(path);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    fail(ErrorCode::corrupt, "{}: expected a number, got {}", quote(path.string()), quote(text));
  }
  return value;
}

// What a zone of powercap is called here; nullopt for zones that are part of another one. Zones
// are intel-rapl:N, also on AMD, with parts intel-rapl:N:M; the memory is no part of the package,
// cores and graphics are, and the whole platform (psys) holds the package.
std::optional<std::string> domain_name(std::string_view zone, const std::string& label) {
  constexpr std::string_view kPrefix = "intel-rapl:";
  if (!zone.starts_with(kPrefix)) return std::nullopt;
  const std::string_view place = zone.substr(kPrefix.size());
  const std::size_t colon = place.find(':');
  if (colon == std::string_view::npos && label.starts_with("package")) return escape_text(label);
  if (colon != std::string_view::npos && label == "dram") {
    return fmt::format("dram-{}", escape_text(place.substr(0, colon)));
  }
  return std::nullopt;
}

}  // namespace

// The few functions of NVIDIA's management library that are needed, found at run time; their
// signatures are part of its stable interface (nvml.h).
struct EnergyMeter::Nvml {
  using Device = void*;
  using DeviceCount = int (*)(unsigned*);
  using DeviceAt = int (*)(unsigned, Device*);
  using TotalEnergy = int (*)(Device, unsigned long long*);  // mJ since the driver was loaded
  using Plain = int (*)();

  void* library = nullptr;
  bool started = false;

  explicit Nvml(const std::string& name) : library(::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (library == nullptr) return;
    const auto start = find<Plain>("nvmlInit_v2");
    started = start != nullptr && start() == 0;
  }
  ~Nvml() {
    if (library == nullptr) return;
    const auto stop = find<Plain>("nvmlShutdown");
    if (started && stop != nullptr) stop();
    ::dlclose(library);
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  template <typename Function>
  Function find(const char* name) const {
    return reinterpret_cast<Function>(::dlsym(library, name));
  }
  unsigned device_count() const {
    unsigned count = 0;
    const auto get = find<DeviceCount>("nvmlDeviceGetCount_v2");
    return get != nullptr && get(&count) == 0 ? count : 0;
  }
  // Throws io.
  std::uint64_t millijoules(unsigned index) const {
    const auto at = find<DeviceAt>("nvmlDeviceGetHandleByIndex_v2");
    const auto energy = find<TotalEnergy>("nvmlDeviceGetTotalEnergyConsumption");
    Device device = nullptr;
    unsigned long long value = 0;
    const int code = at == nullptr || energy == nullptr ? -1
                     : at(index, &device) != 0          ? -1
                                                        : energy(device, &value);
    if (code != 0) fail(ErrorCode::io, "gpu-{}: NVML reads no energy (code {})", index, code);
    return value;
  }
};

double EnergyReading::joules() const {
  return std::accumulate(domains.begin(), domains.end(), 0.0,
                         [](double sum, const EnergyDomain& one) { return sum + one.joules; });
}

EnergyMeter::EnergyMeter(const EnergyOptions& options) {
  find_powercap(options.powercap);
  find_gpus(options.nvml);
  if (counters_.empty()) return;
  thread_ = try_thread(
      [this, interval = options.interval](const std::stop_token& stop) { watch(stop, interval); });
  if (thread_) return;
  missing_.emplace_back("the system gives no thread to watch the counters");
  counters_.clear();
}

EnergyMeter::~EnergyMeter() = default;

void EnergyMeter::find_powercap(const std::filesystem::path& root) {
  std::vector<std::string> zones;
  try {
    zones = list_folder(root);
  } catch (const Error& error) {
    missing_.push_back(error.message());
    return;
  }
  const std::size_t before = counters_.size() + missing_.size();
  for (const std::string& zone : zones) {
    if (!zone.starts_with("intel-rapl:")) continue;
    const auto folder = root / zone;
    try {
      const auto name = domain_name(zone, read_line(folder / "name"));
      if (!name) continue;
      const std::uint64_t range = read_number(folder / "max_energy_range_uj");
      counters_.push_back(std::make_unique<EnergyCounter>(
          *name, kMicrojoule, range, [path = folder / "energy_uj"] { return read_number(path); }));
    } catch (const Error& error) {
      missing_.push_back(error.message());
    }
  }
  if (counters_.size() + missing_.size() == before) {
    missing_.push_back(fmt::format("{}: has no RAPL package", quote(root.string())));
  }
}

void EnergyMeter::find_gpus(const std::string& library) {
  nvml_ = std::make_unique<Nvml>(library);
  if (!nvml_->started) return;  // no NVIDIA driver: nothing is missing
  for (unsigned index = 0; index < nvml_->device_count(); ++index) {
    try {
      counters_.push_back(
          std::make_unique<EnergyCounter>(fmt::format("gpu-{}", index), kMillijoule, 0,
                                          [this, index] { return nvml_->millijoules(index); }));
    } catch (const Error& error) {
      missing_.push_back(error.message());
    }
  }
}

// A meter that can no longer be read has lost its figure.
void EnergyMeter::sample() {
  std::erase_if(counters_, [&](const std::unique_ptr<EnergyCounter>& counter) {
    try {
      counter->sample();
      return false;
    } catch (const Error& error) {
      missing_.push_back(error.message());
      return true;
    }
  });
}

void EnergyMeter::watch(const std::stop_token& stop, std::chrono::milliseconds interval) {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, stop, interval, [&] { return stop.stop_requested(); })) sample();
}

EnergyReading EnergyMeter::read() {
  const std::lock_guard lock(mutex_);
  sample();
  EnergyReading reading;
  reading.missing = missing_;
  for (const auto& counter : counters_) {
    reading.domains.push_back({counter->name(), counter->joules()});
  }
  return reading;
}

}  // namespace organ::train
