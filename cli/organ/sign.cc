// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/frame/passphrase.h"
#include "cli/organ/commands.h"
#include "cli/output/finite_option.h"
#include "format/base/fail.h"
#include "format/signature/signing.h"

namespace organ::cli {
namespace {

struct Options {
  std::filesystem::path folder;
  std::filesystem::path key;
  bool replace = false;
  PassphraseOptions passphrase;
  bool require_finite = false;
  unsigned threads = 0;
};

void sign(Context& context, const Options& options) {
  const auto organ = format::OrganFolder::open(options.folder);
  const auto key = format::SecretKey::load_with(options.key, passphrase_source(options.passphrase));
  format::FiniteCheck finite{.required = options.require_finite, .found = {}};
  watched(context, options.threads, [&](const Work& work) {
    format::sign_folder(organ, key, options.replace, work, &finite);
  });
  warn_not_finite(context, finite.found);
  const std::string path = (options.folder / format::kSignatureFile).string();
  context.set_done("the signature is written");
  const std::string id = key.public_key().id().hex();
  if (context.json) {
    context.print_json(
        "sign",
        {{"signature", path}, {"key_id", id}, {"files", organ.manifest().files.size() + 1}});
    return;
  }
  context.confirm("signed  " + escape_text(path));
  context.confirm("key id  " + id);
}

}  // namespace

void add_sign(Command& app, Context& context) {
  auto options = std::make_shared<Options>();
  Command command = app.add_command(
      context, "sign", "check an organ folder and write its model.sig",
      "  organ sign legal-1.0.0 --key acme.key\n"
      "  organ sign legal-1.0.0 --key acme.key --passphrase-file secret.txt --replace");
  command.add_path("DIR", options->folder, "organ folder").required();
  command.add_path("--key", options->key, "private key (PEM; ECDSA P-256, P-384 or P-521)")
      .required()
      .value_name("FILE");
  command.add_flag("--replace", options->replace, "write over an existing model.sig");
  add_passphrase_options(command, options->passphrase);
  add_finite_option(command, options->require_finite);
  add_threads_option(command, options->threads);
  command.on_run([&context, options] { sign(context, *options); });
}

}  // namespace organ::cli
