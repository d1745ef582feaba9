// SPDX-License-Identifier: Apache-2.0
#include "tests/train/support/watched_calls.h"

#include <atomic>
#include <optional>

#include <c10/core/Device.h>

#include "format/base/digest.h"
#include "format/base/fail.h"
#include "train/data/dataset.h"
#include "train/machine/start_machine.h"

namespace organ::test {
namespace {

std::atomic<std::uint64_t> built{0}, hashed{0};
std::optional<StartedMachine> last_start;

}  // namespace

// Under the names that --wrap gives them.
#define DATASET_FILL "_ZNK5organ5train7Dataset4fillElRKNS0_12WindowArraysEm"
#define HASH_RANGES                                                                  \
  "_ZN5organ11hash_rangesESt4spanIKNS_9HashRangeELm18446744073709551615EESt17basic_" \
  "string_viewIcSt11char_traitsIcEERKNS_4WorkE"
#define START_MACHINE "_ZN5organ5train13start_machineERKNS0_13MachineChoiceEj"
void real_fill(const train::Dataset* data, std::int64_t window, const train::WindowArrays& out,
               std::uint64_t epoch) __asm__("__real_" DATASET_FILL);
void seen_fill(const train::Dataset* data, std::int64_t window, const train::WindowArrays& out,
               std::uint64_t epoch) __asm__("__wrap_" DATASET_FILL);
std::vector<Digest> real_hash(std::span<const HashRange> ranges, std::string_view subject,
                              const Work& work) __asm__("__real_" HASH_RANGES);
std::vector<Digest> seen_hash(std::span<const HashRange> ranges, std::string_view subject,
                              const Work& work) __asm__("__wrap_" HASH_RANGES);
at::Device real_start(const train::MachineChoice& choice,
                      unsigned processes) __asm__("__real_" START_MACHINE);
at::Device seen_start(const train::MachineChoice& choice,
                      unsigned processes) __asm__("__wrap_" START_MACHINE);

void seen_fill(const train::Dataset* data, std::int64_t window, const train::WindowArrays& out,
               std::uint64_t epoch) {
  ++built;
  real_fill(data, window, out, epoch);
}

std::vector<Digest> seen_hash(std::span<const HashRange> ranges, std::string_view subject,
                              const Work& work) {
  hashed += total_size(ranges);
  return real_hash(ranges, subject, work);
}

at::Device seen_start(const train::MachineChoice& choice, unsigned processes) {
  last_start = {choice, processes};
  if (!choice.device.is_cpu()) fail(ErrorCode::device, "kept from other devices");
  return real_start(choice, processes);
}

std::uint64_t windows_built() { return built; }
std::uint64_t bytes_hashed() { return hashed; }

StartedMachine take_last_start() {
  const StartedMachine last = last_start.value();
  last_start.reset();
  return last;
}

}  // namespace organ::test
