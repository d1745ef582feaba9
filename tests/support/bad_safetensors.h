// SPDX-License-Identifier: Apache-2.0
// Malformed safetensors files, each with the words its refusal must hold. One table serves the
// unit tests, the comparison with the reference reader and the command line tests
// (tests/tools/safetensors_probe.cc writes it to a folder).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace organ::test {

// 8 + N bytes of header, then data.
inline std::string safetensors_bytes(std::string_view header, std::string_view data = {}) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(static_cast<std::uint64_t>(header.size()) >> (8 * i) & 0xff);
  }
  return bytes.append(header).append(data);
}

struct BadSafetensors {
  std::string name;
  std::string bytes;
  std::string_view expected;  // part of the message; the class is always corrupt
};

std::vector<BadSafetensors> bad_safetensors();

}  // namespace organ::test
