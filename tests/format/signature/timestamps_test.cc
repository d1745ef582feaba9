// SPDX-License-Identifier: Apache-2.0
#include "format/signature/timestamps.h"

#include <doctest/doctest.h>

#include "tests/format/signature/authorities.h"

namespace organ::format {

TEST_CASE("a time stamp of a trusted authority keeps a signature good") {
  const Stamping all;
  const std::int64_t later = all.now + 100'000;
  const std::string stamped = all.stamped(all.stamp(all.now, all.tsa));
  says(refusal(all.bundle, all.at(later)), "untrusted", "it ended at");
  CHECK(refusal(stamped, all.at(later)) == "no error");
  const auto signer =
      judge_bundle(stamped, SignerTrust{{}, all.at(later)}, "model.sig").certificate;
  CHECK(signer->stamped == all.now);
  CHECK(signer->stamped_by == "CN=tsa,O=Acme");
  CertificateTrust alone = all.at(later);
  alone.tsa_roots = {};
  says(refusal(stamped, alone), "untrusted", "only with the roots of a time-stamp authority");
  alone.tsa_roots = all.root.set();
  says(refusal(stamped, alone), "untrusted", "time stamp 0");
  CHECK(refusal(stamped, all.at(all.now)) == "no error");
}

TEST_CASE("a time stamp proves its time alone: before the certificate, to come, of no authority") {
  const Stamping all;
  const std::int64_t later = all.now + 100'000;
  const auto refused = [&](std::int64_t time, const Certified& by, const char* words) {
    says(refusal(all.stamped(all.stamp(time, by)), all.at(later)), "untrusted", words);
  };
  refused(all.now - 5'000, all.tsa, "it begins at");
  refused(later + 1'000, all.tsa, "which is to come");
  refused(all.now + 20'000, all.tsa, "time stamp 0");  // after its own certificate
  refused(all.now,
          make_certificate(
              {.name = "other", .extensions = {{"extendedKeyUsage", "critical,timeStamping"}}},
              &all.root),
          "time stamp 0");
}

TEST_CASE("a time stamp saves only: where it does not help the certificate is judged now") {
  const Stamping all;
  const std::string early = all.stamped(all.stamp(all.now - 5'000, all.tsa));
  const SignedStatement statement =
      judge_bundle(early, SignerTrust{{}, all.at(all.now)}, "model.sig");
  CHECK_FALSE(statement.certificate->stamped);
  REQUIRE(statement.notes.size() == 1);
  says(statement.notes[0], "the time that CN=tsa,O=Acme stamped does not help", "it begins at");
}

TEST_CASE("why a time stamp proves nothing is told while the certificate lives") {
  const Stamping all;
  CertificateTrust trust = all.at(all.now);
  trust.tsa_roots = all.root.set();
  const std::string stamped = all.stamped(all.stamp(all.now, all.tsa));
  const SignedStatement statement = judge_bundle(stamped, SignerTrust{{}, trust}, "model.sig");
  REQUIRE(statement.notes.size() == 1);
  says(statement.notes[0], "time stamp 0: certificate verify error: Verify error:", "issuer");
}

TEST_CASE("of several time stamps the earliest counts, each by the latest that it can have been") {
  const Stamping all;
  const auto at = [&](std::int64_t time, const test::StampSpec& spec) {
    return test::answer_request(timestamp_request(all.bundle, "model.sig"), all.tsa, time, spec);
  };
  const auto proven = [&](const std::vector<std::string>& responses) {
    std::string bundle = all.bundle;
    for (const std::string& one : responses) bundle = with_timestamp(bundle, one, "model.sig");
    return judge_bundle(bundle, SignerTrust{{}, all.at(all.now + 100'000)}, "model.sig")
        .certificate->stamped;
  };
  CHECK(proven({at(all.now + 60, {}), at(all.now, {}), at(all.now + 30, {})}) == all.now);
  CHECK(proven({at(all.now, {.seconds = 2})}) == all.now + 2);
  CHECK(proven({at(all.now, {.seconds = 2, .millis = 1})}) == all.now + 3);
  // One before the certificate takes nothing away from one that helps.
  CHECK(proven({at(all.now - 5'000, {}), at(all.now, {})}) == all.now);
  // Judged at its end: a certificate that may have ended by then is none.
  const std::string late = all.stamped(at(all.now + 3'590, {.seconds = 60}));
  says(refusal(late, all.at(all.now + 100'000)), "untrusted", "does not help: it ended at");
  const std::string vague = all.stamped(at(all.now, {.seconds = 100'000}));
  says(refusal(vague, all.at(all.now + 100'000)), "untrusted", "accuracy");
}

TEST_CASE("time stamps over weak hashes, or with attributes of another type, are none") {
  const Stamping all;
  const auto taken = [&](const std::string& response) {
    return error_of([&] { all.stamped(response); });
  };
  const std::string request = timestamp_request(all.bundle, "model.sig");
  says(taken(test::answer_request(request, all.tsa, all.now, {.sha1 = true})), "invalid_argument",
       "it is signed over no SHA-256");
  says(taken(test::answer_request(test::sha1_request("any"), all.tsa, all.now)), "invalid_argument",
       "it stamps no SHA-256");
  const std::string good = all.stamp(all.now, all.tsa);
  CHECK(taken(good) == "no error");
  struct Attribute {
    std::string_view oid;
    char type;
    const char* name;
  };
  using namespace std::string_view_literals;
  const Attribute attributes[] = {
      {"\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x09\x04\x31"sv, '\x0C', "messageDigest"},
      {"\x06\x0B\x2A\x86\x48\x86\xF7\x0D\x01\x09\x10\x02\x2F\x31"sv, '\x04',
       "id-smime-aa-signingCertificateV2"}};
  for (const Attribute& one : attributes) {
    std::string response = good;
    const std::size_t at = response.rfind(one.oid);
    REQUIRE(at != response.npos);
    response[at + one.oid.size() + (response[at + one.oid.size()] < 0 ? 2 : 1)] = one.type;
    says(taken(response), "invalid_argument", one.name);
  }
}

TEST_CASE("what no reader takes any more replaces no signature") {
  const Stamping all;
  json document = json::parse(all.bundle);
  document["dsseEnvelope"]["payload"] = "";
  const std::size_t room = kSignatureLimit - 1'000 - document.dump().size();
  document["dsseEnvelope"]["payload"] = std::string(room / 4 * 4, 'A');
  const std::string large = document.dump();
  says(error_of([&] { with_timestamp(large, all.stamp(all.now, all.tsa), "model.sig"); }),
       "invalid_argument", "bytes");
}

TEST_CASE("time stamps that are attached are of this signature, each once, eight at most") {
  const Stamping all;
  const std::string response = all.stamp(all.now, all.tsa);
  Stamping other;
  says(error_of([&] { other.stamped(response); }), "invalid_argument", "imprint");
  says(error_of([&] { all.stamped("no DER"); }), "invalid_argument", "no DER");
  says(error_of([&] { all.stamped(response + "x"); }), "invalid_argument", "no DER");
  says(error_of([&] { all.stamped(std::string(70'000, '0')); }), "invalid_argument", "bytes");
  std::string bundle = all.stamped(response);
  says(error_of([&] { with_timestamp(bundle, response, "model.sig"); }), "invalid_argument",
       "already");
  for (int i = 1; i < 8; ++i) {
    bundle = with_timestamp(bundle, all.stamp(all.now + i, all.tsa), "model.sig");
  }
  says(error_of([&] { with_timestamp(bundle, all.stamp(all.now + 9, all.tsa), "model.sig"); }),
       "invalid_argument", "the most there may be");
  const std::string bare = sign_resources("model", {{"a", sha256("a")}}, all.leaf.key);
  says(error_of([&] { with_timestamp(bare, response, "model.sig"); }), "invalid_argument",
       "bare key");
}

}  // namespace organ::format
