// SPDX-License-Identifier: Apache-2.0
// make_tiny_organ FOLDER [LAYERS [full]]: for the tests that start programs.
#include <iostream>
#include <string>

#include "format/base/error.h"
#include "tests/support/tiny_organ.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: make_tiny_organ FOLDER [LAYERS [full]]\n";
    return 2;
  }
  try {
    const auto layers = argc > 2 ? static_cast<unsigned>(std::stoul(argv[2])) : 1;
    organ::test::write_tiny_organ(argv[1], layers, argc > 3);
    return 0;
  } catch (const organ::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
