// SPDX-License-Identifier: Apache-2.0
// Each line of stdin, a JSON value, as organ.json would have it.
#include <iostream>
#include <string>

#include "format/base/json_text.h"

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << organ::JsonText::parse(line).text() << '\n';
  }
}
