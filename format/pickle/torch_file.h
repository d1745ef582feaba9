// SPDX-License-Identifier: Apache-2.0
// Files of torch.save that hold tensors: state dicts, and lists and dicts of them. Both layouts,
// the ZIP of torch 1.6 and later and the stream of before (schemas/torch.md). Read without torch
// and without calling anything: a pickle that names a function gets no further than its name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/handle.h"
#include "format/base/progress.h"
#include "format/tensor/safetensors.h"

#pragma GCC visibility push(default)

namespace organ::format {

// One tensor of such a file. Its elements lie where `strides` says: (i, j, …) at
// i * strides[0] + j * strides[1] + … elements behind `begin`.
struct TorchTensor {
  std::string name;  // keys on the way to it, joined with dots: "layers.0.mlp.up_proj.weight"
  DType dtype = DType::F32;
  Shape shape, strides;     // in elements
  std::uint64_t begin = 0;  // of element (0, 0, …), in bytes from the start of the file
  std::uint64_t size = 0;   // bytes of its elements, one behind the other
};

// An open file. Move-only; reading is thread-safe.
class TorchFile {
 public:
  // Reads what the file says of its tensors; their bytes are read later. Throws not_found, io,
  // corrupt (damage; a global, an opcode or a layout that weights do not need, by name and place; a
  // limit passed; no file of torch.save at all), incompatible (numbers of the other byte order, an
  // element type that safetensors lacks, a conjugated or negated view, a TorchScript program, a tar
  // archive of torch before 0.1.10).
  static TorchFile open(const std::filesystem::path& path);

  // What begins so is worth an open(): a ZIP file or a pickle of protocol 2 to 5. The first four
  // bytes are enough.
  static bool looks_like_one(std::string_view first_bytes);

  const std::string& subject() const { return subject_; }
  int fd() const { return fd_.get(); }
  const std::vector<TorchTensor>& tensors() const { return tensors_; }  // in the order of the file

  // Compares the checksums that the file has (ZIP: one of each member). Throws corrupt, io,
  // cancelled; `work` is told of checked_size() bytes.
  void check(const Work& work = {}) const;
  std::uint64_t checked_size() const;

  // The tensor under a name of its own, in C order whatever its strides are. Borrows the file,
  // which must not be moved, and `tensor`. Its reads throw io, corrupt when the file was cut off. A
  // tensor that does not lie so is held in memory while it is read, with what lies between its
  // elements (up to 8 times its size): read it once, in order, on one thread. One that lies wider
  // apart is read element by element.
  TensorSource source(const TorchTensor& tensor, std::string name) const;

 private:
  struct Member {
    std::string name;
    std::uint64_t begin, size;
    std::uint32_t crc;
  };

  UniqueFd fd_;
  std::string subject_;
  std::vector<TorchTensor> tensors_;
  std::vector<Member> members_;  // none in a stream
};

}  // namespace organ::format

#pragma GCC visibility pop
