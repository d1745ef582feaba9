// SPDX-License-Identifier: Apache-2.0
#include "registry/care/takedown.h"

#include <memory>

#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/frame/long_work.h"
#include "cli/registry/commands.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"
#include "format/manifest/reference.h"

namespace organ::cli {
namespace {

using registry::TakedownReport;

struct TakedownArguments {
  std::string version;
  std::optional<std::string> reason;
  bool dry_run = false;
};

nlohmann::json objects_json(const std::vector<TakedownReport::Object>& objects) {
  nlohmann::json list = nlohmann::json::array();
  for (const TakedownReport::Object& object : objects) {
    nlohmann::json versions = nlohmann::json::array();
    for (const std::string& version : object.versions) versions.push_back(escape_text(version));
    list.push_back({{"file", escape_text(object.file)},
                    {"digest", object.blob.digest.to_string()},
                    {"bytes", object.blob.size},
                    {"versions", versions}});
  }
  return list;
}

nlohmann::json record_of(const TakedownReport& report, bool dry_run) {
  nlohmann::json takedown;
  if (report.takedown) {
    takedown = {{"time", escape_text(report.takedown->time)},
                {"reason", escape_text(report.takedown->reason, 4096)}};
  }
  return {{"name", escape_text(report.name)},
          {"version", escape_text(report.version)},
          {"dry_run", dry_run},
          {"takedown", takedown},
          {"removed", objects_json(report.removed)},
          {"kept", objects_json(report.kept)},
          {"bytes", report.bytes},
          {"copies", report.copies}};
}

void print_text(const Context& context, const TakedownReport& report, bool dry_run) {
  for (const TakedownReport::Object& object : report.removed) {
    const std::string line = fmt::format("{:<9} {:>9}  {}  {}", dry_run ? "would go" : "gone",
                                         size_text(object.blob.size),
                                         object.blob.digest.to_string(), escape_text(object.file));
    if (dry_run) {
      context.print(line);
    } else {
      context.confirm(line);
    }
  }
  // Whoever asked for it has to know what is still here.
  for (const TakedownReport::Object& object : report.kept) {
    context.print(fmt::format("{:<9} {:>9}  {}  {}", "stays", size_text(object.blob.size),
                              object.blob.digest.to_string(), escape_text(object.file)));
    for (const std::string& version : object.versions) {
      context.print("  of " + escape_text(version));
    }
  }
  if (report.copies > 0) {
    context.note(fmt::format("{} in the quarantine and interrupted pulls went too",
                             counted(report.copies, "copy")));
  }
  const std::string title = escape_text(report.name) + ":" + escape_text(report.version);
  if (dry_run) {
    context.note(title + ": nothing was done; a takedown is not taken back");
  } else {
    context.confirm(fmt::format("{}  {}; {} of weights removed", title, describe(*report.takedown),
                                size_text(report.bytes)));
  }
}

void run(Context& context, const TakedownArguments& arguments) {
  const auto version = format::parse_exact(arguments.version);
  const TakedownReport report = watched(context, 0, [&](const Work& work) {
    TakedownReport taken =
        registry::take_down(context.registry_path(), version.first, version.second,
                            arguments.reason, arguments.dry_run, user_memory(context), work);
    if (!arguments.dry_run) context.set_done("the version is taken down");
    return taken;
  });
  for (const std::string& notice : report.notices) context.note(escape_text(notice, 4096));
  if (context.json) {
    context.print_json("takedown", record_of(report, arguments.dry_run));
  } else {
    print_text(context, report, arguments.dry_run);
  }
}

}  // namespace

void add_takedown(Command& app, Context& context) {
  Command command = app.add_command(
      context, "takedown",
      "take the weights of a version away for good; its history can still be proved",
      "  organ takedown legal/contracts:1.2.0 --dry-run\n"
      "  organ takedown legal/contracts:1.2.0 --reason 'court order 7 O 12/26'");
  auto arguments = std::make_shared<TakedownArguments>();
  command.add_option("NAME:VERSION", arguments->version, "the version").required();
  command
      .add_option("--reason", arguments->reason,
                  "why, in a sentence; everybody will read it. Not needed to complete one")
      .value_name("TEXT");
  command.add_flag("--dry-run", arguments->dry_run,
                   "show what would go, and what stays because other versions are made of it");
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
