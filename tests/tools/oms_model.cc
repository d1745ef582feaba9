// SPDX-License-Identifier: Apache-2.0
// The library's OMS signatures over folders that are no organs, for the conformance cases:
//   oms_model sign FOLDER KEY [CERTIFICATE [CHAIN]]        writes FOLDER/model.sig
//   oms_model verify FOLDER key PUB|certificate ROOTS [--tsa FILE] [--identity TEXT]
//             [--now SECONDS] [--legacy]
//   oms_model request BUNDLE FILE · oms_model stamp BUNDLE RESPONSE
// The exit code is that of the worst finding.
#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "format/base/error.h"
#include "format/base/file.h"
#include "format/signature/signing.h"
#include "format/signature/timestamps.h"

namespace {

using Arguments = std::vector<std::string>;
namespace fs = std::filesystem;
using namespace organ::format;

std::string bundle_at(const fs::path& path) { return organ::read_file(path, kSignatureLimit); }

int sign(const Arguments& arguments) {
  const fs::path folder = arguments.at(1);
  CertificateSet chain;
  for (std::size_t i = 3; i < arguments.size(); ++i) {
    chain.append(CertificateSet::load(arguments[i]));
  }
  organ::write_file(folder / kSignatureFile,
                    sign_resources(folder.filename().string(), resources_of_model(folder),
                                   SecretKey::load(arguments.at(2)), chain));
  return 0;
}

SignerTrust trust_of(const Arguments& arguments) {
  SignerTrust trust;
  if (arguments.at(2) == "key") {
    trust.keys = {PublicKey::load(arguments.at(3))};
  } else {
    trust.certificates.emplace();
    trust.certificates->roots = CertificateSet::load(arguments.at(3));
  }
  for (std::size_t i = 4; i < arguments.size(); ++i) {
    const std::string& name = arguments[i];
    if (name == "--legacy") trust.legacy = true;
    if (name == "--tsa") trust.certificates->tsa_roots = CertificateSet::load(arguments.at(i + 1));
    if (name == "--identity") trust.certificates->identity = arguments.at(i + 1);
    if (name == "--now") trust.certificates->now = std::stoll(arguments.at(i + 1));
  }
  return trust;
}

int verify(const Arguments& arguments) {
  const fs::path folder = arguments.at(1);
  const SignedStatement statement =
      judge_bundle(bundle_at(folder / kSignatureFile), trust_of(arguments), "model.sig");
  if (statement.certificate) std::cout << statement.certificate->describe() << '\n';
  int code = 0;
  for (const Finding& finding : verify_model_folder(folder, statement)) {
    std::cout << finding.subject << ": " << finding.message << '\n';
    const int worse = organ::exit_code(finding.code);
    code = worse == 4 || code == 4 ? 4 : std::max(code, worse);
  }
  return code;
}

int run(const Arguments& arguments) {
  const std::string& verb = arguments.at(0);
  if (verb == "sign") return sign(arguments);
  if (verb == "verify") return verify(arguments);
  const std::string bundle = bundle_at(arguments.at(1));
  if (verb == "request") {
    organ::write_file(arguments.at(2), timestamp_request(bundle, "model.sig"));
    return 0;
  }
  const std::string response = organ::read_file(arguments.at(2), 1 << 20);
  organ::write_file(arguments.at(1), with_timestamp(bundle, response, "model.sig"));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(Arguments(argv + 1, argv + argc));
  } catch (const organ::Error& error) {
    std::cerr << error.what() << '\n' << error.hint() << '\n';
    return organ::exit_code(error.code());
  } catch (const std::exception& error) {
    std::cerr << "usage: see the top of oms_model.cc: " << error.what() << '\n';
    return 2;
  }
}
