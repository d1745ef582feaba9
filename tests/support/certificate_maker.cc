// SPDX-License-Identifier: Apache-2.0
#include "tests/support/certificate_maker.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ts.h>
#include <openssl/x509v3.h>

#include "format/base/fail.h"
#include "format/base/handle.h"

namespace organ::test {
namespace {

using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;
using Responder = std::unique_ptr<TS_RESP_CTX, Deleter<TS_RESP_CTX_free>>;
using Response = std::unique_ptr<TS_RESP, Deleter<TS_RESP_free>>;

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

Certificate parsed(const std::string& pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

// The same key, whose point is written compressed.
Key compressed(EVP_PKEY* key) {
  Key copy(EVP_PKEY_dup(key));
  check(EVP_PKEY_set_utf8_string_param(copy.get(), OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                       OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_COMPRESSED) == 1,
        "a compressed point");
  return copy;
}

void add_name(X509* certificate, const std::string& name) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  const auto add = [&](const char* field, const std::string& value) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(value.c_str());
    X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8, bytes, -1, -1, 0);
  };
  if (name.empty()) return;
  add("O", "Acme");
  add("CN", name);
}

void add_extensions(X509* certificate, X509* issuer, const CertificateSpec& spec) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509V3_set_ctx_nodb(&context);
  for (const auto& [name, value] : spec.extensions) {
    const Extension extension(X509V3_EXT_nconf(nullptr, &context, name.c_str(), value.c_str()));
    check(extension != nullptr, name.c_str());
    X509_add_ext(certificate, extension.get(), -1);
  }
}

ASN1_INTEGER* next_serial(TS_RESP_CTX*, void*) {
  ASN1_INTEGER* serial = ASN1_INTEGER_new();
  ASN1_INTEGER_set(serial, 1);
  return serial;
}

int give_time(TS_RESP_CTX*, void* data, long* seconds, long* micros) {
  *seconds = static_cast<long>(*static_cast<std::int64_t*>(data));
  *micros = 0;
  return 1;
}

}  // namespace

Certified make_certificate(const CertificateSpec& spec, const Certified* issuer) {
  Certified made{format::SecretKey::generate(spec.curve), {}};
  made.pem = certify(made.key, spec, issuer);
  return made;
}

std::string certify(const format::SecretKey& key, const CertificateSpec& spec,
                    const Certified* issuer) {
  return issuer == nullptr ? certify(key.handle(), spec)
                           : certify(key.handle(), spec, issuer->pem, issuer->key.handle());
}

std::string certify(evp_pkey_st* key, const CertificateSpec& spec, const std::string& issuer,
                    evp_pkey_st* issuer_key) {
  const Certificate certificate(X509_new());
  X509* raw = certificate.get();
  X509_set_version(raw, X509_VERSION_3);
  static long serial = 1;
  ASN1_INTEGER_set(X509_get_serialNumber(raw), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(raw), static_cast<long>(spec.begin));
  X509_gmtime_adj(X509_getm_notAfter(raw), static_cast<long>(spec.end));
  add_name(raw, spec.name);
  const Certificate by = issuer.empty() ? Certificate() : parsed(issuer);
  X509* signer = by != nullptr ? by.get() : raw;
  X509_set_issuer_name(raw, X509_get_subject_name(signer));
  const Key copy = spec.compressed ? compressed(key) : Key();
  X509_set_pubkey(raw, copy != nullptr ? copy.get() : key);
  add_extensions(raw, signer, spec);
  check(X509_sign(raw, issuer_key != nullptr ? issuer_key : key,
                  spec.sha1 ? EVP_sha1() : EVP_sha256()) > 0,
        "a test certificate");
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), raw);
  return text_of(bio.get());
}

std::shared_ptr<evp_pkey_st> rsa_key(unsigned bits) { return {EVP_RSA_gen(bits), EVP_PKEY_free}; }

std::string compressed_pem(const format::PublicKey& key) {
  const Key copy = compressed(key.handle());
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PUBKEY(bio.get(), copy.get());
  return text_of(bio.get());
}

Certified make_authority(const std::string& name, const Certified* issuer,
                         const std::string& constraints) {
  return make_certificate({.name = name,
                           .extensions = {{"basicConstraints", constraints},
                                          {"keyUsage", "critical,keyCertSign,cRLSign"}},
                           .begin = -1'000'000'000,
                           .end = 1'000'000'000},
                          issuer);
}

std::string answer_request(const std::string& request, const Certified& authority,
                           std::int64_t time, const StampSpec& spec) {
  const Certificate signer = parsed(authority.pem);
  const Responder responder(TS_RESP_CTX_new());
  ASN1_OBJECT* policy = OBJ_txt2obj("1.2.3.4", 1);
  TS_RESP_CTX_set_signer_cert(responder.get(), signer.get());
  TS_RESP_CTX_set_signer_key(responder.get(), authority.key.handle());
  TS_RESP_CTX_set_signer_digest(responder.get(), spec.sha1 ? EVP_sha1() : EVP_sha256());
  TS_RESP_CTX_set_ess_cert_id_digest(responder.get(), EVP_sha256());
  TS_RESP_CTX_set_def_policy(responder.get(), policy);
  ASN1_OBJECT_free(policy);
  TS_RESP_CTX_add_md(responder.get(), EVP_sha256());
  TS_RESP_CTX_add_md(responder.get(), EVP_sha1());
  TS_RESP_CTX_set_accuracy(responder.get(), spec.seconds, spec.millis, 0);
  TS_RESP_CTX_set_serial_cb(responder.get(), next_serial, nullptr);
  TS_RESP_CTX_set_time_cb(responder.get(), give_time, &time);
  const Bio bio(BIO_new_mem_buf(request.data(), static_cast<int>(request.size())));
  const Response response(TS_RESP_create_response(responder.get(), bio.get()));
  check(response != nullptr, "a test time stamp");
  const Bio out(BIO_new(BIO_s_mem()));
  i2d_TS_RESP_bio(out.get(), response.get());
  return text_of(out.get());
}

std::string sha1_request(const std::string& bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha1(), nullptr);
  const std::unique_ptr<TS_REQ, Deleter<TS_REQ_free>> request(TS_REQ_new());
  const std::unique_ptr<TS_MSG_IMPRINT, Deleter<TS_MSG_IMPRINT_free>> imprint(TS_MSG_IMPRINT_new());
  const std::unique_ptr<X509_ALGOR, Deleter<X509_ALGOR_free>> hash(X509_ALGOR_new());
  X509_ALGOR_set0(hash.get(), OBJ_nid2obj(NID_sha1), V_ASN1_NULL, nullptr);
  TS_MSG_IMPRINT_set_algo(imprint.get(), hash.get());
  TS_MSG_IMPRINT_set_msg(imprint.get(), digest, static_cast<int>(size));
  TS_REQ_set_version(request.get(), 1);
  TS_REQ_set_msg_imprint(request.get(), imprint.get());
  TS_REQ_set_cert_req(request.get(), 1);
  const Bio out(BIO_new(BIO_s_mem()));
  i2d_TS_REQ_bio(out.get(), request.get());
  return text_of(out.get());
}

}  // namespace organ::test
