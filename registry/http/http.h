// SPDX-License-Identifier: Apache-2.0
// One HTTP request over TLS, by libcurl. What to do about its answer (redirects, credentials,
// trying again) is decided by session.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "registry/http/remote_options.h"
#include "registry/http/url.h"

namespace organ::registry {

// What is known of an answer when its body begins.
struct HttpResponse {
  unsigned status = 0;                         // 0: there was none
  std::map<std::string, std::string> headers;  // names in lower case, the last of equal names
  std::vector<std::string> challenges;         // every WWW-Authenticate
  std::string body;                            // what `receive` did not take
  std::uint64_t received = 0;                  // bytes of body
  std::string broken;      // why the connection ended before the answer did; empty: it did not
  bool unreached = false;  // nobody took the connection

  std::string header(const std::string& name) const;  // empty: absent
};

// The body of a request: a text, or a part of an open file.
struct HttpBody {
  std::string_view text;
  int fd = -1;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;  // of the part, or of the text
  // Shown every piece before it is sent, with its place in the body; again when it is sent again.
  std::function<void(std::uint64_t at, std::span<const std::byte> piece)> sent = {};
};

struct HttpRequest {
  std::string method = "GET";
  Url url;
  std::vector<std::string> headers = {};  // "Name: value"
  HttpBody body = {};
  std::uint64_t limit = 0;  // of the answer's body, in bytes
  // Takes the body of an answer with status 200 or 206, in order; what it throws ends the request.
  std::function<void(const HttpResponse& head, std::span<const std::byte> piece)> receive = {};
};

// Keeps connections for further requests. Thread-safe.
class HttpClient {
 public:
  explicit HttpClient(const RemoteOptions& options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Answers of every status, and connections that broke, are returned. `wanted` is called at least
  // once a second and may throw. Throws untrusted when the server does not prove who it is, corrupt
  // for an answer beyond its limits (also of headers), io for the rest.
  HttpResponse perform(const HttpRequest& request, const std::function<void()>& wanted) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace organ::registry
