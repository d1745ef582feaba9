// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/organ/commands.h"
#include "cli/organ/organ_argument.h"
#include "cli/output/compatibility.h"
#include "cli/output/version.h"
#include "format/base/fail.h"
#include "transplant/journal.h"

namespace organ::cli {
namespace {

struct Arguments {
  Placement placement;
  std::string recipient;
  unsigned threads = 0;
};

std::string verdict(const transplant::CompatibilityReport& report) {
  constexpr std::string_view kMeaning[] = {
      "identical architecture: installs as a plain Hugging Face folder",
      "same interface, other insides: no Hugging Face config can hold both",
      "another stream: needs a bridge and recovery",
      "refused",
  };
  return fmt::format("level {}: {}", to_string(report.level),
                     kMeaning[static_cast<std::size_t>(report.level)]);
}

void run_check(Context& context, const Arguments& arguments) {
  OrganArgument organ;
  const auto report = watched(context, arguments.threads, [&](const Work& work) {
    organ = open_organ(context, arguments.placement.organ, work);
    transplant::require_settled(arguments.recipient);
    const format::Manifest& manifest = organ.organ->manifest();
    const auto recipient = format::Checkpoint::open(arguments.recipient, manifest.stack());
    return transplant::check_compatibility(manifest, recipient,
                                           arguments.placement.position_of(organ), work);
  });
  if (!report.installable()) context.worsen(ErrorCode::incompatible);
  if (organ.version) note_superseded(context, *organ.version);
  if (context.json) {
    nlohmann::json record = to_json(report);
    record["organ"] = organ.text;
    record["recipient"] = arguments.recipient;
    record["superseded"] = organ.version ? superseded_json(*organ.version) : nlohmann::json();
    context.print_json("check", std::move(record));
    return;
  }
  show(context, report);
  const std::string line =
      fmt::format("{} in {} at layer {}: {}", escape_text(organ.text),
                  escape_text(arguments.recipient), report.position, verdict(report));
  if (report.installable()) {
    context.confirm(line);
  } else {
    context.print(line);
  }
}

}  // namespace

void add_check(Command& app, Context& context) {
  const auto arguments = std::make_shared<Arguments>();  // lives as long as the parser's callback
  Command command = app.add_command(
      context, "check", "say whether an organ fits a recipient, from the manifest alone",
      "  organ check legal:1.0.0 --recipient SmolLM2-135M\n"
      "  organ check ./legal-1.0.0 --recipient TinyLlama --at 7 --json");
  add_placement_options(command, arguments->placement).required();
  command.add_path("--recipient", arguments->recipient, "checkpoint folder")
      .required()
      .value_name("MODEL");
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run_check(context, *arguments); });
}

}  // namespace organ::cli
