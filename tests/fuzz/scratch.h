// SPDX-License-Identifier: Apache-2.0
// A folder in memory for the targets whose parsers read files.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "tests/fuzz/target.h"

namespace organ::fuzz {

class Scratch {
 public:
  Scratch() {
    std::string name = "/dev/shm/organ_fuzz.XXXXXX";
    if (::access("/dev/shm", W_OK) != 0) name = "/tmp/organ_fuzz.XXXXXX";
    demand(::mkdtemp(name.data()) != nullptr, "a scratch folder can be made");
    path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline void overwrite(const std::filesystem::path& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  demand(file.good(), "a scratch file can be written");
}

}  // namespace organ::fuzz
