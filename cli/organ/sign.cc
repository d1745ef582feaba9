// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/frame/long_work.h"
#include "cli/frame/passphrase.h"
#include "cli/organ/commands.h"
#include "cli/output/finite_option.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "format/signature/signing.h"
#include "format/signature/timestamps.h"

namespace organ::cli {
namespace {

constexpr std::uint64_t kResponseLimit = std::uint64_t{64} << 10;

struct Options {
  std::filesystem::path folder;
  std::filesystem::path key;
  std::filesystem::path certificate;
  std::vector<std::string> chain;
  std::filesystem::path timestamp;
  std::filesystem::path timestamp_request;
  bool replace = false;
  PassphraseOptions passphrase;
  bool require_finite = false;
  unsigned threads = 0;

  std::filesystem::path signature() const { return folder / format::kSignatureFile; }
};

void require_sense(const Options& options) {
  const auto refuse = [](const char* message, const char* hint) {
    throw Error(ErrorCode::invalid_argument, message, hint);
  };
  const bool stamps = !options.timestamp.empty() || !options.timestamp_request.empty();
  if (options.key.empty() && !stamps) {
    refuse("nothing to sign with: no --key", "organ key generate PREFIX makes one");
  }
  if (options.key.empty() && (!options.certificate.empty() || options.replace)) {
    refuse("without --key nothing is signed", "give the key of the certificate");
  }
  if (options.certificate.empty() && !options.chain.empty()) {
    refuse("--chain goes with --certificate", "the chain leads from it to a root");
  }
  const bool for_key = options.require_finite || options.passphrase.file || options.passphrase.fd;
  if (options.key.empty() && for_key) {
    refuse("without --key no tensor is read and no key opened",
           "leave --require-finite and the passphrase out");
  }
  if (!options.timestamp.empty() && (!options.key.empty() || !options.timestamp_request.empty())) {
    refuse("--timestamp is of a signature that is there already",
           "sign first, with --timestamp-request; then give the authority's response alone");
  }
}

// The signer's certificate, then those of --chain in their order.
format::CertificateSet load_chain(const Options& options) {
  format::CertificateSet chain;
  if (options.certificate.empty()) return chain;
  chain = format::CertificateSet::load(options.certificate, format::kMostCertificates);
  if (chain.size() > 1) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: expected the signer's certificate alone, got {}",
                            quote(options.certificate.string()), chain.size()),
                "--chain takes those of its issuers, in a file of their own");
  }
  for (const std::string& file : options.chain) {
    chain.append(format::CertificateSet::load(file, format::kMostCertificates));
  }
  return chain;
}

// Before anything is signed: a request that could not be written would come too late.
void require_room(const Options& options) {
  const std::filesystem::path& file = options.timestamp_request;
  if (file.empty()) return;
  require_outside(file, options.folder);
  if (is_taken(file)) {
    throw Error(ErrorCode::already_exists, quote(file.string()) + ": already exists",
                "name a new file for the request");
  }
}

void write_request(const Options& options) {
  if (options.timestamp_request.empty()) return;
  const std::string bundle =
      read_file(options.signature(), format::kSignatureLimit, Symlinks::refuse);
  write_file(options.timestamp_request, format::timestamp_request(bundle, format::kSignatureFile),
             AtomicFile::Mode::create_new);
}

void say_request(const Context& context, const Options& options) {
  if (options.timestamp_request.empty()) return;
  context.confirm("request " + escape_text(options.timestamp_request.string()));
}

void report(Context& context, const Options& options, const format::OrganFolder& organ,
            const format::SecretKey& key) {
  const std::string path = options.signature().string();
  const std::string id = key.public_key().id().hex();
  if (context.json) {
    context.print_json(
        "sign",
        {{"signature", path}, {"key_id", id}, {"files", organ.manifest().files.size() + 1}});
    return;
  }
  context.confirm("signed  " + escape_text(path));
  context.confirm("key id  " + id);
  say_request(context, options);
}

// Adds a response to the signature that is there, or writes the request for one.
void stamp(Context& context, const Options& options) {
  (void)format::OrganFolder::open(options.folder);  // says when it is no organ
  const std::filesystem::path path = options.signature();
  if (!options.timestamp.empty()) {
    const std::string bundle = read_file(path, format::kSignatureLimit, Symlinks::refuse);
    const std::string response = read_given_file(options.timestamp, kResponseLimit);
    write_file(path, format::with_timestamp(bundle, response, format::kSignatureFile));
  }
  write_request(options);
  if (context.json) {
    context.print_json("sign", {{"signature", path.string()}});
    return;
  }
  if (!options.timestamp.empty()) context.confirm("stamped " + escape_text(path.string()));
  say_request(context, options);
}

void sign(Context& context, const Options& options) {
  require_sense(options);
  require_room(options);
  if (options.key.empty()) return stamp(context, options);
  const auto organ = format::OrganFolder::open(options.folder);
  const format::CertificateSet chain = load_chain(options);
  if (chain.empty() && !options.timestamp_request.empty()) {
    throw Error(ErrorCode::invalid_argument, "--timestamp-request goes with --certificate",
                "a bare key has no end that a time stamp could matter for");
  }
  const auto key = format::SecretKey::load_with(options.key, passphrase_source(options.passphrase));
  format::FiniteCheck finite{.required = options.require_finite, .found = {}};
  watched(context, options.threads, [&](const Work& work) {
    format::sign_folder(organ, key, options.replace, work, &finite, chain);
  });
  warn_not_finite(context, finite.found);
  context.set_done("the signature is written");
  write_request(options);
  report(context, options, organ, key);
}

void add_certificate_options(Command& command, Options& options) {
  command
      .add_path("--certificate", options.certificate,
                "certificate of the key (PEM): readers trust its issuers instead of the key")
      .value_name("FILE");
  command
      .add_path("--chain", options.chain,
                "certificates of its issuers (PEM), nearest first; repeatable")
      .value_name("FILE");
  command
      .add_path("--timestamp-request", options.timestamp_request,
                "write the request that a time-stamp authority answers (RFC 3161)")
      .value_name("FILE");
  command
      .add_path("--timestamp", options.timestamp,
                "add the authority's response to the signature that is there, which stays")
      .value_name("FILE");
}

}  // namespace

void add_sign(Command& app, Context& context) {
  auto options = std::make_shared<Options>();
  Command command =
      app.add_command(context, "sign", "check an organ folder and write its model.sig",
                      "  organ sign legal-1.0.0 --key acme.key\n"
                      "  organ sign legal-1.0.0 --key acme.key --passphrase-file secret.txt \\\n"
                      "      --replace\n"
                      "  organ sign legal-1.0.0 --key a.key --certificate a.pem \\\n"
                      "      --chain issuers.pem\n"
                      "  organ sign legal-1.0.0 --timestamp-request model.tsq\n"
                      "  organ sign legal-1.0.0 --timestamp model.tsr");
  command.add_path("DIR", options->folder, "organ folder").required();
  command.add_path("--key", options->key, "private key (PEM; ECDSA P-256, P-384 or P-521)")
      .value_name("FILE");
  add_certificate_options(command, *options);
  command.add_flag("--replace", options->replace, "write over an existing model.sig");
  add_passphrase_options(command, options->passphrase);
  add_finite_option(command, options->require_finite);
  add_threads_option(command, options->threads);
  command.on_run([&context, options] { sign(context, *options); });
}

}  // namespace organ::cli
