// SPDX-License-Identifier: Apache-2.0
// verify_folder FOLDER PUBLIC_KEY: the library's verdict on an organ folder as an exit code, for
// tests that start programs.
#include <algorithm>
#include <iostream>

#include "format/base/error.h"
#include "format/signature/verification.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: verify_folder FOLDER PUBLIC_KEY\n";
    return 2;
  }
  try {
    organ::format::VerifyOptions options;
    options.keys = {organ::format::PublicKey::load(argv[2])};
    int code = 0;
    for (const auto& finding : organ::format::verify_organ_folder(argv[1], options).findings) {
      std::cout << finding.subject << ": " << finding.message << '\n';
      const int worse = organ::exit_code(finding.code);
      code = worse == 4 || code == 4 ? 4 : std::max(code, worse);
    }
    return code;
  } catch (const organ::Error& error) {
    std::cerr << error.what() << '\n';
    return organ::exit_code(error.code());
  }
}
