// SPDX-License-Identifier: Apache-2.0
// `organ registry trust|distrust|policy|remember`: whose signatures count, and what this user knows
// of the registry.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "cli/frame/parse_option.h"
#include "cli/registry/commands.h"
#include "cli/registry/open_registry.h"
#include "cli/registry/verifier_key.h"
#include "format/base/digest.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "format/manifest/manifest.h"
#include "registry/log/facts.h"
#include "registry/log/moment.h"
#include "registry/trust/known_logs.h"

namespace organ::cli {
namespace {

using registry::PolicyMode;
using registry::PolicyRule;
using registry::Registry;

constexpr std::uint64_t kPolicyLimit = std::uint64_t{1} << 20;

std::optional<PolicyMode> parse_mode(std::string_view name) {
  for (const PolicyMode mode : {PolicyMode::enforce, PolicyMode::warn, PolicyMode::off}) {
    if (to_string(mode) == name) return mode;
  }
  return std::nullopt;
}

struct PolicyArguments {
  std::string key;
  std::string pattern = "*";
  std::optional<std::uint64_t> threshold;
  PolicyMode mode = PolicyMode::enforce;
  std::string expires;
  std::optional<std::uint64_t> from;
  std::string apply;
  bool restore = false;
};

// "sha256:…, until …, retired from entry …"
std::string key_text(const PolicyRule& rule, const format::KeyId& key) {
  std::string text = key.to_string();
  for (const registry::LimitedKey& limit : rule.limits) {
    if (limit.key != key) continue;
    if (!limit.expires.empty()) text += ", until " + limit.expires;
    if (limit.retired) text += fmt::format(", retired from entry {} on", *limit.retired);
  }
  return text;
}

nlohmann::json limits_json(const PolicyRule& rule) {
  nlohmann::json limits = nlohmann::json::array();
  for (const registry::LimitedKey& limit : rule.limits) {
    limits.push_back(
        registry::key_limit_json(limit.key.to_string(), {limit.expires, limit.retired}));
  }
  return limits;
}

nlohmann::json rules_json(const registry::Policy& policy) {
  nlohmann::json rules = nlohmann::json::array();
  for (const PolicyRule& rule : policy.rules()) {
    nlohmann::json keys = nlohmann::json::array();
    for (const format::PublicKey& key : rule.keys) keys.push_back(key.id().to_string());
    rules.push_back({{"pattern", rule.pattern},
                     {"mode", to_string(rule.mode)},
                     {"threshold", rule.threshold},
                     {"keys", keys},
                     {"limits", limits_json(rule)}});
  }
  return rules;
}

void show_policy(const Context& context, const char* command, const Registry& registry) {
  const registry::Policy& policy = registry.policy();
  if (context.json) {
    context.print_json(command, {{"rules", rules_json(policy)}});
    return;
  }
  for (const PolicyRule& rule : policy.rules()) {
    context.print(fmt::format("{:<24} {:<8} {} of {}", rule.pattern, to_string(rule.mode),
                              rule.threshold, counted(rule.keys.size(), "key")));
    for (const format::PublicKey& key : rule.keys) context.print("  " + key_text(rule, key.id()));
  }
  if (policy.rules().empty()) context.note("no key is trusted for any name");
}

// What a key that was retired or came to its end signs from now on counts no more.
std::uint64_t able_keys(const PolicyRule& rule) {
  const auto now = static_cast<std::uint64_t>(format::clock_seconds());
  return static_cast<std::uint64_t>(std::ranges::count_if(rule.keys, [&](const auto& key) {
    const auto limit = std::ranges::find(rule.limits, key.id(), &registry::LimitedKey::key);
    if (limit == rule.limits.end()) return true;
    return !limit->retired && registry::parse_moment(limit->expires).value_or(UINT64_MAX) > now;
  }));
}

constexpr const char* kDone = "the policy is in the log";

void finish(Context& context, const char* command, const Registry& registry, bool changed) {
  if (!changed) context.note("nothing changed");
  for (const PolicyRule& rule : registry.policy().rules()) {
    const std::uint64_t able = able_keys(rule);
    if (able >= rule.threshold || rule.mode != PolicyMode::enforce) continue;
    context.warn(quote(rule.pattern) +
                 (rule.keys.empty()
                      ? std::string(": no key is trusted any more")
                      : fmt::format(": {} must sign and {} can", counted(rule.threshold, "key"),
                                    able == 0 ? "none" : std::to_string(able))) +
                 (able == rule.keys.size() ? ": nothing of these names is accepted"
                                           : ": nothing new of these names is accepted"));
  }
  show_policy(context, command, registry);
}

// Before the key is trusted: what is refused must have changed nothing.
void require_threshold(const registry::Policy& policy, const PolicyArguments& arguments,
                       const format::PublicKey& key) {
  if (!arguments.threshold) return;
  const auto& rules = policy.rules();
  const auto rule = std::ranges::find(rules, arguments.pattern, &PolicyRule::pattern);
  std::size_t keys = 1;
  if (rule != rules.end()) {
    const bool is_known =
        std::ranges::find(rule->keys, key.id(), &format::PublicKey::id) != rule->keys.end();
    keys = rule->keys.size() + (is_known ? 0 : 1);
  }
  if (*arguments.threshold >= 1 && *arguments.threshold <= keys) return;
  fail(ErrorCode::invalid_argument, "threshold {}, expected 1 to {} (the number of keys)",
       *arguments.threshold, keys);
}

void run_trust(Context& context, const PolicyArguments& arguments, bool mode_given) {
  const auto key = format::PublicKey::load(arguments.key);
  bool changed = false;
  const Registry registry = change_registry(context, kDone, [&](Registry& open, const Work& work) {
    require_threshold(open.policy(), arguments, key);
    changed = open.trust(arguments.pattern, key, arguments.expires, work);
    if (!arguments.threshold && !mode_given) return;
    const auto& rules = open.policy().rules();
    const auto rule = std::ranges::find(rules, arguments.pattern, &PolicyRule::pattern);
    open.set_rule(arguments.pattern, mode_given ? arguments.mode : rule->mode,
                  arguments.threshold.value_or(rule->threshold), changed ? work.committed() : work);
    changed = true;
  });
  finish(context, "registry trust", registry, changed);
}

format::KeyId id_of(const std::string& key) {
  if (key.starts_with("sha256:")) return Digest::parse(key, "key id");
  // As key generate and verify print it.
  const bool is_hex = key.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (key.size() == Digest::kHexSize && is_hex) return Digest::parse_hex(key, "key id");
  return format::PublicKey::load(key).id();
}

void run_retire(Context& context, const PolicyArguments& arguments, bool everywhere) {
  const format::KeyId id = id_of(arguments.key);
  bool changed = false;
  const Registry registry = change_registry(context, kDone, [&](Registry& open, const Work& work) {
    changed = open.retire(id, arguments.from, everywhere ? std::string() : arguments.pattern, work);
  });
  finish(context, "registry retire", registry, changed);
}

void run_distrust(Context& context, const PolicyArguments& arguments, bool everywhere) {
  const format::KeyId id = id_of(arguments.key);
  bool changed = false;
  const Registry registry = change_registry(context, kDone, [&](Registry& open, const Work& work) {
    changed = open.distrust(id, everywhere ? std::string() : arguments.pattern, work);
  });
  finish(context, "registry distrust", registry, changed);
}

void run_policy(Context& context, const PolicyArguments& arguments) {
  if (arguments.restore && !arguments.apply.empty()) {
    throw Error(ErrorCode::invalid_argument, "give either --apply or --restore, not both");
  }
  if (!arguments.restore && arguments.apply.empty()) {
    const Registry registry = open_registry(context, Registry::Mode::read);
    show_policy(context, "registry policy", registry);
    return;
  }
  const Registry registry = change_registry(context, kDone, [&](Registry& open, const Work& work) {
    if (arguments.restore) {
      open.restore_policy(work);
      return;
    }
    open.apply(registry::Policy::parse(read_file(arguments.apply, kPolicyLimit),
                                       quote(arguments.apply), open.folder() / "organ" / "trust"),
               work);
  });
  finish(context, "registry policy", registry, true);
}

struct RememberArguments {
  std::optional<std::string> log_key;
  std::string checked_key;  // of log_key
  bool replace = false;
  std::optional<std::uint64_t> max_age;
  bool any_age = false;
};

// The limit is set before the registry is read, so that one that was too small is in nobody's way;
// behind that when it is met for the first time.
Registry open_with_limit(const Context& context, const RememberArguments& arguments,
                         const registry::OpenOptions& options) {
  const std::filesystem::path folder = context.registry_path();
  const auto open = [&] { return Registry::open(folder, Registry::Mode::read, options); };
  if (!arguments.max_age && !arguments.any_age) return open();
  if (options.known_registries.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "nothing is remembered without HOME or XDG_CONFIG_HOME");
  }
  const registry::KnownLogs known(options.known_registries);
  std::optional<registry::KnownLog> former;
  if (!arguments.replace && is_there(folder)) former = known.recall(real_path(folder));
  if (former) known.limit_age(real_path(folder), arguments.max_age);
  try {
    Registry registry = open();
    if (!former) known.limit_age(real_path(folder), arguments.max_age);
    return registry;
  } catch (const Error&) {
    if (former) known.limit_age(real_path(folder), former->max_age);
    throw;
  }
}

void run_remember(Context& context, const RememberArguments& arguments) {
  watched(context, 0, [&](const Work& work) {  // waits for another command's lock
    Registry::open(context.registry_path(), Registry::Mode::read, {}, work);
  });
  Registry registry = completed(context, "the registry is remembered", [&] {
    return open_with_limit(context, arguments,
                           {.known_registries = context.known_registries(),
                            .log_key = arguments.checked_key,
                            .forget_seen = arguments.replace});
  });
  tell_notices(context, registry);
  const std::optional<std::uint64_t> limit = registry.max_age();
  if (context.json) {
    context.print_json("registry remember",
                       {{"registry", registry.folder().string()},
                        {"log_key", registry.log_key()},
                        {"entries", registry.log_size()},
                        {"max_age", limit ? nlohmann::json(*limit) : nlohmann::json()}});
    return;
  }
  context.print("log key  " + registry.log_key());
  context.print(fmt::format("entries  {}", registry.log_size()));
  if (limit) context.print("max age  " + registry::span_text(*limit));
}

void add_trust(Command& group, Context& context) {
  Command command = group.add_command(
      context, "trust", "let a key speak for the names that match a pattern",
      "  organ registry trust legal.pub --pattern 'legal/*' --expires 2028-01-31\n"
      "  organ registry trust second.pub --pattern 'legal/*' --threshold 2");
  auto arguments = std::make_shared<PolicyArguments>();
  command.add_path("PUB", arguments->key, "public key").required();
  command.add_option("--pattern", arguments->pattern, "a name, '*' or 'prefix/*'")
      .value_name("PATTERN")
      .show_default();
  command
      .add_option("--threshold", arguments->threshold,
                  "how many of the pattern's keys must have signed")
      .value_name("N");
  add_choice(command, "--mode", arguments->mode, parse_mode, "enforce|warn|off",
             "what happens to an organ without the signatures");
  add_moment_option(command, "--expires", arguments->expires,
                    "signatures count that the log entered before [default: no end]");
  command.on_run(
      [&context, arguments, command] { run_trust(context, *arguments, command.given("--mode")); });
}

void add_distrust(Command& group, Context& context) {
  Command command = group.add_command(
      context, "distrust", "no longer count a key's signatures, those of before included",
      "  organ registry distrust lost.pub\n"
      "  organ registry distrust sha256:… --pattern 'legal/*'");
  auto arguments = std::make_shared<PolicyArguments>();
  command.add_path("PUB|ID", arguments->key, "public key, or its id").required();
  command.add_option("--pattern", arguments->pattern, "only for this pattern [default: everywhere]")
      .value_name("PATTERN");
  command.on_run([&context, arguments, command] {
    run_distrust(context, *arguments, !command.given("--pattern"));
  });
}

void add_retire(Command& group, Context& context) {
  Command command = group.add_command(
      context, "retire", "count a key's signatures that the log has now, and no later ones",
      "  organ registry retire former.pub\n"
      "  organ registry retire stolen.pub --from 120");
  auto arguments = std::make_shared<PolicyArguments>();
  command.add_path("PUB|ID", arguments->key, "public key, or its id").required();
  command
      .add_option("--from", arguments->from,
                  "an entry: those from it on count no more [default: the next one]")
      .value_name("INDEX");
  command.add_option("--pattern", arguments->pattern, "only for this pattern [default: everywhere]")
      .value_name("PATTERN");
  command.on_run([&context, arguments, command] {
    run_retire(context, *arguments, !command.given("--pattern"));
  });
}

void add_policy(Command& group, Context& context) {
  Command command =
      group.add_command(context, "policy", "show whose signatures count, or change it as a whole",
                        "  organ registry policy\n"
                        "  organ registry policy --apply reviewed-policy.json");
  auto arguments = std::make_shared<PolicyArguments>();
  command
      .add_path("--apply", arguments->apply,
                "sign the rules of this file into the log (policy.v1.schema.json)")
      .value_name("FILE");
  command.add_flag("--restore", arguments->restore,
                   "write policy.json anew from the log's signed entries");
  command.on_run([&context, arguments] { run_policy(context, *arguments); });
}

void add_remember(Command& group, Context& context) {
  Command command = group.add_command(
      context, "remember", "show what you know of the registry, or accept it as it is now",
      "  organ registry remember\n"
      "  organ registry remember --max-age 30d\n"
      "  organ registry remember --key 'organ-registry/…+…+…' --replace");
  auto arguments = std::make_shared<RememberArguments>();
  command
      .add_option("--key", arguments->log_key,
                  "log key that it must have, as told by its owner, or its .vkey file")
      .value_name("VKEY");
  command.add_flag("--replace", arguments->replace,
                   "forget what was seen before: another key or history is taken");
  const Option any = command.add_flag("--any-age", arguments->any_age, "demand no age any more");
  add_age_option(command, "--max-age", arguments->max_age,
                 "from now on, read no state that was signed longer ago (30d, 12h)")
      .excludes(any);
  command.on_run([&context, arguments] {
    arguments->checked_key = given_verifier_key("--key", arguments->log_key);
    run_remember(context, *arguments);
  });
}

}  // namespace

void add_registry_policy(Command& group, Context& context) {
  add_trust(group, context);
  add_distrust(group, context);
  add_retire(group, context);
  add_policy(group, context);
  add_remember(group, context);
}

}  // namespace organ::cli
