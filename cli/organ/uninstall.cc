// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/organ/commands.h"
#include "format/base/fail.h"
#include "transplant/install.h"

namespace organ::cli {
namespace {

struct UninstallArguments {
  std::string model;
  unsigned threads = 0;
};

// "legal:1.0.0 in layers 10 to 12 (receipt 1)", oldest first.
std::vector<std::string> names_of(const std::vector<transplant::Receipt>& receipts) {
  std::vector<std::string> names;
  names.reserve(receipts.size());
  for (const transplant::Receipt& one : receipts) {
    names.push_back(fmt::format("{}:{} in layers {} to {} (receipt {})",
                                escape_text(one.organ_name), escape_text(one.organ_version),
                                one.position, one.position + one.layer_count - 1, one.number));
  }
  return names;
}

void run_uninstall(Context& context, const UninstallArguments& arguments) {
  const std::string& model = arguments.model;
  const auto outcome = watched(context, arguments.threads, [&](const Work& work) {
    return transplant::uninstall_organ(model, work);
  });
  const transplant::Receipt& receipt = outcome.undone;
  context.set_done(fmt::format("receipt {} of {} is undone", receipt.number, quote(model)));
  if (outcome.recovery != transplant::Recovery::nothing) {
    context.note("an interrupted earlier change of this model was cleaned up first");
  }
  for (const std::string& name : outcome.changed) {
    context.warn(escape_text(name) + ": is not what it was before the installation; not touched");
  }
  for (const std::string& name : outcome.not_followed) {
    context.warn(escape_text(name) +
                 ": is a link out of the model and was not followed, so whether it is what it was "
                 "before the installation is not known; --trust-links ROOT follows it");
  }
  for (const std::string& name : outcome.unread) {
    context.warn(escape_text(name) +
                 ": could not be read, so whether it is what it was before the "
                 "installation is not known");
  }
  for (const std::string& lost : outcome.not_given_back) {
    context.warn(escape_text(lost) + " could not be given back");
  }
  const std::vector<std::string> names = names_of(outcome.left);
  if (context.json) {
    context.print_json("uninstall", {{"folder", model},
                                     {"receipt", receipt.number},
                                     {"organ", receipt.organ_name + ":" + receipt.organ_version},
                                     {"position", receipt.position},
                                     {"proved_files", outcome.proved},
                                     {"changed_files", outcome.changed},
                                     {"not_followed", outcome.not_followed},
                                     {"not_read", outcome.unread},
                                     {"left", names},
                                     {"not_given_back", outcome.not_given_back}});
    return;
  }
  context.confirm(fmt::format(
      "{}:{} (receipt {}) is out of {}; with the SHA-256 of before: {} of {}",
      escape_text(receipt.organ_name), escape_text(receipt.organ_version), receipt.number,
      escape_text(model), outcome.proved.size(), counted(outcome.undone.files.size(), "file")));
  for (const std::string& name : names) context.confirm("still installed: " + name);
}

}  // namespace

void add_uninstall(Command& app, Context& context) {
  const auto arguments =
      std::make_shared<UninstallArguments>();  // lives as long as the parser's callback
  Command command = app.add_command(
      context, "uninstall", "undo the newest installation of a model folder, byte for byte",
      "  organ uninstall SmolLM2-135M\n  organ uninstall legal-model --json");
  command.add_path("MODEL", arguments->model, "checkpoint folder with an installed organ")
      .required();
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run_uninstall(context, *arguments); });
}

}  // namespace organ::cli
