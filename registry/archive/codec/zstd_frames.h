// SPDX-License-Identifier: Apache-2.0
// Zstandard frames (RFC 8878) of known size: one frame, no dictionary, no window beyond the
// content. Not thread-safe: one object a thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace organ::archive {

class ZstdFrames {
 public:
  ZstdFrames();
  ~ZstdFrames();
  ZstdFrames(ZstdFrames&&) noexcept;
  ZstdFrames& operator=(ZstdFrames&&) noexcept;

  // Appends a frame of `bytes` to `out` and returns true, or leaves `out` as it was and returns
  // false when the frame would not be shorter than `most`. Throws bad_alloc, internal.
  //
  // What has no repetitions but a skewed distribution, as exponents have: Huffman codes alone.
  bool append_literals(std::span<const std::byte> bytes, std::size_t most,
                       std::vector<std::byte>& out);
  // What may have repetitions.
  bool append(std::span<const std::byte> bytes, std::size_t most, std::vector<std::byte>& out);

  // Fills `out` from exactly one frame that has exactly its bytes. Throws corrupt for anything
  // else: another size, bytes behind the frame, a dictionary, a skippable frame, a wrong checksum.
  void decode(std::span<const std::byte> frame, std::span<std::byte> out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace organ::archive
