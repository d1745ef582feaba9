// SPDX-License-Identifier: Apache-2.0
// `organ log verify`: a registry's log as a whole, or a proof of one entry.
#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/log/commands.h"
#include "cli/output/log_entry.h"
#include "cli/registry/care_output.h"
#include "cli/registry/open_registry.h"
#include "cli/registry/verifier_key.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "registry/history/log_check.h"
#include "registry/history/log_proof.h"
#include "registry/log/moment.h"

namespace organ::cli {
namespace {

using registry::LogCheck;
using registry::LogProof;

struct LogVerifyArguments {
  std::filesystem::path folder;
  std::filesystem::path proof;
  std::optional<std::string> log_key;
  std::string checked_key;  // of log_key
  std::optional<std::uint64_t> max_age, quorum;
  std::vector<std::string> witnesses;
};

nlohmann::json signed_at_json(std::optional<std::uint64_t> time) {
  return time ? nlohmann::json(registry::moment_text(*time)) : nlohmann::json();
}

nlohmann::json witnesses_json(const LogCheck& check) {
  nlohmann::json all = nlohmann::json::array();
  for (const LogCheck::Witness& one : check.witnesses) {
    all.push_back(
        {{"key", one.key},
         {"entries", one.entries},
         {"time", registry::moment_text(one.time)},
         {"problem", one.problem.empty() ? nlohmann::json()
                                         : nlohmann::json(escape_text(one.problem, 2048))}});
  }
  return all;
}

nlohmann::json record_of(const LogCheck& check) {
  nlohmann::json remembered;
  if (check.remembered) {
    nlohmann::json hashes = nlohmann::json::array();
    for (const Digest& hash : check.remembered->proof) hashes.push_back(hash.to_string());
    remembered = {{"since", escape_text(check.remembered->since)},
                  {"entries", check.remembered->entries},
                  {"root", check.remembered->root.to_string()},
                  {"hashes", hashes}};
  }
  return {
      {"ok", check.findings.empty()},
      {"log_key", check.log_key},
      {"entries", check.entries},
      {"versions", check.versions},
      {"root", check.root.to_string()},
      {"speaks", check.speaks ? nlohmann::json::parse(check.speaks->to_text()) : nlohmann::json()},
      {"remembered", remembered},
      {"witnesses", witnesses_json(check)},
      {"witnessed", check.witnessed},
      {"signed_at", signed_at_json(check.signed_at)},
      {"max_age", check.max_age ? nlohmann::json(*check.max_age) : nlohmann::json()},
      {"findings", to_json(check.findings)},
      {"notes", escaped(check.notes)}};
}

void print_text(const Context& context, const LogCheck& check) {
  for (const format::Finding& finding : check.findings) print_finding(context, "log", finding);
  for (const std::string& note : check.notes) context.note(escape_text(note, 4096));
  if (!check.findings.empty()) return;
  context.print(fmt::format("log         {}, {}, root {}", counted(check.entries, "entry"),
                            counted(check.versions, "version"), check.root.to_string()));
  context.print("log key     " + check.log_key);
  if (check.signed_at) {
    context.print("signed at   " + registry::moment_text(*check.signed_at) +
                  (check.max_age ? ", allowed for " + registry::span_text(*check.max_age) : ""));
  }
  for (const LogCheck::Witness& one : check.witnesses) {
    context.print(fmt::format(
        "witness     {}: {} at {}{}", escape_text(one.key), counted(one.entries, "entry"),
        registry::moment_text(one.time),
        one.problem.empty() ? "" : ", does not count: " + escape_text(one.problem, 2048)));
  }
  if (check.remembered) {
    context.print(fmt::format("remembered  {} since {}, its beginning: proved by {}",
                              counted(check.remembered->entries, "entry"),
                              escape_text(check.remembered->since),
                              counted(check.remembered->proof.size(), "hash")));
  }
}

void verify_log(Context& context, const LogVerifyArguments& arguments) {
  if (!arguments.witnesses.empty() || arguments.quorum) {
    throw Error(ErrorCode::invalid_argument, "--witness and --quorum are for a --proof",
                "of a whole log its root names the witnesses: organ log root");
  }
  const LogCheck check = watched(context, 1, [&](const Work& work) {
    return registry::check_log(registry_folder(context, arguments.folder),
                               {.known_registries = context.known_registries(),
                                .log_key = arguments.checked_key,
                                .max_age = arguments.max_age},
                               work);
  });
  for (const format::Finding& finding : check.findings) context.worsen(finding.code);
  if (context.json) {
    context.print_json("log verify", record_of(check));
  } else {
    print_text(context, check);
  }
}

void verify_proof(const Context& context, const LogVerifyArguments& arguments) {
  if (!arguments.folder.empty() || context.registry) {
    throw Error(ErrorCode::invalid_argument, "a proof needs no registry: give --proof alone",
                "--key says which registry's log it must be about");
  }
  const std::string subject = quote(arguments.proof.string());
  const LogProof proof =
      LogProof::parse(read_file(arguments.proof, registry::kProofLimit), subject);
  const registry::ProvedEntry proved =
      registry::check_proof(proof,
                            {.known_registries = context.known_registries(),
                             .log_key = arguments.checked_key,
                             .max_age = arguments.max_age},
                            subject,
                            {.witnesses = arguments.witnesses,
                             .quorum = arguments.quorum.value_or(arguments.witnesses.size())});
  if (context.json) {
    context.print_json("log verify", {{"ok", true},
                                      {"log_key", proof.log_key},
                                      {"index", proof.index},
                                      {"entries", proved.entries},
                                      {"signed_at", signed_at_json(proved.signed_at)},
                                      {"former_key", proved.by_former_key},
                                      {"witnesses", proved.witnesses},
                                      {"entry", nlohmann::json::parse(proved.entry.to_text())}});
    return;
  }
  context.print(log_line({proof.index, proved.entry}));
  context.print(fmt::format("is in the log of {} whose checkpoint {} signed",
                            counted(proved.entries, "entry"), proof.log_key));
  if (proved.signed_at) context.print("signed at " + registry::moment_text(*proved.signed_at));
  if (proved.by_former_key) {
    context.note("that key has handed over since: who has it can still sign such proofs");
  }
  for (const std::string& witness : proved.witnesses) context.print("cosigned by " + witness);
}

}  // namespace

void add_log_verify(Command& log, Context& context) {
  Command command = log.add_command(
      context, "verify",
      "check the whole log against its signed checkpoint and what you have seen of it, or a proof",
      "  organ log verify\n"
      "  organ log verify --proof contracts.proof \\\n"
      "      --key 'organ-registry/…+…+…'");
  auto arguments = std::make_shared<LogVerifyArguments>();
  add_registry_argument(command, arguments->folder);
  command
      .add_path("--proof", arguments->proof, "a document of organ log prove; no registry is read")
      .value_name("FILE");
  command
      .add_option("--key", arguments->log_key,
                  "log key that it must have, or its .vkey file [default: the one you have met]")
      .value_name("VKEY");
  add_age_option(command, "--max-age", arguments->max_age,
                 "an older checkpoint is a finding, of a proof too (30d, 12h)");
  command
      .add_option("--witness", arguments->witnesses,
                  "witness keys, or their .vkey files, whose cosignatures are demanded of a proof "
                  "[default: those of the root, as you have met it]")
      .value_name("VKEY");
  command.add_option("--quorum", arguments->quorum, "how many of them must be there [default: all]")
      .value_name("N");
  command.on_run([&context, arguments] {
    arguments->checked_key = given_verifier_key("--key", arguments->log_key);
    arguments->witnesses = given_verifier_keys("--witness", arguments->witnesses);
    if (arguments->proof.empty()) {
      verify_log(context, *arguments);
    } else {
      verify_proof(context, *arguments);
    }
  });
}

}  // namespace organ::cli
