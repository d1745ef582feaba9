// SPDX-License-Identifier: Apache-2.0
// torch_probe read                     reads paths of torch files from stdin and prints one line
// for
//                                      each: "ok" and the tensors as JSON, or the error
// torch_probe write IN.safetensors OUT writes the tensors as torch.save would
#include <fcntl.h>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "format/base/error.h"
#include "format/base/json.h"
#include "format/pickle/torch_file.h"
#include "format/pickle/torch_writer.h"

namespace {

using organ::Json;

// In pieces that split elements, as no reader of a file would ask for them.
std::string digest_of(const organ::format::TensorSource& source) {
  constexpr std::uint64_t kPiece = 13;
  organ::Sha256Hasher hasher;
  std::vector<std::byte> piece(kPiece);
  for (std::uint64_t at = 0; at < source.info.size; at += piece.size()) {
    piece.resize(std::min(kPiece, source.info.size - at));
    source.read(at, piece);
    hasher.update(piece);
  }
  return hasher.finish().hex();
}

Json describe(const organ::format::TorchFile& file) {
  file.check();
  Json tensors = Json::object();
  for (const auto& tensor : file.tensors()) {
    tensors[tensor.name] = {to_string(tensor.dtype), tensor.shape,
                            digest_of(file.source(tensor, tensor.name))};
  }
  return tensors;
}

void read_paths() {
  for (std::string path; std::getline(std::cin, path);) {
    try {
      const Json description = describe(organ::format::TorchFile::open(path));
      std::cout << "ok " << description.dump() << std::endl;
    } catch (const organ::Error& error) {
      std::cout << to_string(error.code()) << ": " << error.what() << std::endl;
    }
  }
}

void write(const std::string& from, const std::string& to) {
  const auto file = organ::format::SafetensorsFile::open(from);
  std::vector<organ::format::TensorSource> sources;
  for (const auto& tensor : file.header().tensors) {
    sources.push_back(organ::format::file_source(tensor, file, tensor));
  }
  const organ::UniqueFd fd(::open(to.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  organ::format::write_torch_file(fd.get(), sources, to);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "read" && argc == 2) {
    read_paths();
  } else if (mode == "write" && argc == 4) {
    write(argv[2], argv[3]);
  } else {
    std::cerr << "usage: torch_probe read <PATHS | write IN.safetensors OUT\n";
    return 2;
  }
  return 0;
}
