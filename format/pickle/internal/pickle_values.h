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
std::string_view to_string(Kind kind);

struct Value {
  Kind kind = Kind::none;
  std::int64_t number = 0;  // the integer, the truth, or the place in the table of its kind
};

// A run of equal elements that tensors look at; `type` absent: bytes.
struct StorageRef {
  std::string_view key;
  std::optional<DType> type;
  std::uint64_t elements = 0;

  std::uint64_t element_bytes() const { return type ? bit_width(*type) / 8 : 1; }
};

// Element (i, j, …) lies `offset` + i * strides[0] + j * strides[1] + … elements behind the start
// of the storage, and inside it.
struct TensorRef {
  std::size_t storage = 0;
  DType type = DType::F32;
  std::uint64_t offset = 0;
  Shape shape, strides;
};

// One pickle, run to its end. Borrows the bytes it was read from.
struct Pickled {
  Value root;
  std::vector<std::string_view> texts;
  std::vector<std::vector<Value>> containers;
  std::vector<StorageRef> storages;
  std::vector<TensorRef> tensors;
  std::size_t end = 0;  // behind its last opcode

  std::string_view text(const Value& value) const {
    return texts[static_cast<std::size_t>(value.number)];
  }
  const std::vector<Value>& items(const Value& value) const {
    return containers[static_cast<std::size_t>(value.number)];
  }
};

// The most that one pickle may be made of.
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
