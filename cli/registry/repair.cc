// SPDX-License-Identifier: Apache-2.0
#include "registry/care/repair.h"

#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/frame/long_work.h"
#include "cli/output/remote_options.h"
#include "cli/registry/care_output.h"
#include "cli/registry/commands.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"

namespace organ::cli {
namespace {

using registry::DamagedObject;
using registry::MendedObject;
using registry::RepairReport;

struct RepairArguments {
  std::filesystem::path folder;
  registry::RepairOptions options;
  unsigned threads = 0;
};

nlohmann::json record_of(const RepairReport& report, bool dry_run) {
  nlohmann::json mended = nlohmann::json::array(), left = nlohmann::json::array();
  for (const MendedObject& one : report.mended) {
    nlohmann::json object = to_json(one.object);
    object["taken"] = nlohmann::json::array();
    for (const auto& [source, bytes] : one.taken) {
      object["taken"].push_back({{"source", escape_text(source)}, {"bytes", bytes}});
    }
    mended.push_back(std::move(object));
  }
  for (const DamagedObject& object : report.left) left.push_back(to_json(object));
  return {{"dry_run", dry_run},
          {"log_from", report.log_from.empty() ? nlohmann::json()
                                               : nlohmann::json(escape_text(report.log_from))},
          {"mended", mended},
          {"left", left},
          {"affected_before", escaped(report.affected_before)},
          {"affected_after", escaped(report.affected_after)},
          {"notes", escaped(report.notes)}};
}

void print_text(const Context& context, const RepairReport& report, bool dry_run) {
  if (!report.log_from.empty()) {
    context.confirm(fmt::format("{}  organ/log from {}", dry_run ? "mendable" : "mended",
                                escape_text(report.log_from)));
    if (dry_run) return context.note("what objects there must be is known once the log is whole");
  }
  for (const MendedObject& one : report.mended) {
    context.confirm(fmt::format("{}  {}  {}", dry_run ? "mendable" : "mended",
                                one.object.blob.digest.to_string(), escape_text(one.object.file)));
    for (const auto& [source, bytes] : one.taken) {
      context.confirm(fmt::format("  {:>9} from {}", size_text(bytes), escape_text(source)));
    }
  }
  for (const DamagedObject& object : report.left) print_object(context, "left", object);
  for (const std::string& note : report.notes) context.note(escape_text(note, 4096));
  for (const std::string& version : report.affected_after) {
    context.print("affected  " + escape_text(version));
  }
  context.confirm(fmt::format("{} {}, {} left; versions affected: {} before, {} {}",
                              counted(report.mended.size(), "object"),
                              dry_run ? "can be mended" : "mended", report.left.size(),
                              report.affected_before.size(), report.affected_after.size(),
                              dry_run ? "then" : "now"));
}

// Ended in the middle, what was mended by then stays so.
RepairReport mend(Context& context, const RepairArguments& arguments) {
  std::size_t mended = 0;
  registry::RepairOptions options = arguments.options;
  options.changed = [&] { ++mended; };
  try {
    return watched(context, arguments.threads, [&](const Work& work) {
      return registry::repair(registry_folder(context, arguments.folder), options,
                              user_memory(context), work);
    });
  } catch (const Error& error) {
    if (error.code() != ErrorCode::cancelled || mended == 0) throw;
    throw Error(error.code(),
                fmt::format("interrupted: {} mended, and that stays; organ repair goes on "
                            "with the rest",
                            counted(mended, "object")));
  }
}

void run(Context& context, const RepairArguments& arguments) {
  const RepairReport report = mend(context, arguments);
  note_registry(context, registry_folder(context, arguments.folder));
  const bool dry_run = arguments.options.dry_run;
  if (!dry_run && !(report.mended.empty() && report.log_from.empty()))
    context.set_done("what could be mended is");
  if (!report.left.empty()) context.worsen(ErrorCode::corrupt);
  if (context.json) {
    context.print_json("repair", record_of(report, dry_run));
  } else {
    print_text(context, report, dry_run);
  }
}

}  // namespace

void add_repair(Command& app, Context& context) {
  Command command = app.add_command(
      context, "repair", "mend damaged objects from wherever good bytes of them are",
      "  organ repair --from ./mirror --from oci://registry.example.org/organs/c\n"
      "  organ repair ./store --from ./legal-1.0.0 --dry-run");
  auto arguments = std::make_shared<RepairArguments>();
  add_registry_argument(command, arguments->folder);
  command
      .add_path("--from", arguments->options.sources,
                "a registry folder, an organ folder, oci://HOST/REPOSITORY; repeatable; the "
                "registry's own quarantine is always asked")
      .value_name("SOURCE");
  command.add_flag("--dry-run", arguments->options.dry_run,
                   "read what mending would read, and write nothing");
  add_remote_options(command, arguments->options.remote);
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
