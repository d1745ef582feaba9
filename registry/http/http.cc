// SPDX-License-Identifier: Apache-2.0
// The one file that knows libcurl. It is loaded when it is first needed: with its thirty libraries
// it would be most of the time that other commands take to start.
#include "registry/http/http.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "registry/http/challenge.h"

namespace organ::registry {
namespace {

constexpr char kLibrary[] = "libcurl.so.4";
constexpr std::size_t kHeaderLimit = std::size_t{128} << 10;
constexpr std::size_t kHeaderCount = 512;
// Of an answer that says what went wrong, so much is kept.
constexpr std::size_t kRefusalLimit = std::size_t{64} << 10;
constexpr long kBufferSize = 512L << 10;

template <typename Function>
void find(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(::dlsym(library, name));
  if (function == nullptr) {
    fail(ErrorCode::io, "{}: has no function {}", kLibrary, name);
  }
}

// The functions that are used, by the types that its header declares.
struct Curl {
  decltype(::curl_global_init)* global_init = nullptr;
  decltype(::curl_easy_init)* easy_init = nullptr;
  decltype(::curl_easy_cleanup)* easy_cleanup = nullptr;
  decltype(::curl_easy_reset)* easy_reset = nullptr;
  decltype(::curl_easy_setopt)* easy_setopt = nullptr;
  decltype(::curl_easy_perform)* easy_perform = nullptr;
  decltype(::curl_easy_strerror)* easy_strerror = nullptr;
  decltype(::curl_slist_append)* slist_append = nullptr;
  decltype(::curl_slist_free_all)* slist_free_all = nullptr;

  Curl() {
    void* const library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      throw Error(ErrorCode::io, fmt::format("{}: cannot be loaded", kLibrary),
                  "push and pull need it; Debian has it in the package libcurl4");
    }
    find(library, "curl_global_init", global_init);
    find(library, "curl_easy_init", easy_init);
    find(library, "curl_easy_cleanup", easy_cleanup);
    find(library, "curl_easy_reset", easy_reset);
    find(library, "curl_easy_setopt", easy_setopt);
    find(library, "curl_easy_perform", easy_perform);
    find(library, "curl_easy_strerror", easy_strerror);
    find(library, "curl_slist_append", slist_append);
    find(library, "curl_slist_free_all", slist_free_all);
    if (global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
      fail(ErrorCode::io, "{}: cannot be initialised", kLibrary);
    }
  }
};

const Curl& curl() {
  static const Curl library;
  return library;
}

// One request under way: what libcurl's callbacks see.
struct Exchange {
  const HttpRequest& request;
  const std::function<void()>& wanted;
  HttpResponse response;
  std::uint64_t sent = 0;
  std::size_t header_bytes = 0;
  std::size_t header_count = 0;
  bool cut = false;           // enough of a refusal was read
  std::exception_ptr thrown;  // by a callback; no exception may pass through libcurl
  std::array<char, CURL_ERROR_SIZE> message{};

  // The action's result, or 0 for what it throws.
  template <typename Action>
  std::size_t guarded(std::size_t failure, const Action& action) {
    try {
      return action();
    } catch (...) {
      thrown = std::current_exception();
      return failure;
    }
  }
  std::string subject() const { return quote(request.url.without_query()); }
};

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

// "HTTP/1.1 206 Partial Content": a further one (after 100 Continue) starts the answer afresh.
void take_status(Exchange& exchange, std::string_view line) {
  exchange.response = {};
  const std::size_t space = line.find(' ');
  const std::string_view digits = space == std::string_view::npos ? "" : line.substr(space + 1, 3);
  unsigned status = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') break;
    status = status * 10 + static_cast<unsigned>(c - '0');
  }
  exchange.response.status = status;
}

void take_header(Exchange& exchange, std::string_view line) {
  exchange.header_bytes += line.size();
  if (exchange.header_bytes > kHeaderLimit || ++exchange.header_count > kHeaderCount) {
    fail(ErrorCode::corrupt, "{}: more headers than {} bytes or {} lines", exchange.subject(),
         kHeaderLimit, kHeaderCount);
  }
  if (line.starts_with("HTTP/")) return take_status(exchange, line);
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  std::string name = lowered(trimmed(line.substr(0, colon)));
  std::string value = trimmed(line.substr(colon + 1));
  if (name == "www-authenticate") exchange.response.challenges.push_back(value);
  exchange.response.headers[std::move(name)] = std::move(value);
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  return exchange.guarded(0, [&] {
    take_header(exchange, {data, size * count});
    return size * count;
  });
}

void take_body(Exchange& exchange, std::span<const std::byte> piece) {
  HttpResponse& response = exchange.response;
  const bool wanted = response.status == 200 || response.status == 206;
  response.received += piece.size();
  if (wanted && response.received > exchange.request.limit) {
    fail(ErrorCode::corrupt, "{}: sends more than the {} bytes it may have", exchange.subject(),
         exchange.request.limit);
  }
  if (wanted && exchange.request.receive) return exchange.request.receive(response, piece);
  const std::size_t room =
      wanted ? piece.size() : std::min(piece.size(), kRefusalLimit - response.body.size());
  response.body.append(reinterpret_cast<const char*>(piece.data()), room);
  exchange.cut = !wanted && response.body.size() == kRefusalLimit;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  return exchange.guarded(0, [&]() -> std::size_t {
    take_body(exchange, std::as_bytes(std::span(data, size * count)));
    return exchange.cut ? 0 : size * count;
  });
}

std::size_t on_read(char* data, std::size_t size, std::size_t count, void* user) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  const HttpBody& body = exchange.request.body;
  return exchange.guarded(CURL_READFUNC_ABORT, [&] {
    const auto room = std::as_writable_bytes(std::span(data, size * count));
    const auto piece = room.first(
        static_cast<std::size_t>(std::min<std::uint64_t>(room.size(), body.size - exchange.sent)));
    if (body.fd >= 0) {
      read_at(body.fd, body.offset + exchange.sent, piece, exchange.subject());
    } else {
      std::memcpy(piece.data(), body.text.data() + exchange.sent, piece.size());
    }
    if (body.sent && !piece.empty()) body.sent(exchange.sent, piece);
    exchange.sent += piece.size();
    return piece.size();
  });
}

// libcurl sends a body again when a kept connection turns out to be closed.
int on_seek(void* user, curl_off_t offset, int origin) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
  exchange.sent = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  return static_cast<int>(exchange.guarded(1, [&]() -> std::size_t {
    exchange.wanted();
    return 0;
  }));
}

}  // namespace

// Not unnamed: the client's members hold it.
class EasyHandle {
 public:
  EasyHandle() : handle_(curl().easy_init()) {
    if (handle_ == nullptr) throw std::bad_alloc();
  }
  ~EasyHandle() { release(); }
  EasyHandle(EasyHandle&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)),
        headers_(std::exchange(other.headers_, nullptr)) {}
  EasyHandle& operator=(EasyHandle&&) = delete;

  void reset() { curl().easy_reset(handle_); }
  template <typename Value>
  void set(CURLoption option, Value value) {
    if (const CURLcode code = curl().easy_setopt(handle_, option, value); code != CURLE_OK) {
      fail(ErrorCode::io, "{}: option {}: {}", kLibrary, static_cast<int>(option),
           curl().easy_strerror(code));
    }
  }
  void set_headers(const std::vector<std::string>& lines) {
    curl().slist_free_all(std::exchange(headers_, nullptr));
    for (const std::string& line : lines) {
      curl_slist* const longer = curl().slist_append(headers_, line.c_str());
      if (longer == nullptr) throw std::bad_alloc();
      headers_ = longer;
    }
    set(CURLOPT_HTTPHEADER, headers_);
  }
  CURLcode perform() { return curl().easy_perform(handle_); }

 private:
  void release() {
    if (handle_ != nullptr) curl().easy_cleanup(handle_);
    if (headers_ != nullptr) curl().slist_free_all(headers_);
  }

  CURL* handle_ = nullptr;
  curl_slist* headers_ = nullptr;
};

namespace {

void set_method(EasyHandle& handle, const HttpRequest& request) {
  if (request.method == "GET") return handle.set(CURLOPT_HTTPGET, 1L);
  if (request.method == "HEAD") return handle.set(CURLOPT_NOBODY, 1L);
  handle.set(CURLOPT_UPLOAD, 1L);
  handle.set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  handle.set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body.size));
}

void set_callbacks(EasyHandle& handle, Exchange& exchange) {
  handle.set(CURLOPT_HEADERFUNCTION, &on_header);
  handle.set(CURLOPT_HEADERDATA, &exchange);
  handle.set(CURLOPT_WRITEFUNCTION, &on_body);
  handle.set(CURLOPT_WRITEDATA, &exchange);
  handle.set(CURLOPT_READFUNCTION, &on_read);
  handle.set(CURLOPT_READDATA, &exchange);
  handle.set(CURLOPT_SEEKFUNCTION, &on_seek);
  handle.set(CURLOPT_SEEKDATA, &exchange);
  handle.set(CURLOPT_XFERINFOFUNCTION, &on_progress);
  handle.set(CURLOPT_XFERINFODATA, &exchange);
  handle.set(CURLOPT_NOPROGRESS, 0L);
  handle.set(CURLOPT_ERRORBUFFER, exchange.message.data());
}

// What no request may change: TLS is verified, nothing is followed, nothing of the environment
// (proxies, ~/.netrc) is used.
void set_rules(EasyHandle& handle, const RemoteOptions& options, const std::string& ca_file,
               const Url& url) {
  handle.set(CURLOPT_URL, url.to_string().c_str());
  handle.set(CURLOPT_PROTOCOLS_STR, url.scheme.c_str());
  handle.set(CURLOPT_FOLLOWLOCATION, 0L);
  handle.set(CURLOPT_SSL_VERIFYPEER, 1L);
  handle.set(CURLOPT_SSL_VERIFYHOST, 2L);
  handle.set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!ca_file.empty()) {
    handle.set(CURLOPT_CAINFO, ca_file.c_str());
    handle.set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
  }
  // Empty: none, whatever $https_proxy says. This machine is not reached through another one, which
  // could see what is said in plain HTTP.
  handle.set(CURLOPT_PROXY, url.is_loopback() ? "" : options.proxy.c_str());
  handle.set(CURLOPT_NOPROXY, "");
  handle.set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  handle.set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  handle.set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  handle.set(CURLOPT_NOSIGNAL, 1L);
  handle.set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(options.connect_seconds));
  handle.set(CURLOPT_LOW_SPEED_LIMIT, 256L);  // bytes per second: below it, it stands still
  handle.set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(options.stall_seconds));
  handle.set(CURLOPT_BUFFERSIZE, kBufferSize);
  handle.set(CURLOPT_UPLOAD_BUFFERSIZE, kBufferSize);
  handle.set(CURLOPT_USERAGENT, "organ/" ORGAN_VERSION);
}

bool is_distrust(CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_ISSUER_ERROR ||
         code == CURLE_SSL_PINNEDPUBKEYNOTMATCH || code == CURLE_SSL_INVALIDCERTSTATUS;
}

// What a second try may change.
bool may_pass(CURLcode code) {
  constexpr std::array kPassing = {CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY,
                                   CURLE_COULDNT_CONNECT,      CURLE_PARTIAL_FILE,
                                   CURLE_GOT_NOTHING,          CURLE_OPERATION_TIMEDOUT,
                                   CURLE_SEND_ERROR,           CURLE_RECV_ERROR,
                                   CURLE_SSL_CONNECT_ERROR,    CURLE_WRITE_ERROR,
                                   CURLE_WEIRD_SERVER_REPLY,   CURLE_UNSUPPORTED_PROTOCOL};
  return std::ranges::find(kPassing, code) != kPassing.end();
}

std::string found_ca_file(const RemoteOptions& options) {
  if (!options.ca_file.empty()) return options.ca_file.string();
  const char* const given = std::getenv("SSL_CERT_FILE");
  return given == nullptr ? "" : given;
}

}  // namespace

std::string HttpResponse::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

struct HttpClient::Impl {
  RemoteOptions options;
  std::string ca_file;
  std::mutex mutex;
  std::vector<EasyHandle> idle;  // with their connections

  EasyHandle take() {
    const std::scoped_lock lock(mutex);
    if (idle.empty()) return {};
    EasyHandle handle = std::move(idle.back());
    idle.pop_back();
    return handle;
  }
  void give_back(EasyHandle handle) {
    const std::scoped_lock lock(mutex);
    idle.push_back(std::move(handle));
  }
};

HttpClient::HttpClient(const RemoteOptions& options) : impl_(std::make_unique<Impl>()) {
  impl_->options = options;
  impl_->ca_file = found_ca_file(options);
  if (!impl_->ca_file.empty()) (void)open_regular(impl_->ca_file);  // says it better than libcurl
}

HttpClient::~HttpClient() = default;

HttpResponse HttpClient::perform(const HttpRequest& request,
                                 const std::function<void()>& wanted) const {
  wanted();
  EasyHandle handle = impl_->take();
  handle.reset();
  Exchange exchange{.request = request, .wanted = wanted, .response = {}, .thrown = {}};
  set_rules(handle, impl_->options, impl_->ca_file, request.url);
  set_method(handle, request);
  std::vector<std::string> headers = request.headers;
  headers.emplace_back("Expect:");  // a second of waiting that no registry needs
  handle.set_headers(headers);
  set_callbacks(handle, exchange);
  const CURLcode code = handle.perform();
  if (exchange.thrown) std::rethrow_exception(exchange.thrown);
  if (code == CURLE_OK || exchange.cut) {
    if (!exchange.cut) impl_->give_back(std::move(handle));
    return std::move(exchange.response);
  }
  const std::string reason =
      exchange.message[0] == '\0' ? curl().easy_strerror(code) : exchange.message.data();
  if (is_distrust(code)) {
    throw Error(
        ErrorCode::untrusted,
        fmt::format("{}: does not prove who it is: {}", exchange.subject(), escape_text(reason)),
        "--ca FILE names the certificates that may have signed the server's");
  }
  if (!may_pass(code)) {
    fail(ErrorCode::io, "{}: {}", exchange.subject(), escape_text(reason));
  }
  exchange.response.broken = reason;
  exchange.response.unreached = code == CURLE_COULDNT_CONNECT;
  return std::move(exchange.response);
}

}  // namespace organ::registry
