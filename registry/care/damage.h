// SPDX-License-Identifier: Apache-2.0
// What is wrong with one object of a registry. Plain values; sizes and offsets in bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "registry/log/log_entry.h"

#pragma GCC visibility push(default)

namespace organ::registry {

struct DamagedObject {
  BlobRef blob;
  std::string kind;  // manifest | organ.json | config | file | signature | bundle | empty
  std::string file;  // as people call it: layer.00.safetensors
  bool missing = false;
  std::string message;  // what is wrong with it as a whole
  // The pieces whose bytes are wrong, where the digests of organ.json tell: half-open ranges of the
  // object, in order.
  struct Piece {
    std::uint64_t begin = 0, end = 0;
  };
  std::vector<Piece> pieces;
  std::vector<std::string> tensors;   // whose own bytes are wrong
  std::vector<std::string> versions;  // NAME:VERSION, in log order, that need it
};

}  // namespace organ::registry

#pragma GCC visibility pop
