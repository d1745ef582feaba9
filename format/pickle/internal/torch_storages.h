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
  // Of the pickles; `pickled` borrows them, so a TorchContents is filled where it stays.
  std::string bytes;
  Pickled pickled;
  std::vector<std::uint64_t> places;  // in the file, of each of pickled.storages
};

// Both fill an empty TorchContents of an open file and look at no element of a storage. They
// throw corrupt (also for a storage that is absent or of another size, or is said to be two
// things), incompatible (big-endian numbers, and what PickleMachine throws so), io.
//
// The layout of torch 1.6 and later: NAME/data.pkl and NAME/data/KEY, everything in one folder
// NAME. `archive` is read_zip()'s of the same file. Incompatible too for a TorchScript program.
// Other members are passed over.
void read_torch_zip(int fd, const ZipArchive& archive, std::string_view subject,
                    TorchContents& contents);

// The layout of before, which torch still writes when asked: five pickles (a magic number, the
// version 1001, the machine, the object, the keys of the storages) and the storages, each behind
// its number of elements in 8 bytes; nothing may follow. The pickles must end within the first
// PickleLimits::bytes.
void read_torch_stream(int fd, std::string_view subject, TorchContents& contents);

// A tensor and the keys on the way to it.
struct NamedTensor {
  std::string name;
  std::size_t tensor;  // its place in Pickled::tensors
};

// All tensors of lists, tuples and dicts inside each other, in their order. Throws corrupt for two
// of one name, a name that organ does not take (tensor_name_flaw), a nesting too deep, a key that
// stands twice in a dict or is a real number. Names are the keys joined with dots, items of lists
// and tuples by their number; values that lead to no tensor are passed over.
std::vector<NamedTensor> name_tensors(const Pickled& pickled, std::string_view subject);

}  // namespace organ::format::internal
