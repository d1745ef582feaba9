// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/output/version.h"
#include "cli/registry/commands.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"
#include "format/manifest/reference.h"
#include "registry/registry.h"

namespace organ::cli {
namespace {

using registry::Registry;
using registry::VersionInfo;

std::string title(const VersionInfo& version) {
  return escape_text(version.name + ":" + version.version);
}

void run(const Context& context, const std::string& name) {
  if (!name.empty()) format::check_name(name);
  const Registry registry = open_registry(context, Registry::Mode::read);
  registry::VersionFilter filter;
  filter.name = name;
  const std::vector<VersionInfo> versions = registry.list(filter);
  if (!name.empty() && versions.empty()) {
    throw Error(
        ErrorCode::not_found, quote(name) + ": no such organ in the registry",
        meant_hint(nearest_name(registry.organ_names(), name), "organ list shows what is there"));
  }
  if (context.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const VersionInfo& version : versions) list.push_back(to_json(version));
    context.print_json("list", {{"versions", list}});
    return;
  }
  std::size_t width = 0;
  for (const VersionInfo& version : versions) width = std::max(width, title(version).size());
  for (const VersionInfo& version : versions) {
    context.print(fmt::format("{:<{}}  {:<8}  layers {:>3}  {:>9}  {}", title(version), width,
                              escape_text(version.model_type), version.layer_count,
                              size_text(version.bytes), remarks(version)));
  }
  if (versions.empty()) context.note("the registry is empty");
}

}  // namespace

void add_list(Command& app, Context& context) {
  Command command = app.add_command(context, "list", "show what the registry holds",
                                    "  organ list\n  organ list legal/contracts --json");
  auto name = std::make_shared<std::string>();
  command.add_option("NAME", *name, "only the versions of this organ");
  command.on_run([&context, name] { run(context, *name); });
}

}  // namespace organ::cli
