// SPDX-License-Identifier: Apache-2.0
// Help texts of 80 columns.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

namespace organ::cli {

// `text` in lines of at most 80 columns, cut at spaces, without the last line's end. It begins at
// `column`, its other lines behind `indent` spaces; a word that is longer stands alone.
std::string wrapped(std::string_view text, std::size_t column, std::size_t indent);

// Names on the left, what they mean on the right, as CLI11 has it, but cut into lines.
// CLI11 calls these for the parts of a help text; each gives whole lines, but make_option_opts,
// which gives what stands behind an option's name ("N=0", "FILE ... REQUIRED").
class Formatter : public CLI::Formatter {
 public:
  std::string make_description(const CLI::App* app) const override;
  std::string make_usage(const CLI::App* app, std::string name) const override;
  std::string make_subcommand(const CLI::App* command) const override;
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
};

}  // namespace organ::cli
