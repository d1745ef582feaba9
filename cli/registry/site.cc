// SPDX-License-Identifier: Apache-2.0
#include "registry/site/site.h"

#include <filesystem>
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/frame/long_work.h"
#include "cli/registry/commands.h"
#include "cli/registry/open_registry.h"
#include "format/architecture/family_data.h"
#include "format/base/fail.h"
#include "transplant/field_rules.h"

namespace organ::cli {
namespace {

struct SiteArguments {
  std::filesystem::path out;
  std::string title = registry::SiteOptions().title;
};

void run(Context& context, const SiteArguments& arguments) {
  require_outside(arguments.out, context.registry_path());
  require_folder_above(arguments.out);
  const registry::SiteResult result = watched(context, 0, [&](const Work& work) {
    const auto registry = open_registry(context, registry::Registry::Mode::read, work);
    return registry::write_site(registry, arguments.out,
                                {.title = arguments.title,
                                 .families = format::family_data(),
                                 .rules = transplant::field_rules()},
                                work);
  });
  context.set_done("the page is written to " + quote(arguments.out.string()));
  if (result.damaged > 0) {
    context.warn(fmt::format("{} cannot be read, and the page says so; organ fsck tells why",
                             counted(result.damaged, "version")));
  }
  if (context.json) {
    context.print_json("registry site", {{"folder", arguments.out.string()},
                                         {"versions", result.versions},
                                         {"damaged", result.damaged},
                                         {"bytes", result.bytes}});
    return;
  }
  context.confirm(fmt::format("{}: {}, {}", escape_text((arguments.out / "index.html").string()),
                              counted(result.versions, "version"), size_text(result.bytes)));
}

}  // namespace

void add_registry_site(Command& group, Context& context) {
  Command command = group.add_command(
      context, "site",
      "write a catalogue for a browser: one page that needs no server and no network",
      "  organ registry site --out catalogue\n"
      "  organ registry site --registry ./store --out site --title 'Law'");
  auto arguments = std::make_shared<SiteArguments>();
  command.add_path("--out", arguments->out, "new folder for index.html and catalog.json")
      .required()
      .value_name("DIR");
  command.add_option("--title", arguments->title, "what the page is called")
      .value_name("TEXT")
      .show_default();
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
