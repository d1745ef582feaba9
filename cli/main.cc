// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"
#include "cli/program.h"

int main(int argc, char** argv) {
  return organ::cli::run_program(organ::cli::kCommands, argc, argv);
}
