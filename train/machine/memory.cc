// SPDX-License-Identifier: Apache-2.0
#include "train/machine/memory.h"

#include <charconv>
#include <climits>
#include <string>

#include <malloc.h>

#include "format/base/fail.h"
#include "format/base/file.h"

namespace organ::train {

void keep_large_blocks() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 64 << 20);
}

std::optional<std::uint64_t> peak_resident_bytes() {
  constexpr std::string_view kField = "VmHWM:";
  const std::string status = read_kernel_file("/proc/self/status", std::uint64_t{1} << 20);
  const std::size_t field = status.find(kField);
  if (field == std::string::npos) return std::nullopt;
  const std::size_t digit = status.find_first_of("0123456789", field);
  if (digit == std::string::npos) return std::nullopt;
  std::uint64_t kibibytes = 0;
  const auto result =
      std::from_chars(status.data() + digit, status.data() + status.size(), kibibytes);
  if (result.ec != std::errc()) return std::nullopt;
  return checked_mul(kibibytes, 1024, "VmHWM");
}

}  // namespace organ::train
