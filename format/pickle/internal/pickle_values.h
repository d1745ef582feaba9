// SPDX-License-Identifier: Apache-2.0
// What a pickle of weights is made of. Values are small; what they point to lies in tables, so that
// no opcode costs more memory than a few words and a list that holds itself is no trap.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "format/tensor/tensor.h"

namespace organ::format::internal {

// What Value::number is for each: of boolean 0 or 1, of integer its value; of big_integer, text and
// bytes the place in Pickled::texts, of tuple, list and dict in Pickled::containers, of storage and
// tensor in the tables of those names, of global in the closed list of torch_calls.cc; else 0.
enum class Kind : std::uint8_t {
  none,
  boolean,
  integer,
  big_integer,  // beyond 64 bits: its bytes are text number `number`
  real,         // its value is of no interest here
  text,
  bytes,
  tuple,
  list,
  dict,  // its container holds key, value, key, value, …
  global,
  storage,
  tensor,
  other,  // a device, an element type: sound, and nothing that is read
};
// With its article, for messages: "a tuple", "None".
std::string_view to_string(Kind kind);

// Means something only beside the Pickled (or the machine) that it came from.
struct Value {
  Kind kind = Kind::none;
  std::int64_t number = 0;  // the integer, the truth, or the place in the table of its kind
};

// A run of equal elements that tensors look at; `type` absent: bytes. A storage that is named
// several times is listed as often, under one key.
struct StorageRef {
  std::string_view key;
  std::optional<DType> type;
  std::uint64_t elements = 0;

  std::uint64_t element_bytes() const { return type ? bit_width(*type) / 8 : 1; }
};

// Element (i, j, …) lies `offset` + i * strides[0] + j * strides[1] + … elements behind the start
// of the storage, and inside it: that was checked, with every sum against overflow. Offset and
// strides count elements of `type`, not bytes. An empty tensor may have any offset and strides.
struct TensorRef {
  std::size_t storage = 0;  // its place in Pickled::storages
  DType type = DType::F32;
  std::uint64_t offset = 0;
  Shape shape, strides;
};

// One pickle, run to its end. Borrows the bytes it was read from: texts and keys are views of them,
// undecoded, and need not be UTF-8. A container may hold itself, at any depth.
struct Pickled {
  Value root;
  std::vector<std::string_view> texts;
  std::vector<std::vector<Value>> containers;
  std::vector<StorageRef> storages;
  std::vector<TensorRef> tensors;
  std::size_t end = 0;  // behind its last opcode

  // Of a text, bytes or big_integer, and of no other kind.
  std::string_view text(const Value& value) const {
    return texts[static_cast<std::size_t>(value.number)];
  }
  // Of a tuple, list or dict, and of no other kind.
  const std::vector<Value>& items(const Value& value) const {
    return containers[static_cast<std::size_t>(value.number)];
  }
};

// The most that one pickle may be made of; beyond it is corrupt. `bytes` is the readers' to keep:
// of data.pkl, of a stream all its pickles together.
struct PickleLimits {
  std::uint64_t bytes = std::uint64_t{32} << 20;
  std::size_t stack = 1'000'000;  // also: items of one container while it is filled
  std::size_t texts = 2'000'000;
  std::size_t containers = 2'000'000;
  std::size_t items = 4'000'000;  // values in all containers together
  std::size_t memo = 1'000'000;
  std::size_t tensors = 65'536;
  unsigned rank = 8;
  unsigned depth = 16;             // of containers in containers, when names are made
  std::uint64_t name_bytes = 512;  // of a tensor; of the key of a storage too
};

}  // namespace organ::format::internal
