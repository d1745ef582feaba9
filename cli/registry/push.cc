// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/frame/long_work.h"
#include "cli/output/remote_options.h"
#include "cli/output/signatures.h"
#include "cli/registry/commands.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"
#include "registry/remote/exchange.h"

namespace organ::cli {
namespace {

using registry::PushResult;
using registry::Registry;

struct PushArguments {
  std::string version;
  std::string to;
  registry::PushOptions options;
};

void report(const Context& context, const PushResult& result) {
  if (context.json) {
    context.print_json("push", {{"reference", result.reference},
                                {"name", result.name},
                                {"version", result.version},
                                {"digest", result.digest.to_string()},
                                {"already_there", result.already_there},
                                {"bytes", result.bytes},
                                {"sent_bytes", result.sent_bytes},
                                {"mounted_bytes", result.mounted_bytes},
                                {"signatures", result.signatures},
                                {"attestations", result.attestations}});
    return;
  }
  context.confirm(fmt::format("{}  {}", escape_text(result.reference), result.digest.to_string()));
  if (result.already_there) context.note("the tag named this version before");
  context.note(fmt::format("{} of {} sent, {}", size_text(result.sent_bytes),
                           size_text(result.bytes),
                           attached_text(result.signatures, result.attestations)));
  if (result.signatures == 0) {
    context.warn("not signed: whoever installs it has to allow that");
  }
}

void run(Context& context, const PushArguments& arguments) {
  const auto version = format::Reference::parse(arguments.version);
  const auto to = registry::RemoteReference::parse(arguments.to);
  const auto result = watched(context, 0, [&](const Work& work) {
    const Registry registry = open_registry(context, Registry::Mode::read, work);
    return registry::push(registry, version, to, arguments.options, work);
  });
  context.set_done("the version is pushed");
  report(context, result);
}

}  // namespace

void add_push(Command& app, Context& context) {
  Command command = app.add_command(
      context, "push", "copy a version with its signatures and attestations to an OCI registry",
      "  organ push legal/contracts:1.0.0 \\\n"
      "      oci://registry.example.org/organs/contracts\n"
      "  organ push legal/contracts oci://localhost:5000/contracts:latest \\\n"
      "      --replace-tag");
  const auto arguments = std::make_shared<PushArguments>();
  command
      .add_option("REF", arguments->version,
                  "the version: name, name:version, name@alias, name@RANGE")
      .required();
  command
      .add_option("REMOTE", arguments->to,
                  "oci://HOST[:PORT]/REPOSITORY[:TAG]; the tag is the version's text when none is "
                  "given")
      .required();
  command
      .add_option("--mount-from", arguments->options.mount_from,
                  "a repository of that registry that may hold the same blobs")
      .value_name("REPOSITORY");
  command.add_flag("--replace-tag", arguments->options.replace_tag,
                   "let the tag name this version although it names another one now");
  add_remote_options(command, arguments->options.remote);
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
