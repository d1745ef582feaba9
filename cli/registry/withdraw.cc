// SPDX-License-Identifier: Apache-2.0
// `organ yank`, `organ revoke`, `organ supersede`, `organ alias`: each adds one signed entry to the
// log.
#include <nlohmann/json.hpp>

#include "cli/output/version.h"
#include "cli/registry/commands.h"
#include "cli/registry/open_registry.h"
#include "format/base/fail.h"
#include "format/manifest/reference.h"

namespace organ::cli {
namespace {

using format::Reference;
using format::Version;
using registry::Registry;
using Withdrawal = Registry::Withdrawal;

struct WithdrawArguments {
  std::string reference;
  std::string reason;
  bool undo = false;
  std::string by = {};  // of supersede
};

// What the two have in common: a reason, or that it is taken back.
void check_words(const WithdrawArguments& arguments) {
  if (arguments.undo == !arguments.reason.empty()) {
    throw Error(ErrorCode::invalid_argument, "expected either --reason TEXT or --undo");
  }
}

void run_withdraw(Context& context, Withdrawal kind, const WithdrawArguments& arguments) {
  const bool revokes = kind == Withdrawal::revoke;
  const char* verb = revokes ? "revoke" : "yank";
  const auto subject = format::parse_exact(arguments.reference);
  const auto& name = subject.first;
  const auto& version = subject.second;
  check_words(arguments);
  bool done = false;
  const Registry registry = change_registry(
      context, fmt::format("the {} is in the log", verb), [&](Registry& open, const Work& work) {
        done = open.withdraw(kind, name, version,
                             arguments.undo ? std::nullopt : std::optional(arguments.reason), work);
      });
  const registry::VersionInfo now = registry.resolve({name, version});
  if (context.json) {
    context.print_json(
        verb, {{"name", now.name},
               {"version", now.version},
               {"digest", now.digest.to_string()},
               {"yanked",
                now.yank_reason ? nlohmann::json(escape_text(*now.yank_reason)) : nlohmann::json()},
               {"revoked", now.revoke_reason ? nlohmann::json(escape_text(*now.revoke_reason))
                                             : nlohmann::json()}});
    return;
  }
  const char* state = revokes ? "revoked" : "yanked";
  const std::string said = !done            ? fmt::format("nothing changed: it is {}{}",
                                               arguments.undo ? "not " : "already ", state)
                           : arguments.undo ? fmt::format("{} taken back", verb)
                                            : state;
  context.confirm(fmt::format("{}:{}  {}", escape_text(now.name), escape_text(now.version), said));
}

void add_words(Command& command, WithdrawArguments& arguments) {
  command.add_option("NAME:VERSION", arguments.reference, "the version").required();
  command.add_option("--reason", arguments.reason, "why, in a sentence; everybody will read it")
      .value_name("TEXT");
  command.add_flag("--undo", arguments.undo, "take it back; the log keeps both");
}

void add_withdraw(Command& app, Context& context, Withdrawal kind, const char* verb,
                  const char* description, const char* examples) {
  Command command = app.add_command(context, verb, description, examples);
  auto arguments = std::make_shared<WithdrawArguments>();
  add_words(command, *arguments);
  command.on_run([&context, kind, arguments] { run_withdraw(context, kind, *arguments); });
}

// What takes the place: NAME:VERSION, or another version of the same name.
std::string successor_of(const std::string& name, const std::string& by) {
  if (by.find(':') == std::string::npos) return name + ":" + Version::parse(by).to_string();
  const auto [other, version] = format::parse_exact(by);
  return other + ":" + version.to_string();
}

void run_supersede(Context& context, const WithdrawArguments& arguments) {
  const auto subject = format::parse_exact(arguments.reference);
  const auto& name = subject.first;
  const auto& version = subject.second;
  check_words(arguments);
  if (arguments.undo == !arguments.by.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "expected --by NAME:VERSION with --reason, not --undo");
  }
  std::optional<registry::Supersession> by;
  if (!arguments.undo) {
    by = registry::Supersession{successor_of(name, arguments.by), arguments.reason};
  }
  bool done = false;
  const Registry registry = change_registry(
      context, "the notice is in the log",
      [&](Registry& open, const Work& work) { done = open.supersede(name, version, by, work); });
  const registry::VersionInfo now = registry.resolve({name, version});
  if (context.json) {
    context.print_json("supersede", {{"name", now.name},
                                     {"version", now.version},
                                     {"digest", now.digest.to_string()},
                                     {"superseded", superseded_json(now)}});
    return;
  }
  const std::string said = !done            ? std::string("nothing changed")
                           : arguments.undo ? std::string("notice taken back")
                                            : "superseded by " + escape_text(by->by);
  context.confirm(fmt::format("{}:{}  {}", escape_text(now.name), escape_text(now.version), said));
}

struct AliasArguments {
  std::string alias;
  std::string version;
  bool remove = false;
};

void run_alias(Context& context, const AliasArguments& arguments) {
  const Reference reference = Reference::parse(arguments.alias);
  const auto* alias = std::get_if<format::Alias>(&reference.selector);
  if (alias == nullptr) {
    throw Error(ErrorCode::invalid_argument, quote(arguments.alias) + ": expected NAME@ALIAS",
                "for example legal/contracts@stable");
  }
  if (arguments.remove == !arguments.version.empty()) {
    throw Error(ErrorCode::invalid_argument, "expected either a version or --remove");
  }
  std::optional<Version> version;
  if (!arguments.remove) version = Version::parse(arguments.version);
  change_registry(context, "the alias is in the log", [&](Registry& open, const Work& work) {
    open.set_alias(reference.name, alias->name, version, work);
  });
  if (context.json) {
    context.print_json(
        "alias", {{"name", reference.name},
                  {"alias", alias->name},
                  {"version", version ? nlohmann::json(version->to_string()) : nlohmann::json()}});
    return;
  }
  context.confirm(fmt::format("{} -> {}", arguments.alias,
                              version ? version->to_string() : std::string("nothing")));
}

}  // namespace

void add_yank(Command& app, Context& context) {
  add_withdraw(app, context, Withdrawal::yank, "yank",
               "hide a version from everybody who does not name it",
               "  organ yank legal/contracts:1.2.0 \\\n"
               "      --reason 'trained on a draft of the texts'\n"
               "  organ yank legal/contracts:1.2.0 --undo");
}

void add_revoke(Command& app, Context& context) {
  add_withdraw(app, context, Withdrawal::revoke, "revoke",
               "refuse a version from now on, wherever this registry's log is read",
               "  organ revoke legal/contracts:1.2.0 --reason 'memorises names of clients'\n"
               "  organ revoke legal/contracts:1.2.0 --undo");
}

void add_supersede(Command& app, Context& context) {
  Command command = app.add_command(
      context, "supersede", "say that another version takes the place of one; nothing is refused",
      "  organ supersede legal/contracts:1.2.0 --by 1.3.0 \\\n"
      "      --reason 'two laws are new'\n"
      "  organ supersede legal/old:1.0.0 --by legal/new:1.0.0 --reason 'renamed'\n"
      "  organ supersede legal/contracts:1.2.0 --undo");
  auto arguments = std::make_shared<WithdrawArguments>();
  add_words(command, *arguments);
  command
      .add_option("--by", arguments->by, "what takes its place: NAME:VERSION, or a VERSION of it")
      .value_name("NAME:VERSION");
  command.on_run([&context, arguments] { run_supersede(context, *arguments); });
}

void add_alias(Command& app, Context& context) {
  Command command = app.add_command(context, "alias", "point a name such as @stable at a version",
                                    "  organ alias legal/contracts@stable 1.2.0\n"
                                    "  organ alias legal/contracts@stable --remove");
  auto arguments = std::make_shared<AliasArguments>();
  command.add_option("NAME@ALIAS", arguments->alias, "the alias").required();
  command.add_option("VERSION", arguments->version, "what it points at from now on");
  command.add_flag("--remove", arguments->remove, "take it away");
  command.on_run([&context, arguments] { run_alias(context, *arguments); });
}

}  // namespace organ::cli
