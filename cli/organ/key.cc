// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/frame/passphrase.h"
#include "cli/organ/commands.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/signature/signing.h"

namespace organ::cli {
namespace {

struct Options {
  std::string prefix;
  format::Curve curve = format::Curve::p256;
  PassphraseOptions passphrase;
};

void generate(const Context& context, const Options& options) {
  const std::filesystem::path secret_path = options.prefix + ".key";
  const std::filesystem::path public_path = options.prefix + ".pub";
  for (const auto& path : {secret_path, public_path}) {
    if (std::filesystem::exists(std::filesystem::symlink_status(path))) {
      throw Error(ErrorCode::already_exists, quote(path.string()) + ": already exists",
                  "a key is never overwritten");
    }
  }
  const std::string passphrase = new_passphrase(options.passphrase);
  const auto key = format::SecretKey::generate(options.curve);
  const format::PublicKey public_key = key.public_key();
  key.save(secret_path, passphrase);
  write_file(public_path, public_key.pem(), AtomicFile::Mode::create_new);
  if (passphrase.empty()) {
    context.warn(quote(secret_path.string()) + " is not encrypted; whoever reads it can sign");
  }
  if (context.json) {
    context.print_json("key generate", {{"private_key", secret_path.string()},
                                        {"public_key", public_path.string()},
                                        {"key_id", public_key.id().hex()},
                                        {"encrypted", !passphrase.empty()}});
    return;
  }
  context.print("private key  " + escape_text(secret_path.string()));
  context.print("public key   " + escape_text(public_path.string()));
  context.print("key id       " + public_key.id().hex());
}

}  // namespace

void add_key(CLI::App& app, Context& context) {
  CLI::App* group = add_group(app, "key", "make keys that sign organs");
  auto options = std::make_shared<Options>();
  CLI::App* command =
      add_command(*group, context, "generate",
                  "make a key pair: PREFIX.key (keep it) and PREFIX.pub (give it away)",
                  "  organ key generate acme\n"
                  "  organ key generate --curve p384 --passphrase-file secret.txt keys/acme");
  command->add_option("PREFIX", options->prefix, "path of the two files without .key and .pub")
      ->required();
  const std::map<std::string, format::Curve> curves = {
      {"p256", format::Curve::p256}, {"p384", format::Curve::p384}, {"p521", format::Curve::p521}};
  command->add_option("--curve", options->curve, "curve of the key [default: p256]")
      ->transform(CLI::CheckedTransformer(curves).description(""))
      ->type_name("p256|p384|p521");
  add_passphrase_options(command, options->passphrase);
  on_run(command, [&context, options] { generate(context, *options); });
}

}  // namespace organ::cli
