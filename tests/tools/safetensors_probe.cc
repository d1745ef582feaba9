// SPDX-License-Identifier: Apache-2.0
// safetensors_probe write FOLDER   writes the table of malformed files, NAME.safetensors each
// safetensors_probe read           reads paths from stdin and prints one line for each: "ok" and
//                                  the tensors as JSON, or the error
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include "format/base/error.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "format/tensor/safetensors.h"
#include "tests/support/bad_safetensors.h"

namespace {

using organ::Json;

Json describe(const organ::format::SafetensorsFile& file) {
  Json tensors = Json::object();
  for (const auto& tensor : file.header().tensors) {
    tensors[tensor.name] = {to_string(tensor.dtype), tensor.shape,
                            organ::sha256(file.read(tensor)).hex()};
  }
  return {{"tensors", tensors}, {"metadata", file.header().metadata}};
}

void read_paths() {
  for (std::string path; std::getline(std::cin, path);) {
    try {
      const Json description = describe(organ::format::SafetensorsFile::open(path));
      std::cout << "ok " << description.dump() << '\n';
    } catch (const organ::Error& error) {
      std::cout << to_string(error.code()) << ": " << error.what() << '\n';
    }
  }
}

void write_table(const std::filesystem::path& folder) {
  for (const auto& bad : organ::test::bad_safetensors()) {
    organ::write_file(folder / (bad.name + ".safetensors"), bad.bytes);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "read" && argc == 2) {
    read_paths();
  } else if (mode == "write" && argc == 3) {
    write_table(argv[2]);
  } else {
    std::cerr << "usage: safetensors_probe write FOLDER | read <PATHS\n";
    return 2;
  }
  return 0;
}
