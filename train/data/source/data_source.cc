// SPDX-License-Identifier: Apache-2.0
#include "train/data/source/data_source.h"

#include "format/base/fail.h"

namespace organ::train {
namespace {

constexpr std::size_t kNameLimit = 255;  // NAME_MAX of the file systems of Linux

std::filesystem::path checked_name(std::string name) {
  const bool possible = !name.empty() && name.size() <= kNameLimit && name != "." && name != ".." &&
                        name.find_first_of(std::string_view("/\0", 2)) == std::string::npos;
  if (possible) return name;
  fail(ErrorCode::invalid_argument,
       "data in memory: name {} is none that a file can have, expected 1 to {} bytes, no slash",
       quote(name), kNameLimit);
}

}  // namespace

TextSource TextSource::in_memory(std::string name, std::string_view bytes) {
  TextSource source(checked_name(std::move(name)));
  source.memory_ = bytes;
  return source;
}

IdsSource IdsSource::in_memory(std::string name, const Rows& rows) {
  IdsSource source(checked_name(std::move(name)));
  source.memory_ = rows;
  return source;
}

}  // namespace organ::train
