// SPDX-License-Identifier: Apache-2.0
// Settings under one name, for what the command line leaves open.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "cli/train/arguments.h"

namespace organ::cli {

// paper: those of arXiv 2601.13580, appendix D.
enum class Preset : std::uint8_t { none, paper };
// nullopt for what names no preset: Preset::none has no name, it is what stands without the option.
std::optional<Preset> parse_preset(std::string_view name);

// Sets what the preset names and `command`, already parsed, was not given; says what it is.
// Sets nothing for none.
void apply_preset(const Context& context, const Command& command, Preset preset,
                  TrainArguments& arguments);

}  // namespace organ::cli
