// SPDX-License-Identifier: Apache-2.0
#include "cli/program.h"
#include "cli/train_commands.h"

int main(int argc, char** argv) {
  return organ::cli::run_program(organ::cli::kTrainProgramCommands, argc, argv);
}
