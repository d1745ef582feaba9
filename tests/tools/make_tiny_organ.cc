// SPDX-License-Identifier: Apache-2.0
// make_tiny_organ FOLDER KEY_PREFIX: an organ folder of a few kilobytes and a key pair, for test
// scripts.
#include <iostream>

#include "format/base/error.h"
#include "format/base/file.h"
#include "format/signing.h"
#include "tests/support/tiny_organ.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: make_tiny_organ FOLDER KEY_PREFIX\n";
    return 2;
  }
  try {
    organ::test::write_tiny_organ(argv[1]);
    const std::string prefix = argv[2];
    const auto key = organ::format::SecretKey::generate(organ::format::Curve::p256);
    key.save(prefix + ".key", "");
    organ::write_file(prefix + ".pub", key.public_key().pem());
  } catch (const organ::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
