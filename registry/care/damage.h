// SPDX-License-Identifier: Apache-2.0
// What is wrong with one object of a registry. Plain values; sizes and offsets in bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "registry/log/log_entry.h"

#pragma GCC visibility push(default)

namespace organ::registry {

// An object that entries of the log need, and that is missing, has other bytes than its name says
// or makes no sense.
struct DamagedObject {
  BlobRef blob;  // what it must be
  // manifest | organ.json | config | file | signature | bundle | empty. `config` is the ModelPack
  // config; a manifest of kind `signature` attaches a `bundle` and has the `empty` config.
  std::string kind;
  // As people call it: a path of organ.json (layer.00.safetensors) for kind `file`, else words such
  // as "its manifest"; "a file of it" where no organ.json that can be read names the file.
  std::string file;
  // Nothing lies under its name. False for what cannot be read or is no regular file: `message`
  // says so.
  bool missing = false;
  bool folder = false;  // a folder lies under its name, which only repair puts away
  // What is wrong with it as a whole, for people.
  std::string message;
  // The pieces whose bytes are wrong, where the digests of organ.json tell: half-open ranges of the
  // object, in order. One range over all of it where nothing tells, or nothing can be read. None
  // where every piece is right and the whole is not: it is too long, or organ.json contradicts
  // itself.
  struct Piece {
    std::uint64_t begin = 0, end = 0;
  };
  std::vector<Piece> pieces;
  // Names of tensors of the file whose own bytes are wrong. Empty also where the pieces are not
  // known, and where the damage lies between or before the tensors.
  std::vector<std::string> tensors;
  // NAME:VERSION of those that need it, each once, in log order.
  std::vector<std::string> versions;
};

}  // namespace organ::registry

#pragma GCC visibility pop
