// SPDX-License-Identifier: Apache-2.0
// `organ log root`: who speaks for a log, and handing over.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/log/commands.h"
#include "cli/log/signing_key.h"
#include "cli/registry/open_registry.h"
#include "cli/registry/verifier_key.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/manifest/manifest.h"
#include "registry/log/moment.h"
#include "registry/log/root.h"
#include "registry/notes/note.h"

namespace organ::cli {
namespace {

using registry::LogRoot;
using registry::Registry;
using registry::SignedNote;

struct LogRootArguments {
  bool rotate = false, discard_next = false, lower = false;
  std::string expires;
  bool no_expiry = false, no_witnesses = false, any_age = false;
  std::vector<std::string> root_keys, witnesses;
  std::optional<std::uint64_t> threshold, quorum, max_age;
  std::vector<std::string> keys;
  PassphraseOptions passphrase;
  std::filesystem::path out, sign, apply;

  bool changes() const {
    return rotate || !expires.empty() || no_expiry || no_witnesses || any_age ||
           !root_keys.empty() || !witnesses.empty() || threshold || quorum || max_age;
  }
};

nlohmann::json root_json(const LogRoot& root) { return nlohmann::json::parse(root.to_text()); }

void print_root(const Context& context, const LogRoot& root) {
  const auto keys = [&](const std::vector<std::string>& all) {
    for (const std::string& key : all) context.print("  " + escape_text(key));
  };
  context.print(fmt::format("root       {}", root.version));
  context.print("log key    " + escape_text(root.log_key));
  if (!root.expires.empty()) context.print("expires    " + escape_text(root.expires));
  if (root.max_age) context.print("max age    " + registry::span_text(*root.max_age));
  context.print(fmt::format("next root  signed by {} of {}", root.threshold,
                            counted(root.keys.size(), "key")));
  keys(root.keys);
  if (root.witnesses.empty()) return;
  context.print(
      fmt::format("witnesses  {} of {} must have cosigned", root.quorum, root.witnesses.size()));
  keys(root.witnesses);
}

void show_root(const Context& context, const char* done, const LogRoot& root) {
  if (context.json) {
    context.print_json("log root", {{"root", root_json(root)}, {"done", done}});
    return;
  }
  print_root(context, root);
}

// The key that is there may end in the past, as one that was lost does; a new one is to be used.
void require_future(const LogRootArguments& arguments) {
  if (!arguments.rotate || arguments.expires.empty()) return;
  const std::uint64_t end = registry::parse_moment(arguments.expires).value_or(UINT64_MAX);
  if (end > static_cast<std::uint64_t>(format::clock_seconds())) return;
  fail(ErrorCode::invalid_argument, "--expires: {} is past, the new key would never count",
       arguments.expires);
}

LogRoot changed(Registry& registry, const LogRoot& now, const LogRootArguments& arguments) {
  require_future(arguments);
  LogRoot next = now;
  ++next.version;
  if (arguments.rotate) {
    next.log_key = registry.prepare_log_key(arguments.discard_next ? Registry::Waiting::is_discarded
                                                                   : Registry::Waiting::stays);
    // Where the log's key speaks for the root too, its successor does.
    std::replace(next.keys.begin(), next.keys.end(), now.log_key, next.log_key);
    next.expires.clear();  // it was the former key's
  }
  if (!arguments.root_keys.empty()) next.keys = arguments.root_keys;
  if (!arguments.witnesses.empty()) next.witnesses = arguments.witnesses;
  if (arguments.no_witnesses) next.witnesses.clear();
  if (arguments.no_witnesses) next.quorum = 0;
  if (arguments.threshold) next.threshold = *arguments.threshold;
  if (arguments.quorum) next.quorum = *arguments.quorum;
  if (!arguments.expires.empty()) next.expires = arguments.expires;
  if (arguments.no_expiry) next.expires.clear();
  if (arguments.max_age) next.max_age = arguments.max_age;
  if (arguments.any_age) next.max_age.reset();
  try {
    return LogRoot::parse(next.to_text(), "the new root");
  } catch (const Error& error) {
    throw Error(ErrorCode::invalid_argument, error.message());
  }
}

void require_meant(const LogRoot& now, const LogRoot& next, const LogRootArguments& arguments) {
  const std::vector<std::string> less = registry::lowered(now, next);
  if (less.empty() || arguments.lower) return;
  throw Error(ErrorCode::invalid_argument, "the new root would ask for less: " + less.front(),
              "--lower says that this is meant; everybody who knows the log is told");
}

// The private keys of --key; asks for their passphrases.
std::vector<SigningKey> load_keys(const LogRootArguments& arguments,
                                  const std::vector<std::string>& known) {
  std::vector<SigningKey> keys;
  for (const std::string& path : arguments.keys) {
    keys.push_back(
        load_signing_key(path, registry::NoteKeyType::ed25519, known, arguments.passphrase));
  }
  return keys;
}

void sign_with(const std::vector<SigningKey>& keys, SignedNote& note) {
  for (const SigningKey& key : keys) {
    note.add(key.signer.sign(key.name(), note.text));
  }
}

std::string state_of(const LogRoot& now, const LogRoot& next, const registry::RootSignatures& by) {
  return fmt::format(
      "root {} is signed by {} of {} of root {}, and by {} of {} of its "
      "own",
      next.version, by.former, counted(now.threshold, "needed key"), now.version, by.own,
      next.threshold);
}

void finish_apply(Context& context, Registry& registry) {
  tell_notices(context, registry);
  show_root(context, "applied", registry.root());
}

// Whether the new root was written into a file, not made the one in force; what is said of it.
struct Change {
  bool written = false;
  LogRoot root;
  std::string state;
};

// Without its key the root is worth nothing.
void keep_log_key(Registry& registry, const std::filesystem::path& root) {
  try {
    registry.keep_log_key();
  } catch (const Error&) {
    std::error_code ignored;  // the first failure is told
    std::filesystem::remove(root, ignored);
    throw;
  }
}

Change change(Registry& registry, const LogRoot& now, const std::vector<SigningKey>& keys,
              const LogRootArguments& arguments) {
  Change made{
      .written = !arguments.out.empty(), .root = changed(registry, now, arguments), .state = {}};
  require_meant(now, made.root, arguments);
  SignedNote note = SignedNote::parse(registry.sign_root(made.root), "the new root");
  sign_with(keys, note);
  const auto by =
      registry::count_signatures(now, note.to_string(), registry::origin_of(now), "the new root");
  made.state = state_of(now, made.root, by);
  if (made.written) {
    write_file(arguments.out, note.to_string(), AtomicFile::Mode::create_new);
    if (arguments.rotate) keep_log_key(registry, arguments.out);
    return made;
  }
  if (by.former < now.threshold || by.own < made.root.threshold) {
    throw Error(ErrorCode::untrusted, made.state,
                "--out FILE keeps it for the others: organ log root --sign FILE --key KEY, then "
                "--apply FILE");
  }
  registry.apply_root(note.to_string());
  return made;
}

void run_change(Context& context, const LogRootArguments& arguments) {
  if (!arguments.out.empty()) require_folder_above(arguments.out);
  Registry registry = open_registry(context, Registry::Mode::write);
  const LogRoot now = registry.root();
  std::vector<std::string> known = now.keys;
  known.insert(known.end(), arguments.root_keys.begin(), arguments.root_keys.end());
  const std::vector<SigningKey> keys = load_keys(arguments, known);
  const Change made =
      completed(context, arguments.out.empty() ? "the root is in the log" : "the root is written",
                [&] { return change(registry, now, keys, arguments); });
  if (!made.written) return finish_apply(context, registry);
  context.note(made.state);
  show_root(context, "written", made.root);
}

// Needs no registry: who holds a key of the root need not have one.
void run_sign(Context& context, const LogRootArguments& arguments) {
  const std::string subject = quote(arguments.sign.string());
  const std::string text = read_file(arguments.sign, registry::kNoteLimit);
  SignedNote note = SignedNote::parse(text, subject);
  constexpr std::string_view kMark = "/root";
  const std::string first = note.text.substr(0, note.text.find('\n'));
  if (!first.ends_with(kMark)) fail(ErrorCode::corrupt, "{}: is about no root", subject);
  const LogRoot root = registry::read_root_note(
      text, std::string_view(first).substr(0, first.size() - kMark.size()), subject);
  // Who signs sees what before the key's passphrase is asked for.
  if (!context.json) print_root(context, root);
  sign_with(load_keys(arguments, root.keys), note);
  completed(context, "the root is signed", [&] { write_file(arguments.sign, note.to_string()); });
  if (context.json) {
    show_root(context, "signed", root);
  } else {
    context.confirm(fmt::format("root {} is signed", root.version));
  }
}

void run_apply(Context& context, const LogRootArguments& arguments) {
  const std::string note = read_file(arguments.apply, registry::kNoteLimit);
  Registry registry = open_registry(context, Registry::Mode::write);
  const LogRoot now = registry.root();
  require_meant(
      now,
      registry::read_root_note(note, registry::origin_of(now), quote(arguments.apply.string())),
      arguments);
  watched(context, 0, [&](const Work& work) {
    registry.apply_root(note, work);
    context.set_done("the root is in the log");
  });
  finish_apply(context, registry);
}

void run(Context& context, const LogRootArguments& arguments) {
  const int asked = (arguments.changes() ? 1 : 0) + (arguments.sign.empty() ? 0 : 1) +
                    (arguments.apply.empty() ? 0 : 1);
  if (asked > 1) {
    throw Error(ErrorCode::invalid_argument, "give either changes, --sign or --apply");
  }
  if (!arguments.sign.empty() && arguments.keys.empty()) {
    throw Error(ErrorCode::invalid_argument, "--sign needs --key");
  }
  if (arguments.discard_next && !arguments.rotate) {
    throw Error(ErrorCode::invalid_argument, "--discard-next is for --rotate");
  }
  if (arguments.changes()) return run_change(context, arguments);
  if (!arguments.sign.empty()) return run_sign(context, arguments);
  if (!arguments.apply.empty()) return run_apply(context, arguments);
  const Registry registry = open_registry(context, Registry::Mode::read);
  show_root(context, "shown", registry.root());
}

void add_changes(Command& command, LogRootArguments& arguments) {
  command.add_flag("--rotate", arguments.rotate, "hand over to a new log key, made here");
  command.add_flag("--discard-next", arguments.discard_next,
                   "in place of one that waits for the root that names it");
  const Option never =
      command.add_flag("--no-expiry", arguments.no_expiry, "the log key has no end");
  add_moment_option(command, "--expires", arguments.expires, "the log key counts until then")
      .excludes(never);
  command
      .add_option("--root-key", arguments.root_keys,
                  "keys that sign the next root, or their .vkey files; those given are all")
      .value_name("VKEY");
  command.add_option("--threshold", arguments.threshold, "how many of them must sign it")
      .value_name("N");
  const Option none =
      command.add_flag("--no-witnesses", arguments.no_witnesses, "demand no cosignatures");
  command
      .add_option("--witness", arguments.witnesses,
                  "keys that may cosign, or their .vkey files; those given are all")
      .value_name("VKEY")
      .excludes(none);
  command
      .add_option("--quorum", arguments.quorum, "how many of them must have cosigned what counts")
      .value_name("N")
      .excludes(none);
  const Option any = command.add_flag("--any-age", arguments.any_age, "demand no age");
  add_age_option(command, "--max-age", arguments.max_age,
                 "nobody reads a state that was signed longer ago (30d, 12h)")
      .excludes(any);
  command.add_flag("--lower", arguments.lower, "less may be asked for than now");
}

}  // namespace

void add_log_root(Command& log, Context& context) {
  Command command = log.add_command(
      context, "root", "show who speaks for the log, or hand over: keys, witnesses, ages",
      "  organ log root\n"
      "  organ log root --rotate --expires 2028-01-31\n"
      "  organ log root --witness 'w1.example+…+…' --quorum 1 --key root.key");
  auto arguments = std::make_shared<LogRootArguments>();
  add_changes(command, *arguments);
  command
      .add_path("--key", arguments->keys,
                "private key of the root that signs, beside the log's own")
      .value_name("KEY");
  add_passphrase_options(command, arguments->passphrase);
  command
      .add_path("--out", arguments->out, "write the new root into a new file, for others to sign")
      .value_name("FILE");
  command.add_path("--sign", arguments->sign, "add the signatures of --key to such a file")
      .value_name("FILE");
  command.add_path("--apply", arguments->apply, "make the root of such a file the one in force")
      .value_name("FILE");
  command.on_run([&context, arguments] {
    arguments->root_keys = given_verifier_keys("--root-key", arguments->root_keys);
    arguments->witnesses = given_verifier_keys("--witness", arguments->witnesses);
    run(context, *arguments);
  });
}

}  // namespace organ::cli
