// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/organ/commands.h"
#include "cli/output/version.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"
#include "registry/registry.h"
#include "transplant/fitting.h"

namespace organ::cli {
namespace {

using registry::Registry;
using registry::VersionInfo;

struct SearchArguments {
  std::vector<std::string> words;
  std::string fits;
  std::string family, license, donor;
  std::uint64_t limit = 20;
  bool all = false;
};

registry::VersionFilter filter_of(const SearchArguments& arguments) {
  registry::VersionFilter filter;
  filter.include_withdrawn = arguments.all;
  filter.limit = arguments.limit;
  for (const std::string& word : arguments.words) filter.text += word + " ";
  filter.model_type = arguments.family;
  filter.license = arguments.license;
  filter.donor_id = arguments.donor;
  if (!arguments.fits.empty()) {
    const auto recipient = format::Checkpoint::open(arguments.fits);
    filter.architecture_signatures = transplant::fitting_signatures(recipient);
  }
  return filter;
}

std::string figure(const VersionInfo& version) {
  return version.best_nll ? fmt::format("nll {:.4f}", *version.best_nll) : "not measured";
}

void show_found(const Context& context, const std::vector<VersionInfo>& versions) {
  const auto title = [](const VersionInfo& version) {
    return escape_text(version.name + ":" + version.version);
  };
  std::size_t width = 0;
  for (const VersionInfo& version : versions) width = std::max(width, title(version).size());
  for (const VersionInfo& version : versions) {
    context.print(fmt::format("{:<{}}  {:<8}  layers {:>3}  {:>9}  {:<12}  {}", title(version),
                              width, escape_text(version.model_type), version.layer_count,
                              size_text(version.bytes), figure(version), remarks(version)));
  }
}

void run_search(const Context& context, const SearchArguments& arguments) {
  const registry::VersionFilter filter = filter_of(arguments);
  const Registry registry = open_registry(context, Registry::Mode::read);
  const std::vector<VersionInfo> versions = registry.list(filter);
  if (context.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const VersionInfo& version : versions) list.push_back(to_json(version));
    context.print_json("search", {{"versions", list}});
    return;
  }
  show_found(context, versions);
  if (versions.empty()) context.note("nothing published is like that");
  if (filter.limit > 0 && versions.size() == filter.limit) {
    context.note(fmt::format("the first {}; --limit 0 shows all", filter.limit));
  }
}

}  // namespace

void add_search(Command& app, Context& context) {
  const auto arguments =
      std::make_shared<SearchArguments>();  // lives as long as the parser's callback
  Command command = app.add_command(
      context, "search", "find published organs by words, by fields, by what fits a model",
      "  organ search contracts\n"
      "  organ search --fits SmolLM2-135M --limit 5\n"
      "  organ search legal --family llama --license apache-2.0 --json");
  command.add_option(
      "WORD", arguments->words,
      "beginnings of words in name, description, donor or licence; all must be there");
  command
      .add_path("--fits", arguments->fits,
                "only what has the signature of layers of this model, best evaluation first; "
                "organ check decides and says where")
      .value_name("MODEL");
  command.add_option("--family", arguments->family, "only organs of this model_type");
  command.add_option("--license", arguments->license, "only organs under this licence");
  command.add_option("--donor", arguments->donor, "only organs of this donor");
  command.add_option("--limit", arguments->limit, "how many to show at most; 0: all")
      .show_default();
  command.add_flag("--all", arguments->all, "yanked and revoked versions too");
  command.on_run([&context, arguments] { run_search(context, *arguments); });
}

}  // namespace organ::cli
