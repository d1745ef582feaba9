// SPDX-License-Identifier: Apache-2.0
#include "registry/remote/repository.h"

#include "format/base/fail.h"
#include "registry/oci/oci.h"

namespace organ::registry {
namespace {

constexpr char kAccept[] =
    "Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";

std::string digest_text(std::string_view sent) { return escape_text(sent, 80); }

// "bytes 5-9/10" for what follows `offset` of a blob of `size` bytes.
void check_range(const HttpResponse& response, std::uint64_t offset, std::uint64_t size,
                 const std::string& subject) {
  const std::string expected = fmt::format("bytes {}-{}/{}", offset, size - 1, size);
  if (const std::string got = response.header("content-range"); got != expected) {
    fail(ErrorCode::corrupt, "{}: the registry sends the range {}, expected {}", subject,
         quote(got), quote(expected));
  }
}

}  // namespace

std::string Repository::path(std::string_view kind, std::string_view name) const {
  return fmt::format("/v2/{}/{}/{}", session_.where().repository, kind, name);
}

std::string Repository::subject(std::string_view what) const {
  return fmt::format("oci://{}/{}: {}", session_.where().authority(), session_.where().repository,
                     what);
}

std::optional<RemoteManifest> Repository::find_manifest(const std::string& tag_or_digest) const {
  HttpRequest request{.url = session_.url(path("manifests", tag_or_digest))};
  request.headers.emplace_back(kAccept);
  request.limit = kOciManifestLimit;
  const std::string name = subject("manifest " + tag_or_digest);
  HttpResponse response = session_.send(std::move(request));
  if (response.status == 404 && response.broken.empty()) return std::nullopt;
  session_.expect(response, {200}, name);
  RemoteManifest found;
  found.text = std::move(response.body);
  found.ref = {sha256(found.text), found.text.size()};
  const std::string digest = found.ref.digest.to_string();
  const bool by_digest = tag_or_digest.starts_with("sha256:");
  if (by_digest && tag_or_digest != digest) {
    fail(ErrorCode::corrupt, "{}: the registry sends one with digest {}", name, digest);
  }
  const std::string said = response.header("docker-content-digest");
  if (said.starts_with("sha256:") && said != digest) {
    fail(ErrorCode::corrupt, "{}: has digest {}, and the registry says {}", name, digest,
         digest_text(said));
  }
  return found;
}

std::optional<Digest> Repository::find_digest(const std::string& tag) const {
  HttpRequest request{.method = "HEAD", .url = session_.url(path("manifests", tag))};
  request.headers.emplace_back(kAccept);
  const HttpResponse response = session_.send(std::move(request));
  if (response.status == 404 && response.broken.empty()) return std::nullopt;
  session_.expect(response, {200}, subject("manifest " + tag));
  const std::string said = response.header("docker-content-digest");
  if (said.starts_with("sha256:")) {
    try {
      return Digest::parse(said, subject("Docker-Content-Digest"));
    } catch (const Error& error) {  // not the user's argument
      throw Error(ErrorCode::corrupt, error.what());
    }
  }
  const auto manifest = find_manifest(tag);
  if (!manifest) return std::nullopt;
  return manifest->ref.digest;
}

bool Repository::put_manifest(const std::string& text, const Digest& digest, const std::string& tag,
                              std::string_view media_type) const {
  const std::string target = tag.empty() ? digest.to_string() : tag;
  HttpRequest request{.method = "PUT", .url = session_.url(path("manifests", target))};
  request.headers.push_back("Content-Type: " + std::string(media_type));
  request.body = {.text = text, .size = text.size()};
  const std::string name = subject("manifest " + target);
  const HttpResponse response = session_.send(std::move(request));
  session_.expect(response, {201, 202}, name);
  const std::string said = response.header("docker-content-digest");
  if (!said.empty() && said != digest.to_string()) {
    fail(ErrorCode::corrupt, "{}: sent with digest {}, and the registry stored {}", name,
         digest.to_string(), digest_text(said));
  }
  return !response.header("oci-subject").empty();
}

bool Repository::has_blob(const BlobRef& blob) const {
  const std::string digest = blob.digest.to_string();
  HttpRequest request{.method = "HEAD", .url = session_.url(path("blobs", digest))};
  const HttpResponse response = session_.send(std::move(request));
  if (response.status == 404 && response.broken.empty()) return false;
  session_.expect(response, {200}, subject("blob " + digest));
  const std::string size = response.header("content-length");
  if (!size.empty() && size != std::to_string(blob.size)) {
    fail(ErrorCode::corrupt, "{}: has size {} there, expected {}", subject("blob " + digest),
         digest_text(size), blob.size);
  }
  return true;
}

std::string Repository::read_blob(const BlobRef& blob, const std::string& name) const {
  HttpRequest request{.url = session_.url(path("blobs", blob.digest.to_string()))};
  request.limit = blob.size;
  const std::string what = subject(name);
  HttpResponse response = session_.send(std::move(request));
  session_.expect(response, {200}, what);
  if (const Digest got = sha256(response.body); got != blob.digest) {
    fail(ErrorCode::corrupt, "{}: the registry sends bytes with digest {}, expected {}", what,
         got.to_string(), blob.digest.to_string());
  }
  return std::move(response.body);
}

HttpResponse Repository::read_from(
    const BlobRef& blob, const std::string& name, std::uint64_t offset,
    const std::function<void(std::uint64_t from)>& begin,
    const std::function<void(std::span<const std::byte>)>& take) const {
  HttpRequest request{.url = session_.url(path("blobs", blob.digest.to_string()))};
  if (offset > 0) {
    request.headers.push_back(fmt::format("Range: bytes={}-{}", offset, blob.size - 1));
  }
  const std::string what = subject(name);
  request.limit = blob.size;
  std::uint64_t left = 0;
  bool begun = false;
  const auto head = [&](const HttpResponse& response) {
    begun = true;
    const bool part = response.status == 206;
    if (part) check_range(response, offset, blob.size, what);
    left = part ? blob.size - offset : blob.size;
    begin(part ? offset : 0);
  };
  request.receive = [&](const HttpResponse& response, std::span<const std::byte> piece) {
    if (!begun) head(response);
    if (piece.size() > left) {
      fail(ErrorCode::corrupt, "{}: the registry sends more than its {}", what,
           counted(blob.size, "byte"));
    }
    left -= piece.size();
    take(piece);
  };
  HttpResponse response = session_.send(std::move(request), Again::no);  // the caller goes on
  if (may_pass(response)) return response;
  session_.expect(response, {200, 206}, what);
  // A whole answer that is too short: as good as a cut one.
  if (left > 0 || !begun) {
    response.broken =
        fmt::format("the answer ended {} early", counted(begun ? left : blob.size, "byte"));
  }
  return response;
}

}  // namespace organ::registry
