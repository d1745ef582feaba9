// SPDX-License-Identifier: Apache-2.0
// The options of verify that let certificates sign: roots come from the command line alone.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "cli/frame/command.h"
#include "format/base/fail.h"
#include "format/signature/certificates.h"
#include "registry/trust/policy.h"

namespace organ::cli {

// Kept by the command; the parser fills it. Who names no roots trusts no certificate: those of the
// system are never asked.
struct CertificateOptions {
  // Files with PEM certificates of authorities: of those that certify signers, and of those that
  // stamp the time of a signature. Empty: not given.
  std::filesystem::path ca_roots, tsa_roots;  // the parser takes no empty one
  // A certificate's subject or one of its names, as a whole; nullopt: everyone whom the roots
  // certify.
  std::optional<std::string> identity;
  // Whether signatures count that model_signing 0.2 made.
  bool legacy = false;

  // Loads the files and puts what they allow into `trust`, whose keys stay as they are.
  // Throws for a file that holds no certificates, for options that need --ca-roots, and for an
  // empty identity: a variable that a script forgot to set must not make everyone count.
  void add_to(registry::TrustOverride& trust) const {
    trust.legacy = legacy;
    if (identity && identity->empty()) {
      throw Error(ErrorCode::invalid_argument, "--identity: expected a subject or name, got none",
                  "without the option everyone counts whom the roots certify");
    }
    if (ca_roots.empty()) {
      if (tsa_roots.empty() && !identity) return;
      throw Error(ErrorCode::invalid_argument,
                  "--tsa-roots and --identity say more about certificates; none counts here",
                  "--ca-roots FILE names the roots whose certificates count");
    }
    format::CertificateTrust certificates;
    certificates.roots = format::CertificateSet::load(ca_roots);
    if (!tsa_roots.empty()) certificates.tsa_roots = format::CertificateSet::load(tsa_roots);
    certificates.identity = identity.value_or("");
    trust.certificates = std::move(certificates);
  }
};

// `options` is borrowed and lives as long as the program.
inline void add_certificate_options(Command& command, CertificateOptions& options) {
  command
      .add_path("--ca-roots", options.ca_roots,
                "certificates of authorities (PEM): who they certify may have signed it")
      .value_name("FILE");
  command
      .add_path("--tsa-roots", options.tsa_roots,
                "roots of time-stamp authorities: a certificate that ended since counts by them")
      .value_name("FILE");
  command
      .add_option("--identity", options.identity,
                  "who must have signed: the certificate's subject or one of its names, as shown")
      .value_name("TEXT");
  command.add_flag("--legacy-signatures", options.legacy,
                   "take signatures of model_signing 0.2 too");
}

}  // namespace organ::cli
