// SPDX-License-Identifier: Apache-2.0
// Uploading a blob: mounted, in one request, or in chunks that go on where a connection broke.
#include <algorithm>

#include "format/base/fail.h"
#include "registry/remote/repository.h"

namespace organ::registry {
namespace {

constexpr std::uint64_t kChunk = std::uint64_t{64} << 20;

// SHA-256 of what is sent, each byte counted once however often it is sent.
class SentHash {
 public:
  void add(std::uint64_t at, std::span<const std::byte> piece) {
    if (at > next_ || at + piece.size() <= next_) return;
    const auto fresh = piece.subspan(static_cast<std::size_t>(next_ - at));
    hasher_.update(fresh);
    next_ += fresh.size();
  }
  std::uint64_t hashed() const { return next_; }
  Digest finish() { return hasher_.finish(); }

 private:
  Sha256Hasher hasher_;
  std::uint64_t next_ = 0;
};

Url with_digest(Url url, const Digest& digest) {
  url.target += (url.target.find('?') == std::string::npos ? "?" : "&");
  url.target += "digest=" + encode_query(digest.to_string());
  return url;
}

class Upload {
 public:
  Upload(const Repository& repository, const BlobToSend& blob, std::string name, Url start)
      : repository_(repository),
        session_(repository.session()),
        blob_(blob),
        name_(std::move(name)),
        start_(std::move(start)) {}

  BlobSent run() {
    const bool may_mount = start_.target.find("mount=") != std::string::npos;
    if (blob_.open && !may_mount) fd_ = blob_.open();  // may take long: no upload waits for it
    for (unsigned failures = 0;; ++failures) {
      HttpResponse response = session_.send({.method = "POST", .url = start_});
      session_.expect(response, {201, 202}, name_);
      if (response.status == 201) {
        session_.work().advance(blob_.ref.size);
        return BlobSent::mounted;
      }
      if (blob_.open && !fd_) fd_ = blob_.open();  // what was mounted need not be fetched
      location_ = session_.upload_url(response, start_);
      start_.target = start_.target.substr(0, start_.target.find('?'));  // no second mount
      position_ = 0;
      if (send_all(response)) return BlobSent::sent;
      if (failures == session_.options().retries) session_.expect(response, {201}, name_);
      session_.pause(failures, response);
      if (repository_.has_blob(blob_.ref)) {  // only its answer was lost
        session_.work().advance(blob_.ref.size - hash_.hashed());
        return BlobSent::sent;
      }
    }
  }

 private:
  HttpBody body(std::uint64_t size) {
    HttpBody body{.text = std::string_view(blob_.text).substr(fd_ ? 0 : position_),
                  .fd = fd_.get(),
                  .offset = position_,
                  .size = size};
    const std::uint64_t start = position_;
    body.sent = [this, start](std::uint64_t at, std::span<const std::byte> piece) {
      const std::uint64_t before = hash_.hashed();
      hash_.add(start + at, piece);
      session_.work().advance(hash_.hashed() - before);
    };
    return body;
  }

  // What is on the disk, not what the network did to it.
  void check_sent() {
    if (checked_) return;
    if (const Digest got = hash_.finish(); got != blob_.ref.digest) {
      fail(ErrorCode::corrupt, "{}: its bytes here have digest {}, expected {}", blob_.name,
           got.to_string(), blob_.ref.digest.to_string());
    }
    checked_ = true;
  }

  // False when the upload has to be begun anew; `response` says why.
  bool send_all(HttpResponse& response) {
    const std::uint64_t size = blob_.ref.size;
    if (size > kChunk && !send_chunks(response)) return false;
    HttpRequest request{.method = "PUT", .url = with_digest(location_, blob_.ref.digest)};
    request.headers.emplace_back("Content-Type: application/octet-stream");
    if (size <= kChunk) request.body = body(size);
    response = session_.send(std::move(request), Again::no);
    if (hash_.hashed() == size) check_sent();
    if (may_pass(response) || response.status == 404) return false;
    session_.expect(response, {201}, name_);
    return true;
  }

  bool send_chunks(HttpResponse& response) {
    unsigned failures = 0;
    while (position_ < blob_.ref.size) {
      const std::uint64_t size = std::min(kChunk, blob_.ref.size - position_);
      HttpRequest request{.method = "PATCH", .url = location_};
      request.headers.emplace_back("Content-Type: application/octet-stream");
      request.headers.push_back(
          fmt::format("Content-Range: {}-{}", position_, position_ + size - 1));
      request.body = body(size);
      response = session_.send(std::move(request), Again::no);
      const bool taken = response.broken.empty() && response.status == 202;
      if (taken) {
        const std::uint64_t before = position_;
        location_ = session_.upload_url(response, location_);
        take_position(response, before + size);
        if (position_ > before) {
          failures = 0;
          continue;
        }
      } else if (!may_pass(response) && response.status != 416) {
        session_.expect(response, {202}, name_);
      }
      if (failures == session_.options().retries) return false;
      session_.pause(failures++, response);
      if (!ask_position(response)) return false;
    }
    return true;
  }

  // Where the registry is now: "0-N" of what was sent.
  void take_position(const HttpResponse& response, std::uint64_t most) {
    const std::string range = response.header("range");
    if (range.empty()) {
      position_ = most;
      return;
    }
    const bool plain = range.starts_with("0-") && range.size() > 2 && range.size() < 20 &&
                       range.find_first_not_of("0123456789", 2) == std::string::npos;
    const std::uint64_t end = plain ? std::stoull(range.substr(2)) + 1 : most + 1;
    if (end > most) {
      fail(ErrorCode::corrupt, "{}: the registry says it has the range {} of {} sent", name_,
           quote(range), counted(most, "byte"));
    }
    // Nothing at all is written 0-0, as one byte is: beginning anew serves both.
    position_ = end == 1 ? 0 : end;
  }

  bool ask_position(HttpResponse& response) {
    response = session_.send({.method = "GET", .url = location_});
    if (!response.broken.empty() || response.status != 204) return false;
    if (!response.header("location").empty()) location_ = session_.upload_url(response, location_);
    if (response.header("range").empty()) return false;
    take_position(response, hash_.hashed());
    return true;
  }

  const Repository& repository_;
  const Session& session_;
  const BlobToSend& blob_;
  std::string name_;
  Url start_;
  Url location_;
  UniqueFd fd_;
  std::uint64_t position_ = 0;
  SentHash hash_;
  bool checked_ = false;
};

}  // namespace

BlobSent Repository::put_blob(const BlobToSend& blob, const std::string& mount_from) const {
  if (has_blob(blob.ref)) {
    session_.work().advance(blob.ref.size);
    return BlobSent::was_there;
  }
  std::string target = path("blobs", "uploads/");
  if (!mount_from.empty()) {
    target += "?mount=" + encode_query(blob.ref.digest.to_string());
    target += "&from=" + encode_query(mount_from);
  }
  Upload upload(*this, blob, subject("upload of " + blob.name), session_.url(target));
  return upload.run();
}

}  // namespace organ::registry
