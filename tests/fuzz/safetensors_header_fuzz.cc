// SPDX-License-Identifier: Apache-2.0
// Input: two bytes, the size of the data section, then the header's JSON.
#include <algorithm>

#include "format/base/error.h"
#include "format/base/file.h"
#include "format/tensor/safetensors.h"
#include "tests/fuzz/target.h"

namespace organ::format {
namespace {

using fuzz::demand;

// A header that was let through tiles its data, and its canonical form says the same.
void check_accepted(const SafetensorsHeader& header) {
  std::uint64_t position = 0;
  for (const TensorInfo& tensor : header.tensors) {
    demand(tensor.offset == position, "tensors tile the data");
    demand(header.find(tensor.name) == &tensor, "a tensor is found by its name");
    position += tensor.size;
  }
  demand(header.data_start + position == header.file_size, "to the end of the file");
  auto tensors = header.tensors;
  const std::string prefix = canonical_header(tensors, header.metadata);
  const auto again = parse_safetensors_header(prefix, prefix.size() + position, "again");
  demand(again.metadata == header.metadata, "metadata is read again as it was written");
  demand(again.tensors.size() == header.tensors.size(), "so are as many tensors");
  demand(std::all_of(again.tensors.begin(), again.tensors.end(),
                     [&](const TensorInfo& tensor) {
                       const TensorInfo* original = header.find(tensor.name);
                       return original && original->dtype == tensor.dtype &&
                              original->shape == tensor.shape;
                     }),
         "and each of them");
}

void run(std::string_view input) {
  if (input.size() < 2) return;
  const std::uint64_t data_size = static_cast<unsigned char>(input[0]) +
                                  std::uint64_t{256} * static_cast<unsigned char>(input[1]);
  const std::string_view json = input.substr(2);
  std::string prefix(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) prefix[i] = static_cast<char>(json.size() >> (8 * i) & 0xff);
  prefix += json;
  fuzz::expect({ErrorCode::corrupt}, [&] {
    check_accepted(parse_safetensors_header(prefix, prefix.size() + data_size, "fuzz"));
  });
}

}  // namespace
}  // namespace organ::format

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  organ::format::run(organ::fuzz::text_of(data, size));
  return 0;
}
