// SPDX-License-Identifier: Apache-2.0
#include "train/machine/energy.h"

#include <filesystem>

#include <doctest/doctest.h>

#include "format/base/file.h"
#include "tests/support/paths.h"
#include "tests/support/support.h"

namespace organ::train {
namespace {

namespace fs = std::filesystem;

// A folder like /sys/class/powercap.
struct Powercap {
  void zone(const std::string& name, const std::string& label, std::uint64_t microjoules,
            std::uint64_t range = 1'000'000) const {
    fs::create_directories(root() / name);
    write_file(root() / name / "name", label + "\n");
    write_file(root() / name / "max_energy_range_uj", std::to_string(range) + "\n");
    set(name, microjoules);
  }
  void set(const std::string& name, std::uint64_t microjoules) const {
    write_file(root() / name / "energy_uj", std::to_string(microjoules) + "\n");
  }
  // No driver library of that name exists; a long interval leaves the meter to read().
  EnergyOptions options() const {
    return {.powercap = root(), .nvml = "no-such-library.so", .interval = std::chrono::hours(1)};
  }
  const fs::path& root() const { return folder.path(); }
  TempFolder folder = test::scratch();
};

}  // namespace

TEST_CASE("packages and memory are counted, what they contain and what contains them is not") {
  const Powercap powercap;
  powercap.zone("intel-rapl:0", "package-0", 100);
  powercap.zone("intel-rapl:0:0", "core", 50);
  powercap.zone("intel-rapl:0:1", "dram", 10);
  powercap.zone("intel-rapl:1", "psys", 500);
  powercap.zone("intel-rapl-mmio:0", "package-0", 100);
  fs::create_directories(powercap.root() / "intel-rapl");
  EnergyMeter meter(powercap.options());
  for (const char* zone :
       {"intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:1", "intel-rapl-mmio:0"}) {
    powercap.set(zone, 500'600);
  }
  const auto reading = meter.read();
  REQUIRE(reading.domains.size() == 2);
  CHECK(reading.domains[0].name == "package-0");
  CHECK(reading.domains[0].joules == doctest::Approx(0.5005));
  CHECK(reading.domains[1].name == "dram-0");
  CHECK(reading.domains[1].joules == doctest::Approx(0.50059));
  CHECK(reading.joules() == doctest::Approx(1.00109));
  CHECK(reading.missing.empty());
}

TEST_CASE("a meter that wraps around goes on") {
  const Powercap powercap;
  powercap.zone("intel-rapl:0", "package-0", 900'000);
  EnergyMeter meter(powercap.options());
  powercap.set("intel-rapl:0", 200'000);
  CHECK(meter.read().joules() == doctest::Approx(0.3));
  powercap.set("intel-rapl:0", 100'000);
  CHECK(meter.read().joules() == doctest::Approx(1.2));
}

TEST_CASE("the meter looks by itself, so that no turn is missed") {
  const Powercap powercap;
  powercap.zone("intel-rapl:0", "package-0", 900'000);
  EnergyOptions options = powercap.options();
  options.interval = std::chrono::milliseconds(1);
  EnergyMeter meter(options);
  double joules = 0;
  for (const std::uint64_t value : {100'000, 800'000, 100'000, 800'000}) {
    powercap.set("intel-rapl:0", value);
    joules += value == 100'000 ? (joules == 0 ? 0.2 : 0.3) : 0.7;
    // read() itself looks too; a thousand looks of its own thread lie in this second.
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
  }
  CHECK(meter.read().joules() == doctest::Approx(joules));
}

TEST_CASE("what cannot be read is absent, with a reason") {
  const Powercap powercap;
  const auto missing = [&] { return EnergyMeter(powercap.options()).read(); };
  CHECK(missing().domains.empty());
  REQUIRE(missing().missing.size() == 1);
  CHECK(missing().missing[0].find("has no RAPL package") != std::string::npos);

  powercap.zone("intel-rapl:0", "package-0", 1);
  write_file(powercap.root() / "intel-rapl:0" / "energy_uj", "many\n");
  CHECK(missing().domains.empty());
  CHECK(missing().missing[0].find("expected a number, got 'many'") != std::string::npos);

  powercap.zone("intel-rapl:0", "package-0", 1);
  EnergyMeter meter(powercap.options());
  fs::remove(powercap.root() / "intel-rapl:0" / "energy_uj");
  const auto lost = meter.read();
  CHECK(lost.domains.empty());
  CHECK(lost.missing.size() == 1);

  EnergyOptions nowhere = powercap.options();
  nowhere.powercap = powercap.root() / "absent";
  CHECK(EnergyMeter(nowhere).read().missing.size() == 1);
}

TEST_CASE("GPUs are counted by their driver's library") {
  const Powercap powercap;
  powercap.zone("intel-rapl:0", "package-0", 100);
  EnergyOptions options = powercap.options();
  options.nvml = test::kMadeNvml;
  EnergyMeter meter(options);
  const auto reading = meter.read();
  REQUIRE(reading.domains.size() == 2);
  CHECK(reading.domains[1].name == "gpu-0");
  CHECK(reading.domains[1].joules == doctest::Approx(1.5));
  REQUIRE(reading.missing.size() == 1);
  CHECK(reading.missing[0] == "gpu-1: NVML reads no energy (code 3)");
}

TEST_CASE("a meter that goes back without a range has lost its figure") {
  const Powercap powercap;
  powercap.zone("intel-rapl:0", "package-0", 900, 500);
  EnergyMeter meter(powercap.options());
  powercap.set("intel-rapl:0", 100);
  const auto reading = meter.read();
  CHECK(reading.domains.empty());
  REQUIRE(reading.missing.size() == 1);
  CHECK(reading.missing[0] == "package-0: the meter went back from 900 to 100");
}

}  // namespace organ::train
