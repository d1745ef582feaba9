// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/frame/passphrase.h"
#include "cli/output/finite_option.h"
#include "cli/registry/commands.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"
#include "format/manifest/reference.h"
#include "registry/registry.h"

namespace organ::cli {
namespace {

using registry::PublishResult;
using registry::Registry;

// What extract and train write into organ.json where nobody gave a name.
constexpr std::string_view kUnnamed = "organ";

struct PublishArguments {
  std::string folder;
  std::string reference;
  std::string key_file;
  PassphraseOptions passphrase;
  bool require_finite = false;
  unsigned threads = 0;
};

// NAME:VERSION of the argument, else those of organ.json.
std::pair<std::string, format::Version> target(const PublishArguments& arguments,
                                               const format::Manifest& organ) {
  if (arguments.reference.empty()) {
    if (organ.name == kUnnamed) {
      throw Error(ErrorCode::invalid_argument,
                  quote(arguments.folder) + ": was given no name when it was made",
                  "a published name stays: organ publish DIR NAME:VERSION");
    }
    return {organ.name, format::Version::parse(organ.version)};
  }
  return format::parse_exact(arguments.reference);
}

void report(const Context& context, const PublishResult& result) {
  warn_not_finite(context, result.not_finite);
  if (context.json) {
    context.print_json("publish", {{"name", result.name},
                                   {"version", result.version},
                                   {"digest", result.digest.to_string()},
                                   {"log_index", result.log_index},
                                   {"already_published", result.already_published},
                                   {"new_signatures", result.new_signatures},
                                   {"signed", result.is_signed},
                                   {"bytes", result.bytes},
                                   {"new_bytes", result.new_bytes},
                                   {"mended", result.mended}});
    return;
  }
  context.confirm(fmt::format("{}:{}  {}", escape_text(result.name), escape_text(result.version),
                              result.digest.to_string()));
  if (result.new_signatures > 0) {
    context.note("the same content was published before; added: " +
                 counted(result.new_signatures, "signature"));
  } else if (result.already_published) {
    context.note("the same content was published before");
  }
  if (result.mended > 0) {
    context.note(
        fmt::format("written anew: {} of the registry", counted(result.mended, "damaged blob")));
  }
  if (!result.is_signed) {
    context.warn("not signed: install will ask for --allow-unsigned; organ publish --key signs");
  }
}

void run(Context& context, const PublishArguments& arguments) {
  const auto organ = format::OrganFolder::open(arguments.folder);
  const auto [name, version] = target(arguments, organ.manifest());
  std::optional<format::SecretKey> key;
  if (!arguments.key_file.empty()) {
    key.emplace(
        format::SecretKey::load_with(arguments.key_file, passphrase_source(arguments.passphrase)));
  }
  const auto publish = [&, &name = name, &version = version](const Work& work) {
    Registry registry = open_registry(context, Registry::Mode::write, work);
    PublishResult result = registry.publish(
        organ, name, version,
        {.key = key ? &*key : nullptr, .require_finite = arguments.require_finite}, work);
    tell_notices(context, registry);
    return result;
  };
  const auto result = watched(context, arguments.threads, publish);
  context.set_done("the organ is published");
  report(context, result);
}

}  // namespace

void add_publish(Command& app, Context& context) {
  Command command = app.add_command(
      context, "publish", "verify an organ folder and add it to the registry for good",
      "  organ publish ./legal-1.0.0\n"
      "  organ publish ./legal legal/contracts:1.0.0 --key legal.key");
  auto arguments = std::make_shared<PublishArguments>();
  command.add_path("DIR", arguments->folder, "organ folder").required();
  command.add_option("NAME:VERSION", arguments->reference,
                     "what to call it [default: name and version of its organ.json]");
  command.add_path("--key", arguments->key_file, "sign it with this key while publishing")
      .value_name("KEY");
  add_passphrase_options(command, arguments->passphrase);
  add_finite_option(command, arguments->require_finite);
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
