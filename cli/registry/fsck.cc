// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/frame/long_work.h"
#include "cli/registry/care_output.h"
#include "cli/registry/commands.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"
#include "registry/care/fsck.h"

namespace organ::cli {
namespace {

using registry::DamagedObject;
using registry::FsckReport;

struct FsckArguments {
  std::filesystem::path folder;
  unsigned threads = 0;
};

bool is_well(const FsckReport& report) {
  return report.objects.empty() && report.records.empty() && report.views.empty();
}

nlohmann::json record_of(const FsckReport& report) {
  nlohmann::json objects = nlohmann::json::array();
  for (const DamagedObject& object : report.objects) objects.push_back(to_json(object));
  return {{"ok", is_well(report)},
          {"objects", objects},
          {"records", to_json(report.records)},
          {"views", to_json(report.views)},
          {"affected", escaped(report.affected)},
          {"notes", escaped(report.notes)},
          {"entries", report.entries},
          {"versions", report.versions},
          {"removed", report.removed},
          {"checked", report.checked},
          {"bytes", report.bytes},
          {"orphans", report.orphans},
          {"orphan_bytes", report.orphan_bytes}};
}

// What publish writes anew from an organ's folder, where no folder lies in its place. Signatures
// and attestations may have come in another way, and one that cannot be read stops it.
bool is_published_anew(const DamagedObject& object) {
  if (object.folder) return false;
  return object.kind == "manifest" || object.kind == "organ.json" || object.kind == "config" ||
         object.kind == "file";
}

// The way out of each kind of damage that has one. A damaged log comes first: nothing new is
// entered before it is whole, and what objects there must be is not known.
void note_remedies(const Context& context, const FsckReport& report) {
  const bool log_alone = std::ranges::all_of(
      report.records, [](const format::Finding& one) { return one.subject == "organ/log"; });
  if (!report.records.empty()) {
    context.note(log_alone
                     ? "a damaged log is made whole from a copy of the registry: organ repair "
                       "--from COPY"
                     : "the log's checkpoint and key nothing gives back: only a whole copy of "
                       "the registry takes the place of this one");
  }
  if (!report.objects.empty() && log_alone) {  // repair too believes checkpoint and key alone
    const bool publishing_helps =
        report.records.empty() && std::ranges::all_of(report.objects, is_published_anew);
    context.note(std::string("organ repair --from SOURCE mends objects") +
                 (publishing_helps ? ", as does publishing the same folder again" : ""));
  }
  if (!report.views.empty()) {
    context.note("views are made anew: organ registry rebuild, index or policy --restore");
  }
}

void print_text(const Context& context, const FsckReport& report) {
  for (const DamagedObject& object : report.objects) print_object(context, "damaged", object);
  for (const format::Finding& finding : report.records) print_finding(context, "record", finding);
  for (const format::Finding& finding : report.views) print_finding(context, "view", finding);
  for (const std::string& note : report.notes) context.note(escape_text(note, 4096));
  if (report.orphans > 0) {
    std::string text =
        fmt::format("{} of {} that nothing refers to", counted(report.orphans, "object"),
                    size_text(report.orphan_bytes));
    if (!report.records.empty()) {
      text += ", as far as the log can be read";
    } else {
      text +=
          report.objects.empty() ? ": organ gc shows them" : ", as far as manifests can be read";
    }
    context.note(text);
  }
  note_remedies(context, report);
  const std::string read = fmt::format("{}, {}, {}, {} read", counted(report.entries, "entry"),
                                       counted(report.versions, "version"),
                                       counted(report.checked, "object"), size_text(report.bytes));
  if (is_well(report)) {
    context.confirm("well  " + read);
    return;
  }
  context.print(fmt::format(
      "{} damaged, {} affected, {} damaged, {} to make anew; {}",
      counted(report.objects.size(), "object"), counted(report.affected.size(), "version"),
      counted(report.records.size(), "record"), counted(report.views.size(), "view"), read));
}

void run(Context& context, const FsckArguments& arguments) {
  const std::filesystem::path folder = registry_folder(context, arguments.folder);
  const FsckReport report = watched(context, arguments.threads, [&](const Work& work) {
    return registry::fsck(folder, user_memory(context), work);
  });
  note_registry(context, folder);
  if (!report.objects.empty()) context.worsen(ErrorCode::corrupt);
  for (const auto* findings : {&report.records, &report.views}) {
    for (const format::Finding& finding : *findings) context.worsen(finding.code);
  }
  if (context.json) {
    context.print_json("fsck", record_of(report));
  } else {
    print_text(context, report);
  }
}

}  // namespace

void add_fsck(Command& app, Context& context) {
  Command command = app.add_command(
      context, "fsck",
      "read every object of a registry, its log and views, and name what is damaged",
      "  organ fsck\n"
      "  organ fsck ./store --json");
  auto arguments = std::make_shared<FsckArguments>();
  add_registry_argument(command, arguments->folder);
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
