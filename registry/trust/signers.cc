// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "format/base/fail.h"
#include "format/manifest/manifest.h"
#include "registry/trust/internal/signers.h"

namespace organ::registry {
namespace {

bool is_same(const Signer& a, const Signer& b) {
  if (a.key != b.key || a.certificate.has_value() != b.certificate.has_value()) return false;
  return !a.certificate || a.certificate->fingerprint == b.certificate->fingerprint;
}

// What makes two signers one person; empty: nothing does.
std::string in_common(const Signer& a, const Signer& b) {
  if (a.key == b.key) return "the same key";
  if (!a.certificate || !b.certificate) return {};
  if (a.one_identity) return "the identity that was asked for";
  const format::CertificateSigner& one = *a.certificate;
  const format::CertificateSigner& other = *b.certificate;
  if (!one.subject.empty() && one.subject == other.subject) return "the same subject";
  for (const std::string& name : one.names) {
    if (std::ranges::find(other.names, name) != other.names.end()) return "the name " + quote(name);
  }
  return one.fingerprint == other.fingerprint ? "the same certificate" : "";
}

}  // namespace

std::string Signer::describe() const {
  const std::string form = legacy ? ", in the form of model_signing 0.2" : "";
  if (!certificate) return "key " + key.to_string() + form;
  std::string text = fmt::format("{}, certificate {}{}", certificate->describe(),
                                 certificate->fingerprint.to_string(), form);
  if (!certificate->stamped) return text;
  return text + fmt::format(", not after {}, as {} stamped",
                            format::time_text(*certificate->stamped),
                            escape_text(certificate->stamped_by));
}

void Signers::add(Signer signer) {
  for (const Place& place : places_) {
    if (is_same(place.signer, signer)) return;  // signed twice: nothing new
  }
  const std::size_t person = places_.size();
  places_.push_back({std::move(signer), person});
  for (std::size_t i = 0; i < person; ++i) {
    if (in_common(places_[i].signer, places_[person].signer).empty()) continue;
    const std::size_t former = places_[i].person;  // theirs and the new one's are one person's
    for (Place& place : places_) {
      if (place.person == former) place.person = person;
    }
  }
}

std::size_t Signers::persons() const {
  std::set<std::size_t> persons;
  for (const Place& place : places_) persons.insert(place.person);
  return persons.size();
}

std::vector<format::KeyId> Signers::keys() const {
  std::vector<format::KeyId> keys;
  for (const Place& place : places_) {
    if (std::ranges::find(keys, place.signer.key) == keys.end()) keys.push_back(place.signer.key);
  }
  return keys;
}

std::vector<format::CertificateSigner> Signers::certificates() const {
  std::vector<format::CertificateSigner> list;
  for (const Place& place : places_) {
    if (place.signer.certificate) list.push_back(*place.signer.certificate);
  }
  return list;
}

std::vector<std::string> Signers::describe() const {
  std::vector<std::string> list;
  for (const Place& place : places_) list.push_back(place.signer.describe());
  return list;
}

std::vector<format::Finding> Signers::repeated() const {
  std::vector<format::Finding> list;
  std::set<std::size_t> counted;
  for (const Place& place : places_) {
    if (counted.insert(place.person).second) continue;
    for (const Place& other : places_) {
      const std::string why = in_common(other.signer, place.signer);
      if (&other == &place || why.empty()) continue;
      list.push_back({ErrorCode::untrusted, place.signer.subject,
                      fmt::format("{} is not counted beside {}: {}", place.signer.describe(),
                                  other.signer.describe(), why)});
      break;
    }
  }
  return list;
}

}  // namespace organ::registry
