// SPDX-License-Identifier: Apache-2.0
// Manifests that are about another one: the referrers API, and the tag where a registry lacks it.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "registry/oci/oci.h"
#include "registry/remote/repository.h"

namespace organ::registry {
namespace {

constexpr unsigned kMaxPages = 16;
constexpr unsigned kMaxTries = 5;

std::string fallback_tag(const Digest& subject) { return "sha256-" + subject.hex(); }

Json parse_index(const std::string& text, const std::string& subject) {
  return parse_json(text, {.bytes = kOciManifestLimit, .depth = 16, .foreign = true}, subject);
}

// Manifests of one kind in an index; what others list there is none of our business.
std::vector<BlobRef> listed(const Json& index, std::string_view artifact_type,
                            const std::string& subject) {
  std::vector<BlobRef> found;
  for (const JsonObject& line : JsonObject(index, subject).objects("manifests")) {
    if (line.optional_string("artifactType").value_or("") != artifact_type) continue;
    if (!line.string("digest").starts_with("sha256:")) continue;
    const BlobRef one{line.digest("digest"), line.unsigned_integer("size", kOciManifestLimit)};
    if (std::ranges::find(found, one) == found.end()) found.push_back(one);
  }
  return found;
}

// </v2/…?n=…>; rel="next": empty when there is none.
std::string next_page(const HttpResponse& response) {
  const std::string link = response.header("link");
  const std::size_t start = link.find('<'), end = link.find('>');
  if (start == std::string::npos || end == std::string::npos || end < start) return {};
  if (link.find("rel=\"next\"", end) == std::string::npos) return {};
  return link.substr(start + 1, end - start - 1);
}

}  // namespace

std::vector<BlobRef> Repository::referrers(const Digest& subject_digest,
                                           std::string_view artifact_type, std::size_t most,
                                           std::size_t& left_out) const {
  const std::string name = subject("referrers of " + subject_digest.to_string());
  std::vector<BlobRef> found;
  HttpRequest request{.url = session_.url(path("referrers", subject_digest.to_string()) +
                                          "?artifactType=" + encode_query(artifact_type))};
  request.headers.push_back(fmt::format("Accept: {}", kIndexType));
  request.limit = kOciManifestLimit;
  bool has_api = false;
  for (unsigned page = 0; page < kMaxPages; ++page) {
    const HttpResponse response = session_.send(request);
    // Some registries answer a path that they do not know with 400 or 405.
    if (page == 0 && (response.status == 404 || response.status == 400 || response.status == 405)) {
      break;
    }
    session_.expect(response, {200}, name);
    has_api = true;
    for (const BlobRef& one : listed(parse_index(response.body, name), artifact_type, name)) {
      found.push_back(one);
    }
    const std::string next = next_page(response);
    if (next.empty()) break;
    const Url url = request.url.resolve(next, name);
    if (!url.same_origin(request.url)) {
      fail(ErrorCode::untrusted, "{}: its next page is on another host, {}", name,
           quote(url.without_query()));
    }
    request.url = url;
  }
  if (!has_api) {
    if (const auto index = find_manifest(fallback_tag(subject_digest))) {
      found = listed(parse_index(index->text, name), artifact_type, name);
    }
  }
  left_out = found.size() > most ? found.size() - most : 0;
  if (left_out > 0) found.resize(most);
  return found;
}

void Repository::add_fallback_referrer(const Digest& subject_digest, const BlobRef& manifest,
                                       std::string_view artifact_type) const {
  const std::string tag = fallback_tag(subject_digest);
  const std::string name = subject("tag " + tag);
  for (unsigned attempt = 0; attempt < kMaxTries; ++attempt) {
    const auto current = find_manifest(tag);
    Json index = {{"schemaVersion", 2}, {"mediaType", kIndexType}, {"manifests", Json::array()}};
    if (current) index = parse_index(current->text, name);
    const std::vector<BlobRef> known = listed(index, artifact_type, name);
    if (std::ranges::find(known, manifest) != known.end()) return;
    index["manifests"].push_back({{"mediaType", kManifestType},
                                  {"digest", manifest.digest.to_string()},
                                  {"size", manifest.size},
                                  {"artifactType", artifact_type}});
    const std::string text = canonical_json_with_reals(index);
    put_manifest(text, sha256(text), tag, kIndexType);  // then it is looked for
  }
  fail(ErrorCode::conflict, "{}: others write it at the same time, {} attempts", name, kMaxTries);
}

}  // namespace organ::registry
