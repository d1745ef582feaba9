// SPDX-License-Identifier: Apache-2.0
// difference_probe A B: figures of each tensor that both safetensors files have, as one JSON object
// by name; a word where they are not compared.
#include <iostream>

#include <nlohmann/json.hpp>

#include "format/base/error.h"
#include "format/tensor/difference.h"

namespace {

using nlohmann::json;
using organ::format::SafetensorsFile;

json number(const std::optional<double>& value) { return value ? json(*value) : json(); }

json figures_of(const SafetensorsFile& a, const SafetensorsFile& b, const std::string& name) {
  const auto& before = a.tensor(name);
  const auto& after = b.tensor(name);
  try {
    const auto figures = compare_tensors(organ::format::file_source(before, a, before),
                                         organ::format::file_source(after, b, after));
    return {{"elements", figures.elements},         {"changed", figures.changed},
            {"not_finite_a", figures.not_finite_a}, {"not_finite_b", figures.not_finite_b},
            {"max_abs", number(figures.max_abs)},   {"relative_l2", number(figures.relative_l2)},
            {"cosine", number(figures.cosine)}};
  } catch (const organ::Error& error) {
    return to_string(error.code());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: difference_probe A B\n";
    return 2;
  }
  const SafetensorsFile a = SafetensorsFile::open(argv[1]), b = SafetensorsFile::open(argv[2]);
  json all = json::object();
  for (const auto& tensor : a.header().tensors) {
    if (b.header().find(tensor.name) != nullptr) {
      all[tensor.name] = figures_of(a, b, tensor.name);
    }
  }
  std::cout << all.dump() << '\n';
}
