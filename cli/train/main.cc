// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/program.h"
#include "cli/train/commands.h"

int main(int argc, char** argv) {
  return organ::cli::run_program(organ::cli::kTrainProgramCommands, argc, argv);
}
