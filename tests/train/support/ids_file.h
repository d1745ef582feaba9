// SPDX-License-Identifier: Apache-2.0
// Data sets made of given ids, by way of the file that `--ids` takes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "format/base/file.h"
#include "format/tensor/safetensors.h"
#include "tests/support/support.h"
#include "train/data/dataset.h"

namespace organ::test {

// Rows of `length` ids each.
inline train::Dataset dataset_of(std::span<const std::int64_t> ids, std::size_t length,
                                 std::uint64_t vocabulary,
                                 std::optional<train::RowPadding> padding = std::nullopt) {
  const TempFolder folder = scratch();
  const auto path = folder.path() / "ids.safetensors";
  const auto bytes = std::as_bytes(ids);
  AtomicFile file(path);
  format::write_safetensors(
      file.fd(),
      {format::memory_source(
          {"ids", format::DType::I64, {ids.size() / length, length}, 0, bytes.size()}, bytes)},
      {}, "ids");
  file.commit();
  return train::Dataset::from_ids(path, vocabulary, padding);
}

}  // namespace organ::test
