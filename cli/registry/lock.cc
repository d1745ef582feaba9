// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/registry/commands.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "format/manifest/reference.h"
#include "registry/lockfile/locking.h"

namespace organ::cli {
namespace {

using registry::LockedOrgan;
using registry::LockFile;
using registry::Registry;

struct LockArguments {
  std::vector<std::string> references;
  std::filesystem::path file = "organ.lock";
  std::vector<std::string> update;
  bool check = false;
};

// What a run made of the lock file, or found of it.
struct Outcome {
  const char* action;
  LockFile lock;
  std::vector<std::string> changed = {};  // names
  std::vector<format::Finding> findings = {};
};

nlohmann::json record_of(const LockArguments& arguments, const Outcome& outcome) {
  nlohmann::json organs = nlohmann::json::array();
  for (const LockedOrgan& organ : outcome.lock.organs) {
    organs.push_back({{"name", organ.name},
                      {"asked", organ.asked},
                      {"version", organ.version},
                      {"digest", organ.manifest.digest.to_string()},
                      {"log_index", organ.log_index}});
  }
  return {{"file", escape_text(arguments.file.string())},
          {"action", outcome.action},
          {"ok", outcome.findings.empty()},
          {"log_key", escape_text(outcome.lock.log_key)},
          {"log_size", outcome.lock.log_size},
          {"organs", organs},
          {"changed", outcome.changed},
          {"findings", to_json(outcome.findings)}};
}

void write(Context& context, const std::filesystem::path& file, const LockFile& lock,
           AtomicFile::Mode mode) {
  completed(context, "the lock file is written", [&] { write_file(file, lock.to_text(), mode); });
}

Outcome make(Context& context, const LockArguments& arguments) {
  std::vector<format::Reference> references;
  for (const std::string& text : arguments.references) {
    references.push_back(format::Reference::parse(text));
  }
  if (is_taken(arguments.file)) {
    throw Error(ErrorCode::already_exists, quote(arguments.file.string()) + ": is there already",
                "--update NAME takes newer versions into it; remove it to make another");
  }
  require_folder_above(arguments.file);
  const Registry registry = open_registry(context, Registry::Mode::read);
  Outcome outcome{.action = "made", .lock = registry::lock_versions(registry, references)};
  for (const LockedOrgan& organ : outcome.lock.organs) outcome.changed.push_back(organ.name);
  write(context, arguments.file, outcome.lock, AtomicFile::Mode::create_new);
  return outcome;
}

Outcome update(Context& context, const LockArguments& arguments) {
  const LockFile before = LockFile::load(arguments.file);
  const Registry registry = open_registry(context, Registry::Mode::read);
  Outcome outcome{.action = "updated",
                  .lock = registry::update_lock(before, registry, arguments.update)};
  for (const LockedOrgan& organ : outcome.lock.organs) {
    if (organ != before.find(organ.name)) outcome.changed.push_back(organ.name);
  }
  if (!outcome.changed.empty()) {
    write(context, arguments.file, outcome.lock, AtomicFile::Mode::replace);
  }
  return outcome;
}

Outcome look(const Context& context, const LockArguments& arguments) {
  Outcome outcome{.action = "checked", .lock = LockFile::load(arguments.file)};
  const Registry registry = open_registry(context, Registry::Mode::read);
  outcome.findings = registry::check_lock(outcome.lock, registry);
  return outcome;
}

void print_text(const Context& context, const LockArguments& arguments, const Outcome& outcome) {
  for (const format::Finding& finding : outcome.findings) {
    context.print(fmt::format("{:<12}  {}: {}", to_string(finding.code),
                              escape_text(finding.subject), escape_text(finding.message, 2048)));
  }
  if (!outcome.findings.empty()) return;
  for (const std::string& name : outcome.changed) {
    const LockedOrgan& organ = outcome.lock.find(name);
    context.confirm(
        fmt::format("{}:{}  {}", organ.name, organ.version, organ.manifest.digest.to_string()));
  }
  const std::string file = escape_text(arguments.file.string());
  if (arguments.check) {
    context.confirm(fmt::format("{}  {}, as the registry has them", file,
                                counted(outcome.lock.organs.size(), "organ")));
  } else if (outcome.changed.empty()) {
    context.note(file + ": nothing changed");
  }
}

void run(Context& context, const LockArguments& arguments) {
  const int ways = (arguments.references.empty() ? 0 : 1) + (arguments.update.empty() ? 0 : 1) +
                   (arguments.check ? 1 : 0);
  if (ways != 1) {
    throw Error(ErrorCode::invalid_argument,
                "expected either references to lock, or --update NAME, or --check");
  }
  const Outcome outcome = arguments.check            ? look(context, arguments)
                          : arguments.update.empty() ? make(context, arguments)
                                                     : update(context, arguments);
  for (const format::Finding& finding : outcome.findings) context.worsen(finding.code);
  if (context.json) {
    context.print_json("lock", record_of(arguments, outcome));
  } else {
    print_text(context, arguments, outcome);
  }
}

}  // namespace

void add_lock(Command& app, Context& context) {
  Command command = app.add_command(
      context, "lock", "write down which versions a project uses, and say when that changed",
      "  organ lock 'legal/contracts@^1.2' med/notes:2.0.0\n"
      "  organ lock --check\n"
      "  organ lock --update legal/contracts");
  auto arguments = std::make_shared<LockArguments>();
  command.add_option(
      "REF", arguments->references,
      "name, name:version, name@alias, name@RANGE or name@sha256:…, of each name one");
  command.add_path("--out", arguments->file, "the lock file that is written, or looked at")
      .value_name("FILE")
      .default_text("organ.lock");
  command
      .add_option("--update", arguments->update,
                  "ask anew for what this name was asked for by, and write that")
      .value_name("NAME");
  command.add_flag("--check", arguments->check,
                   "write nothing; exit code 3 when a version is out of date or yanked, 5 when it "
                   "was revoked or log or content are others, 6 when it is gone");
  command.on_run([&context, arguments] { run(context, *arguments); });
}

}  // namespace organ::cli
