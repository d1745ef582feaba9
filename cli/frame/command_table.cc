// SPDX-License-Identifier: Apache-2.0
#include "cli/frame/command_table.h"

#include <fmt/core.h>

namespace organ::cli {

const std::vector<CommandGroup>& command_groups() {
  static const std::vector<CommandGroup> groups = {
      {"cut layers out and look at what is stored",
       {{"extract"}, {"import"}, {"export"}, {"inspect"}}},
      {"sign and publish", {{"key"}, {"sign"}, {"publish"}, {"attest"}, {"verify"}, {"ci"}}},
      {"see what is published", {{"list"}, {"search"}, {"show"}, {"diff"}, {"log"}}},
      {"withdraw, point at or pin a version",
       {{"yank"}, {"revoke"}, {"takedown"}, {"supersede"}, {"alias"}, {"lock"}}},
      {"move versions between registries", {{"push"}, {"pull"}, {"copy"}}},
      {"transplant", {{"check"}, {"install"}, {"uninstall"}}},
      {"train and measure",
       {{"train", "train contiguous layers on a domain and write them as an organ"},
        {"recover",
         "train an installed organ and its two neighbours in the recipient, into a new folder"},
        {"eval", "measure a checkpoint's perplexity, or compare two"},
        {"generate", "let a checkpoint continue a text; an encoder-decoder: answer it"},
        {"baseline", "train a rival of an organ on the same data and report its budget"}}},
      {"keep the registry and the machine healthy",
       {{"registry"}, {"fsck"}, {"repair"}, {"gc"}, {"doctor"}}},
  };
  return groups;
}

std::string_view train_summary(std::string_view command) {
  for (const CommandGroup& group : command_groups()) {
    for (const CommandGroup::Entry& entry : group.commands) {
      if (entry.name == command) return entry.train_summary;
    }
  }
  return {};
}

std::string exit_code_lines() {
  constexpr std::size_t kWidth = 80;
  const std::string label = "Exit codes: ";
  std::string text, line = label;
  for (const ExitCode& one : kExitCodes) {
    const std::string word = fmt::format("{} {},", one.code, one.meaning);
    if (line.size() + word.size() > kWidth) {
      text += line.substr(0, line.size() - 1) + "\n";
      line = std::string(label.size(), ' ');
    }
    line += word + " ";
  }
  return text + line.substr(0, line.size() - 2);
}

}  // namespace organ::cli
