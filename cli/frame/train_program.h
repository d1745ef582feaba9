// SPDX-License-Identifier: Apache-2.0
// organ-train, the program that holds the commands that need LibTorch, as organ runs it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace organ::cli {

// Where organ-train lies (beside this executable, else in libexec), if it was built.
std::optional<std::filesystem::path> find_train_program();

// What `organ-train ARGUMENT...` prints on stdout, 64 KiB at most. Throws io when it cannot be
// started or fails; its stderr is ours.
std::string output_of(const std::filesystem::path& program, std::vector<std::string> arguments);

// Runs organ-train with the same arguments and environment; does not return. Throws not_found, io.
[[noreturn]] void exec_train_program(char** argv);

}  // namespace organ::cli
