// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/frame/long_work.h"
#include "cli/output/remote_options.h"
#include "cli/output/signatures.h"
#include "cli/registry/commands.h"
#include "format/base/fail.h"
#include "registry/remote/exchange.h"

namespace organ::cli {
namespace {

using registry::CopyResult;
using registry::PushResult;

struct CopyArguments {
  std::string from, to;
  registry::PushOptions options;
};

void report(const Context& context, const CopyResult& result) {
  const PushResult& pushed = result.pushed;
  warn_left_out(context, result.left_out);
  if (context.json) {
    context.print_json("copy", {{"reference", pushed.reference},
                                {"name", pushed.name},
                                {"version", pushed.version},
                                {"digest", pushed.digest.to_string()},
                                {"already_there", pushed.already_there},
                                {"bytes", pushed.bytes},
                                {"fetched_bytes", result.fetched_bytes},
                                {"sent_bytes", pushed.sent_bytes},
                                {"mounted_bytes", pushed.mounted_bytes},
                                {"signatures", pushed.signatures},
                                {"attestations", pushed.attestations}});
    return;
  }
  context.confirm(fmt::format("{}  {}", escape_text(pushed.reference), pushed.digest.to_string()));
  if (pushed.already_there) context.note("the tag named this version before");
  context.note(fmt::format("{} of {} sent, {}", size_text(pushed.sent_bytes),
                           size_text(pushed.bytes),
                           attached_text(pushed.signatures, pushed.attestations)));
  if (pushed.signatures == 0) context.warn("not signed: whoever installs it has to allow that");
}

void run(Context& context, const CopyArguments& arguments) {
  const auto from = registry::RemoteReference::parse(arguments.from);
  from.require_version();
  const auto to = registry::RemoteReference::parse(arguments.to);
  const auto result = watched(context, 0, [&](const Work& work) {
    return registry::copy(from, to, arguments.options, work);
  });
  context.set_done("the version is copied");
  report(context, result);
}

}  // namespace

void add_copy(Command& app, Context& context) {
  Command command = app.add_command(
      context, "copy", "copy a version with all that is attached to it between OCI registries",
      "  organ copy oci://localhost:5000/contracts:1.0.0 \\\n"
      "      oci://registry.example.org/organs/contracts\n"
      "  organ copy oci://localhost:5000/drafts:1.0.0 \\\n"
      "      oci://localhost:5000/contracts:latest --replace-tag");
  const auto arguments = std::make_shared<CopyArguments>();
  command.add_option("REMOTE", arguments->from, "oci://HOST[:PORT]/REPOSITORY:TAG or …@sha256:HEX")
      .required();
  command
      .add_option("TO", arguments->to,
                  "oci://HOST[:PORT]/REPOSITORY[:TAG]; the tag is the version's text when none is "
                  "given")
      .required();
  command.add_flag("--replace-tag", arguments->options.replace_tag,
                   "let the tag name this version although it names another one now");
  add_remote_options(command, arguments->options.remote);
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
