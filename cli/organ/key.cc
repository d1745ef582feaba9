// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/frame/parse_option.h"
#include "cli/frame/passphrase.h"
#include "cli/organ/commands.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "format/signature/signing.h"
#include "registry/notes/note_signer.h"

namespace organ::cli {
namespace {

using registry::NoteKeyType;
using registry::NoteSigner;

// What a key signs: organs (ECDSA), roots of a log or cosignatures of its checkpoints (Ed25519).
enum class Purpose { organ, root, witness };

std::string_view to_string(Purpose purpose) {
  constexpr std::string_view kNames[] = {"organ", "root", "witness"};
  return kNames[static_cast<std::size_t>(purpose)];
}

std::optional<Purpose> parse_purpose(std::string_view name) {
  for (const Purpose purpose : {Purpose::organ, Purpose::root, Purpose::witness}) {
    if (to_string(purpose) == name) return purpose;
  }
  return std::nullopt;
}

struct Options {
  std::string prefix;
  format::Curve curve = format::Curve::p256;
  Purpose purpose = Purpose::organ;
  std::string name;
  PassphraseOptions passphrase;
};

std::optional<format::Curve> parse_curve(std::string_view name) {
  if (name == "p256") return format::Curve::p256;
  if (name == "p384") return format::Curve::p384;
  if (name == "p521") return format::Curve::p521;
  return std::nullopt;
}

struct KeyFiles {
  std::filesystem::path secret, open;
};

KeyFiles free_files(const Options& options) {
  const bool of_organs = options.purpose == Purpose::organ;
  KeyFiles files{options.prefix + ".key", options.prefix + (of_organs ? ".pub" : ".vkey")};
  const std::string last = std::filesystem::path(options.prefix).filename().string();
  if (last.empty() || last == "." || last == "..") {
    throw Error(ErrorCode::invalid_argument, quote(options.prefix) + ": names no file",
                "organ key generate FOLDER/NAME makes FOLDER/NAME.key and FOLDER/NAME.pub");
  }
  if (is_folder(options.prefix)) {  // its key would lie beside it
    throw Error(ErrorCode::invalid_argument,
                quote(options.prefix) + ": is a folder, expected a name for the key's two files",
                quote(options.prefix + "/NAME") + " puts them into it");
  }
  require_folder_above(files.secret);
  for (const auto& path : {files.secret, files.open}) {
    if (is_taken(path)) {
      throw Error(ErrorCode::already_exists, quote(path.string()) + ": already exists",
                  "a key is never overwritten");
    }
  }
  return files;
}

// Both files or none: one is no key.
template <typename SaveSecret>
void save(Context& context, const KeyFiles& files, std::string_view open,
          const SaveSecret& save_secret) {
  completed(context, "both files of the key are written", [&] {
    save_secret();
    write_file(files.open, open, AtomicFile::Mode::create_new);
  });
}

void report(const Context& context, const KeyFiles& files, bool encrypted, const char* what,
            const std::string& id) {
  if (!encrypted && !context.json) {  // the record says so itself
    context.warn(quote(files.secret.string()) + " is not encrypted; whoever reads it can sign");
  }
  if (context.json) {
    context.print_json("key generate", {{"private_key", files.secret.string()},
                                        {"public_key", files.open.string()},
                                        {what, id},
                                        {"encrypted", encrypted}});
    return;
  }
  context.confirm("private key  " + escape_text(files.secret.string()));
  context.confirm("public key   " + escape_text(files.open.string()));
  const bool is_id = std::string_view(what) == "key_id";
  context.confirm((is_id ? "key id       " : "verifier key ") + id);
}

void generate_for_organs(Context& context, const Options& options) {
  const KeyFiles files = free_files(options);
  const std::string passphrase = new_passphrase(options.passphrase);
  const auto key = format::SecretKey::generate(options.curve);
  const format::PublicKey public_key = key.public_key();
  save(context, files, public_key.pem(), [&] { key.save(files.secret, passphrase); });
  report(context, files, !passphrase.empty(), "key_id", public_key.id().hex());
}

// The file beside the key holds its C2SP verifier key, which is one line.
void generate_for_notes(Context& context, const Options& options) {
  const bool cosigns = options.purpose == Purpose::witness;
  const NoteSigner key = NoteSigner::generate();
  const std::string verifier =
      key.verifier_key(options.name, cosigns ? NoteKeyType::cosigner : NoteKeyType::ed25519);
  try {
    registry::NoteVerifier::parse(verifier, "--name");
  } catch (const Error&) {
    throw Error(ErrorCode::invalid_argument,
                "--name: " + quote(options.name) + " names no key of a note",
                "expected something like witness.example.org/w1: no spaces, no +");
  }
  const KeyFiles files = free_files(options);
  const std::string passphrase = new_passphrase(options.passphrase);
  save(context, files, verifier + "\n", [&] { key.save(files.secret, passphrase); });
  report(context, files, !passphrase.empty(), "verifier_key", verifier);
}

void generate(Context& context, const Options& options, bool curve_given) {
  const bool of_organs = options.purpose == Purpose::organ;
  if (of_organs != options.name.empty() || (curve_given && !of_organs)) {
    throw Error(ErrorCode::invalid_argument,
                of_organs ? "--name is for keys that sign notes of a log"
                          : "a key that signs notes of a log has a --name and no --curve",
                "organ key generate w1 --for witness --name witness.example.org/w1");
  }
  if (of_organs) {
    generate_for_organs(context, options);
  } else {
    generate_for_notes(context, options);
  }
}

}  // namespace

void add_key(Command& app, Context& context) {
  Command group =
      app.add_group(context, "key", "make keys that sign organs, and logs",
                    "  organ key generate acme\n"
                    "  organ key generate root --for root --name acme.example.org/root");
  auto options = std::make_shared<Options>();
  Command command = group.add_command(
      context, "generate",
      "make a key pair: PREFIX.key (keep it) and PREFIX.pub, or .vkey (give it away)",
      "  organ key generate acme\n"
      "  organ key generate --curve p384 --passphrase-file secret.txt keys/acme\n"
      "  organ key generate w1 --for witness --name witness.example.org/w1");
  command.add_path("PREFIX", options->prefix, "path of the two files without .key and .pub")
      .required();
  add_option_of_names(command, "--curve", "p256|p384|p521", "", "curve of the key [default: p256]",
                      [options](const std::string& text, const std::string& expected) {
                        options->curve = parsed(parse_curve(text), "--curve", text, expected);
                      });
  add_choice(command, "--for", options->purpose, parse_purpose, "organ|root|witness",
             "what it signs: organs, roots of a log (Ed25519), its checkpoints as a witness");
  command.add_option("--name", options->name, "name of a key that signs notes of a log")
      .value_name("NAME");
  add_passphrase_options(command, options->passphrase);
  command.on_run(
      [&context, options, command] { generate(context, *options, command.given("--curve")); });
}

}  // namespace organ::cli
