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

namespace organ::cli {
namespace {

struct Options {
  std::string prefix;
  format::Curve curve = format::Curve::p256;
  PassphraseOptions passphrase;
};

std::optional<format::Curve> parse_curve(std::string_view name) {
  if (name == "p256") return format::Curve::p256;
  if (name == "p384") return format::Curve::p384;
  if (name == "p521") return format::Curve::p521;
  return std::nullopt;
}

void generate(Context& context, const Options& options) {
  const std::filesystem::path secret_path = options.prefix + ".key";
  const std::filesystem::path public_path = options.prefix + ".pub";
  const std::string last = std::filesystem::path(options.prefix).filename().string();
  if (last.empty() || last == "." || last == "..") {
    throw Error(ErrorCode::invalid_argument, quote(options.prefix) + ": names no file",
                "organ key generate FOLDER/NAME makes FOLDER/NAME.key and FOLDER/NAME.pub");
  }
  for (const auto& path : {secret_path, public_path}) {
    if (is_taken(path)) {
      throw Error(ErrorCode::already_exists, quote(path.string()) + ": already exists",
                  "a key is never overwritten");
    }
  }
  const std::string passphrase = new_passphrase(options.passphrase);
  const auto key = format::SecretKey::generate(options.curve);
  const format::PublicKey public_key = key.public_key();
  watched(context, 0, [&](const Work& work) {
    work.require_wanted();  // from here on it is completed: one file is no key
    key.save(secret_path, passphrase);
    write_file(public_path, public_key.pem(), AtomicFile::Mode::create_new);
    context.set_done("both files of the key are written");
  });
  if (passphrase.empty() && !context.json) {  // the record says so itself
    context.warn(quote(secret_path.string()) + " is not encrypted; whoever reads it can sign");
  }
  if (context.json) {
    context.print_json("key generate", {{"private_key", secret_path.string()},
                                        {"public_key", public_path.string()},
                                        {"key_id", public_key.id().hex()},
                                        {"encrypted", !passphrase.empty()}});
    return;
  }
  context.confirm("private key  " + escape_text(secret_path.string()));
  context.confirm("public key   " + escape_text(public_path.string()));
  context.confirm("key id       " + public_key.id().hex());
}

}  // namespace

void add_key(Command& app, Context& context) {
  Command group = app.add_group(context, "key", "make keys that sign organs");
  auto options = std::make_shared<Options>();
  Command command = group.add_command(
      context, "generate", "make a key pair: PREFIX.key (keep it) and PREFIX.pub (give it away)",
      "  organ key generate acme\n"
      "  organ key generate --curve p384 --passphrase-file secret.txt keys/acme");
  command.add_path("PREFIX", options->prefix, "path of the two files without .key and .pub")
      .required();
  add_option_of_names(command, "--curve", "p256|p384|p521", "", "curve of the key [default: p256]",
                      [options](const std::string& text, const std::string& expected) {
                        options->curve = parsed(parse_curve(text), "--curve", text, expected);
                      });
  add_passphrase_options(command, options->passphrase);
  command.on_run([&context, options] { generate(context, *options); });
}

}  // namespace organ::cli
