// SPDX-License-Identifier: Apache-2.0
// Authorities with a signer and a time-stamp authority, and what judging their bundles says.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "format/base/base64.h"
#include "format/manifest/manifest.h"
#include "format/signature/signing.h"
#include "format/signature/timestamps.h"
#include "tests/support/certificate_maker.h"
#include "tests/support/support.h"

namespace organ::format {

using nlohmann::json;
using test::Certified;
using test::error_of;
using test::make_authority;
using test::make_certificate;
using Extensions = std::vector<std::pair<std::string, std::string>>;

inline const Extensions kSigner = {{"basicConstraints", "CA:FALSE"},
                                   {"keyUsage", "critical,digitalSignature"}};

// A root, an authority below it and a signer.
struct Authorities {
  Certified root = make_authority("root");
  Certified inner = make_authority("inner", &root, "critical,CA:TRUE,pathlen:0");
  Certified leaf = make_certificate(
      {.extensions = {{"basicConstraints", "CA:FALSE"},
                      {"keyUsage", "critical,digitalSignature"},
                      {"subjectAltName", "email:legal@acme.example,URI:https://acme.example"}}},
      &inner);
  CertificateTrust trust{root.set(), {}, {}};

  CertificateSet chain_of(const Certified& signer) const {
    CertificateSet chain = signer.set();
    chain.append(inner.set());
    return chain;
  }
  std::string sign() const {
    return sign_resources("model", {{"a", sha256("a")}}, leaf.key, chain_of(leaf));
  }
};

inline std::string refusal(const std::string& bundle, const CertificateTrust& trust) {
  return error_of([&] { judge_bundle(bundle, SignerTrust{{}, trust}, "model.sig"); });
}

inline bool says(const std::string& error, std::string_view code, std::string_view words) {
  CAPTURE(error);
  const bool good = error.starts_with(code) && error.find(words) != std::string::npos;
  CHECK(good);
  return good;
}

// The bundle of another signer: its signature stays, the chain is replaced.
inline std::string with_chain(const std::string& bundle, const CertificateSet& chain) {
  json document = json::parse(bundle);
  json list = json::array();
  for (std::size_t i = 0; i < chain.size(); ++i) {
    list.push_back(json::object({{"rawBytes", base64_encode(chain.der(i))}}));
  }
  document["verificationMaterial"]["x509CertificateChain"]["certificates"] = list;
  return document.dump();
}

// A signed bundle and a time-stamp authority of another root.
struct Stamping : Authorities {
  Certified tsa_root = make_authority("tsa-root");
  Certified tsa = make_certificate({.name = "tsa",
                                    .extensions = {{"extendedKeyUsage", "critical,timeStamping"}},
                                    .begin = -10'000,
                                    .end = 10'000},
                                   &tsa_root);
  std::string bundle = sign();
  std::int64_t now = clock_seconds();

  std::string stamp(std::int64_t time, const Certified& by) const {
    return test::answer_request(timestamp_request(bundle, "model.sig"), by, time);
  }
  std::string stamped(const std::string& response) const {
    return with_timestamp(bundle, response, "model.sig");
  }
  CertificateTrust at(std::int64_t time) const {
    CertificateTrust later = trust;
    later.now = time;
    later.tsa_roots = tsa_root.set();
    return later;
  }
};

}  // namespace organ::format
