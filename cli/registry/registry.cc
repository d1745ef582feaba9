// SPDX-License-Identifier: Apache-2.0
// `organ registry …`: the group, and the commands that make a registry and its views.
#include "registry/registry.h"
#include "format/base/fail.h"

#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/registry/commands.h"
#include "cli/registry/open_registry.h"

namespace organ::cli {
namespace {

using registry::Registry;

struct InitArguments {
  std::vector<std::string> key_files;
  std::string pattern = "*";
};

void run_init(Context& context, const InitArguments& arguments) {
  registry::CreateOptions options;
  for (const std::string& file : arguments.key_files) {
    format::PublicKey key = format::PublicKey::load(file);
    const auto is_it = [&](const auto& rule) { return rule.second.id() == key.id(); };
    if (std::ranges::any_of(options.trusted, is_it)) continue;
    options.trusted.emplace_back(arguments.pattern, std::move(key));
  }
  const std::filesystem::path folder = context.registry_path();
  completed(context, "the registry is made", [&] {
    Registry::create(folder, options);
    // Who made it has met it.
    registry::OpenOptions known = user_memory(context);
    known.forget_seen = true;
    Registry::open(folder, Registry::Mode::read, known);
  });
  nlohmann::json keys = nlohmann::json::array();
  for (const auto& [pattern, key] : options.trusted) {
    keys.push_back({{"pattern", pattern}, {"key", key.id().to_string()}});
  }
  if (context.json) {
    context.print_json("registry init", {{"registry", folder.string()}, {"trusted", keys}});
    return;
  }
  context.confirm("registry  " + escape_text(folder.string()));
  for (const auto& [pattern, key] : options.trusted) {
    context.confirm(fmt::format("trusts    {} for {}", key.id().to_string(), quote(pattern)));
  }
  if (options.trusted.empty()) {
    context.note("no key is trusted yet: install asks for --key or --allow-unsigned");
  }
}

void run_rebuild(Context& context) {
  const registry::RebuildReport report = watched(context, 0, [&](const Work& work) {
    return Registry::rebuild(context.registry_path(), user_memory(context), work);
  });
  context.set_done("the catalog and index.json are made anew");
  if (context.json) {
    context.print_json("registry rebuild",
                       {{"entries", report.entries}, {"versions", report.versions}});
    return;
  }
  context.confirm(fmt::format("rebuilt from {}: {}", counted(report.entries, "log entry"),
                              counted(report.versions, "version")));
}

void run_index(Context& context) {
  std::uint64_t versions = 0;
  change_registry(context, "index.json is written",
                  [&](Registry& open, const Work& work) { versions = open.write_index(work); });
  if (context.json) {
    context.print_json("registry index", {{"versions", versions}});
    return;
  }
  context.confirm(fmt::format("index.json lists {}", counted(versions, "version")));
}

void add_init(Command& group, Context& context) {
  Command command = group.add_command(
      context, "init", "make an empty registry and say whose signatures it trusts",
      "  organ registry init --key legal.pub\n"
      "  organ registry init --registry ./store --key team.pub --pattern 'legal/*'");
  auto arguments = std::make_shared<InitArguments>();
  command
      .add_path("--key", arguments->key_files,
                "public key whose signature publish, verify and install demand; "
                "repeatable")
      .value_name("PUB");
  command
      .add_option("--pattern", arguments->pattern,
                  "names the keys speak for: a name, '*' or 'prefix/*'")
      .value_name("PATTERN")
      .show_default();
  command.on_run([&context, arguments] { run_init(context, *arguments); });
}

void add_rebuild(Command& group, Context& context) {
  Command command = group.add_command(
      context, "rebuild", "make the catalog and index.json anew from the log and the blobs",
      "  organ registry rebuild\n"
      "  organ registry rebuild --registry ./store --json");
  command.on_run([&context] { run_rebuild(context); });
}

void add_index(Command& group, Context& context) {
  Command command = group.add_command(
      context, "index", "write index.json anew, for tools that read OCI image layouts",
      "  organ registry index\n"
      "  organ registry index --registry ./store --json");
  command.on_run([&context] { run_index(context); });
}

}  // namespace

void add_registry(Command& app, Context& context) {
  Command group =
      app.add_group(context, "registry", "make and mend a registry, say whose keys count",
                    "  organ registry init --key legal.pub\n"
                    "  organ registry trust team.pub --pattern 'legal/*'\n"
                    "  organ registry stats");
  add_init(group, context);
  add_rebuild(group, context);
  add_index(group, context);
  add_registry_policy(group, context);
  add_registry_site(group, context);
  add_registry_stats(group, context);
}

}  // namespace organ::cli
