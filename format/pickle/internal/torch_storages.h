// SPDX-License-Identifier: Apache-2.0
// Where the numbers of a file of torch lie: the one pickle that speaks of tensors, and the place of
// each storage that it names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/pickle/internal/pickle_values.h"
#include "format/pickle/internal/zip_archive.h"

namespace organ::format::internal {

struct TorchContents {
  std::string bytes;  // of the pickles; `pickled` borrows them
  Pickled pickled;
  std::vector<std::uint64_t> places;  // in the file, of each of pickled.storages
};

// The layout of torch 1.6 and later: NAME/data.pkl and NAME/data/KEY. Throws corrupt, incompatible.
void read_torch_zip(int fd, const ZipArchive& archive, std::string_view subject,
                    TorchContents& contents);

// The layout of before, which torch still writes when asked: five pickles and the storages.
void read_torch_stream(int fd, std::string_view subject, TorchContents& contents);

// A tensor and the keys on the way to it.
struct NamedTensor {
  std::string name;
  std::size_t tensor;
};

// All tensors of lists, tuples and dicts inside each other, in their order. Throws corrupt for two
// of one name, a name that organ does not take, a nesting too deep.
std::vector<NamedTensor> name_tensors(const Pickled& pickled, std::string_view subject);

}  // namespace organ::format::internal
