// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/frame/long_work.h"
#include "cli/output/finite_option.h"
#include "cli/output/remote_options.h"
#include "cli/output/signatures.h"
#include "cli/registry/commands.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"
#include "format/base/path_status.h"
#include "registry/remote/exchange.h"

namespace organ::cli {
namespace {

using registry::ManifestResult;
using registry::PullResult;
using registry::Registry;

struct PullArguments {
  std::string from;
  std::string expected;
  bool manifest_only = false;
  std::filesystem::path out;
  registry::RemoteOptions remote;
  unsigned threads = 0;
};

void report(const Context& context, const ManifestResult& result,
            const std::filesystem::path& out) {
  warn_left_out(context, result.left_out);
  if (context.json) {
    context.print_json("pull", {{"reference", result.reference},
                                {"name", result.name},
                                {"version", result.version},
                                {"digest", result.digest.to_string()},
                                {"manifest_only", true},
                                {"out", out.string()},
                                {"fetched_bytes", result.fetched_bytes},
                                {"signatures", result.signatures},
                                {"attestations", result.attestations}});
    return;
  }
  context.confirm(fmt::format("{}:{}  {}", escape_text(result.name), escape_text(result.version),
                              result.digest.to_string()));
  context.note(fmt::format("{} fetched; organ check {} --recipient MODEL says whether it fits",
                           size_text(result.fetched_bytes), escape_text(out.string())));
  note_left_attestations(context, result.attestations);
}

void report(const Context& context, const PullResult& result) {
  const registry::PublishResult& published = result.published;
  warn_not_finite(context, published.not_finite);
  warn_left_out(context, result.left_out);
  if (context.json) {
    context.print_json("pull", {{"reference", result.reference},
                                {"name", published.name},
                                {"version", published.version},
                                {"digest", published.digest.to_string()},
                                {"manifest_only", false},
                                {"log_index", published.log_index},
                                {"already_published", published.already_published},
                                {"signed", published.is_signed},
                                {"bytes", published.bytes},
                                {"fetched_bytes", result.fetched_bytes},
                                {"kept_bytes", result.kept_bytes},
                                {"signatures", result.signatures},
                                {"attestations", result.attestations}});
    return;
  }
  context.confirm(fmt::format("{}:{}  {}", escape_text(published.name),
                              escape_text(published.version), published.digest.to_string()));
  if (published.already_published) context.note("the same content was published before");
  context.note(fmt::format("{} fetched, {}", size_text(result.fetched_bytes),
                           attached_text(result.signatures, result.attestations)));
  if (!published.is_signed) {
    context.warn("not signed: install will ask for --allow-unsigned");
  }
}

registry::ExactVersion expected_of(const PullArguments& arguments) {
  if (arguments.expected.empty()) return std::nullopt;
  return format::parse_exact(arguments.expected);
}

// What names no version is refused before anything is opened.
registry::RemoteReference remote_of(const PullArguments& arguments) {
  auto from = registry::RemoteReference::parse(arguments.from);
  from.require_version();
  return from;
}

void run_manifest(Context& context, const PullArguments& arguments) {
  if (arguments.out.empty()) {
    throw Error(ErrorCode::invalid_argument, "--manifest-only: needs --out DIR",
                "the folder that organ check is given");
  }
  require_folder_above(arguments.out);
  const auto from = remote_of(arguments);
  const auto expected = expected_of(arguments);
  const auto result = watched(context, arguments.threads, [&](const Work& work) {
    return registry::pull_manifest(from, arguments.out, expected, arguments.remote, work);
  });
  context.set_done("the manifest is pulled");
  report(context, result, arguments.out);
}

// Ended in the middle, what had come by then stays for the next pull.
template <typename Action>
PullResult fetched(const Context& context, const Action& action) {
  try {
    return action();
  } catch (const Error& error) {
    const bool kept = is_taken(context.registry_path() / "organ" / "partial");
    if (error.code() != ErrorCode::cancelled || !kept) throw;
    throw Error(error.code(),
                "interrupted: nothing was published; what had come stays in organ/partial",
                "the same command goes on with it");
  }
}

void run(Context& context, const PullArguments& arguments) {
  if (arguments.manifest_only) return run_manifest(context, arguments);
  if (!arguments.out.empty()) {
    throw Error(ErrorCode::invalid_argument, "--out: goes with --manifest-only",
                "a whole version is pulled into the registry, --registry DIR");
  }
  const auto from = remote_of(arguments);
  const auto expected = expected_of(arguments);
  const auto result = fetched(context, [&] {
    return watched(context, arguments.threads, [&](const Work& work) {
      Registry registry = open_registry(context, Registry::Mode::write, work);
      PullResult pulled = registry::pull(registry, from, expected, arguments.remote, work);
      tell_notices(context, registry);
      return pulled;
    });
  });
  context.set_done("the version is published");
  report(context, result);
}

}  // namespace

void add_pull(Command& app, Context& context) {
  Command command =
      app.add_command(context, "pull",
                      "bring a version of an OCI registry into this one, verified, or its manifest",
                      "  organ pull oci://localhost:5000/contracts:1.0.0 legal/contracts:1.0.0\n"
                      "  organ pull oci://localhost:5000/c:1.0.0 --manifest-only --out contracts");
  const auto arguments = std::make_shared<PullArguments>();
  command.add_option("REMOTE", arguments->from, "oci://HOST[:PORT]/REPOSITORY:TAG or …@sha256:HEX")
      .required();
  command.add_option("NAME:VERSION", arguments->expected,
                     "what it must be called; anything else is refused");
  command.add_flag("--manifest-only", arguments->manifest_only,
                   "only what organ check needs, some kilobytes, into the folder --out");
  command.add_path("--out", arguments->out, "the new folder for it").value_name("DIR");
  add_remote_options(command, arguments->remote);
  add_threads_option(command, arguments->threads);
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
