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

// An answer; when `receive` is called, what is known of it before its body.
struct HttpResponse {
  unsigned status = 0;                         // 0: there was none
  std::map<std::string, std::string> headers;  // names in lower case, the last of equal names
  std::vector<std::string> challenges;         // every WWW-Authenticate
  std::string body;                            // what `receive` did not take
  std::uint64_t received = 0;                  // bytes of body
  // Why there is no whole answer, as libcurl says it: no connection, or one that ended or stood
  // still too early. Only what a second try may change. Empty: the answer is whole, but that a body
  // with another status than 200 and 206 is cut at 64 KiB.
  std::string broken;
  bool unreached = false;  // nobody took the connection: of `broken`

  // By its name in lower case; empty: absent.
  std::string header(const std::string& name) const;
};

// The body of a request: a text, or a part of an open file. Borrows either for the request.
struct HttpBody {
  std::string_view text;
  int fd = -1;  // -1: the text
  std::uint64_t offset = 0;
  std::uint64_t size = 0;  // of the part, or of the text
  // Shown every piece before it is sent, with its place in the body; again when it is sent again.
  std::function<void(std::uint64_t at, std::span<const std::byte> piece)> sent = {};
};

struct HttpRequest {
  // GET and HEAD have no body; every other one sends it, if only an empty one.
  std::string method = "GET";
  Url url;
  std::vector<std::string> headers = {};  // "Name: value"
  HttpBody body = {};
  // Bytes that the body of an answer with status 200 or 206 may have; 0: none at all.
  std::uint64_t limit = 0;
  // Takes the body of an answer with status 200 or 206, in order; what it throws ends the request
  // and is thrown by perform(). Empty: it goes to HttpResponse::body.
  std::function<void(const HttpResponse& head, std::span<const std::byte> piece)> receive = {};
};

// Keeps connections for further requests. Thread-safe.
class HttpClient {
 public:
  // Opens no connection. Throws when the file of certificates is not there or cannot be opened.
  // libcurl.so.4 is loaded by the first request of the process.
  explicit HttpClient(const RemoteOptions& options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Sends one request; follows no redirect. Answers of every status, and connections that broke,
  // are returned. `wanted` is called at least once a second and may throw. Throws untrusted when
  // the server does not prove who it is, corrupt for an answer beyond its limits (also of headers:
  // 128 KiB, 512 lines), io for the rest, also where libcurl is not there.
  HttpResponse perform(const HttpRequest& request, const std::function<void()>& wanted) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace organ::registry
