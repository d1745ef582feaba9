// SPDX-License-Identifier: Apache-2.0
#include "train/processes/process_place.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "format/base/fail.h"

namespace organ::train {
namespace {

using Variables = std::function<const char*(const char*)>;

constexpr int kMaxProcesses = 4096;

// Templates of containers pass variables that they set to nothing.
bool is_set(const Variables& variable, const char* name) {
  const char* value = variable(name);
  return value != nullptr && *value != '\0';
}

std::string text_of(const Variables& variable, const char* name) {
  if (is_set(variable, name)) return variable(name);
  throw Error(ErrorCode::invalid_argument,
              fmt::format("{}: is not set, but WORLD_SIZE says that several processes train", name),
              "torchrun sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT; or unset WORLD_SIZE");
}

int number_of(const Variables& variable, const char* name, int low, int high) {
  const std::string text = text_of(variable, name);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
    fail(ErrorCode::invalid_argument, "{}: {} is out of range, expected {} to {}", name,
         quote(text), low, high);
  }
  return value;
}

}  // namespace

std::optional<ProcessPlace> process_place(const Variables& variable) {
  if (!is_set(variable, "WORLD_SIZE")) return std::nullopt;
  ProcessPlace place;
  place.size = number_of(variable, "WORLD_SIZE", 1, kMaxProcesses);
  if (place.size == 1) return std::nullopt;
  place.rank = number_of(variable, "RANK", 0, place.size - 1);
  place.local_size = is_set(variable, "LOCAL_WORLD_SIZE")
                         ? number_of(variable, "LOCAL_WORLD_SIZE", 1, place.size)
                         : place.size;
  place.local_rank = is_set(variable, "LOCAL_RANK")
                         ? number_of(variable, "LOCAL_RANK", 0, place.local_size - 1)
                         : place.rank % place.local_size;
  place.address = text_of(variable, "MASTER_ADDR");
  place.port = static_cast<std::uint16_t>(number_of(variable, "MASTER_PORT", 1, 65535));
  return place;
}

std::optional<ProcessPlace> process_place() {
  return process_place([](const char* name) { return std::getenv(name); });
}

Device own_device(Device wanted, const std::optional<ProcessPlace>& place) {
  if (!wanted.is_cpu() && wanted.index < 0 && place) wanted.index = place->local_rank;
  return wanted;
}

}  // namespace organ::train
