// SPDX-License-Identifier: Apache-2.0
// Input: a file of torch.save.
#include <fcntl.h>

#include <algorithm>
#include <vector>

#include "format/base/file.h"
#include "format/pickle/torch_file.h"
#include "format/pickle/torch_writer.h"
#include "tests/fuzz/scratch.h"

namespace organ::format {
namespace {

using fuzz::demand;

constexpr std::uint64_t kRead = 1 << 20;  // tensors beyond are only described

std::vector<std::byte> bytes_of(const TorchFile& file, const TorchTensor& tensor) {
  std::vector<std::byte> bytes(tensor.size);
  file.source(tensor, tensor.name).read(0, bytes);
  return bytes;
}

// What was read is written, and read again as the same.
void check_accepted(const TorchFile& file, const std::filesystem::path& folder) {
  std::vector<TensorSource> sources;
  for (const TorchTensor& tensor : file.tensors()) {
    if (tensor.size <= kRead) sources.push_back(file.source(tensor, tensor.name));
  }
  const auto path = folder / "again";
  {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    write_torch_file(fd.get(), sources, "again");
  }
  const auto again = TorchFile::open(path);
  again.check();
  demand(again.tensors().size() == sources.size(), "as many tensors are read again");
  std::size_t next = 0;
  for (const TorchTensor& tensor : file.tensors()) {
    if (tensor.size > kRead) continue;
    const TorchTensor& other = again.tensors()[next++];
    demand(other.name == tensor.name && other.dtype == tensor.dtype && other.shape == tensor.shape,
           "a tensor is described as it was");
    demand(bytes_of(again, other) == bytes_of(file, tensor), "and has its bytes");
  }
}

void run(std::string_view input) {
  static const fuzz::Scratch scratch;
  fuzz::overwrite(scratch.path() / "given", input);
  fuzz::expect({ErrorCode::corrupt, ErrorCode::incompatible},
               [&] { check_accepted(TorchFile::open(scratch.path() / "given"), scratch.path()); });
}

}  // namespace
}  // namespace organ::format

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  organ::format::run(organ::fuzz::text_of(data, size));
  return 0;
}
