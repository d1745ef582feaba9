// SPDX-License-Identifier: Apache-2.0
#include "registry/http/session.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"

namespace organ::registry {
namespace {

constexpr unsigned kMaxRedirects = 5;
constexpr unsigned kMaxRenewals = 2;
constexpr double kMaxPause = 60;

bool is_redirect(unsigned status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// What the registry says in the form of the OCI distribution specification; else nothing.
std::string reason_of(const HttpResponse& response) {
  try {
    const Json json = parse_json(
        response.body, {.bytes = std::uint64_t{64} << 10, .depth = 16, .foreign = true}, "answer");
    for (const JsonObject& error : JsonObject(json, "answer").objects("errors")) {
      std::string text = error.string("code");
      const std::string message = error.optional_string("message").value_or("");
      if (!message.empty()) text += ": " + message;
      return ": " + escape_text(text);
    }
  } catch (const Error&) {
    return {};  // not that form: the status must do
  }
  return {};
}

double asked_pause(const HttpResponse& response) {
  const std::string text = response.header("retry-after");
  if (text.empty() || text.size() > 6 ||
      text.find_first_not_of("0123456789") != std::string::npos) {
    return 0;
  }
  return std::min(std::stod(text), kMaxPause);
}

}  // namespace

bool may_pass(const HttpResponse& response) {
  const unsigned status = response.status;
  return !response.broken.empty() || status == 408 || status == 429 || status == 500 ||
         status == 502 || status == 503 || status == 504;
}

Session::Session(RemoteReference where, std::string access, RemoteOptions options, const Work& work)
    : where_(std::move(where)),
      access_(std::move(access)),
      options_(std::move(options)),
      work_(work),
      client_(options_) {
  origin_ = Url::parse("https://" + where_.authority() + "/", where_.authority());
  if (origin_.is_loopback())
    origin_ = Url::parse(scheme_of_host() + "://" + where_.authority() + "/", where_.authority());
}

void Session::require_wanted() const {
  work_.require_wanted();
  if (stopped_) fail(ErrorCode::cancelled, "the other transfers were given up");
}

// A host of this machine may speak either; whoever answers a greeting of TLS with something else
// speaks plain HTTP.
std::string Session::scheme_of_host() const {
  HttpRequest request{.url = origin_};
  request.url.target = "/v2/";
  request.limit = std::uint64_t{1} << 20;
  for (unsigned attempt = 0;; ++attempt) {
    const HttpResponse response = client_.perform(request, [this] { require_wanted(); });
    if (response.status != 0) return "https";
    if (!response.unreached) return "http";
    if (attempt == options_.retries) {
      throw Error(ErrorCode::io,
                  fmt::format("{}: {}", where_.authority(), escape_text(response.broken)),
                  "is a registry listening there?");
    }
    pause(attempt, response);
  }
}

void Session::also_read(const std::string& repository) { also_read_.push_back(repository); }

Url Session::url(const std::string& target) const {
  Url url = origin_;
  url.target = target;
  return url;
}

Url Session::upload_url(const HttpResponse& response, const Url& asked) const {
  const std::string location = response.header("location");
  const std::string subject = where_.authority() + ": Location of an upload";
  if (location.empty()) fail(ErrorCode::corrupt, "{}: is missing", subject);
  Url url = asked.resolve(location, subject);
  if (!url.same_origin(origin_)) {
    throw Error(ErrorCode::untrusted,
                fmt::format("{}: leads to {}", subject, quote(url.without_query())),
                "what is uploaded goes to the registry that was named and nowhere else");
  }
  return url;
}

void Session::pause(unsigned attempt, const HttpResponse& response) const {
  using Clock = std::chrono::steady_clock;
  double seconds = options_.backoff_seconds * std::exp2(std::min(attempt, 10U));
  seconds = std::min(std::max(seconds, asked_pause(response)), kMaxPause);
  const auto until = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < until) {
    require_wanted();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

HttpResponse Session::perform(const HttpRequest& request, Again again) const {
  for (unsigned attempt = 0;; ++attempt) {
    HttpResponse response = client_.perform(request, [this] { require_wanted(); });
    const bool given = request.receive && response.received > 0 &&
                       (response.status == 200 || response.status == 206);
    if (!may_pass(response) || given || again == Again::no || attempt >= options_.retries) {
      return response;
    }
    pause(attempt, response);
  }
}

HttpResponse Session::authorised(const HttpRequest& request, Again again) const {
  const bool ours = request.url.same_origin(origin_);
  for (unsigned renewals = 0;; ++renewals) {
    HttpRequest asked = request;
    std::string used;
    if (ours) {
      const std::scoped_lock lock(mutex_);
      used = authorization_;
    }
    if (!used.empty()) asked.headers.push_back("Authorization: " + used);
    HttpResponse response = perform(asked, again);
    if (response.status != 401 || !ours || renewals == kMaxRenewals) return response;
    if (!renew(used, response)) return response;
  }
}

HttpResponse Session::send(HttpRequest request, Again again) const {
  const bool follows = request.method == "GET" || request.method == "HEAD";
  const Url asked = request.url;
  for (unsigned redirects = 0;; ++redirects) {
    HttpResponse response = authorised(request, again);
    if (!follows || !is_redirect(response.status)) return response;
    const std::string subject = quote(asked.without_query()) + ": redirect";
    if (redirects == kMaxRedirects) {
      fail(ErrorCode::io, "{}: more than {} in a row", subject, kMaxRedirects);
    }
    const Url target = request.url.resolve(response.header("location"), subject);
    // A page of the network must not lead us to what listens on this machine.
    if (target.is_loopback() && !origin_.is_loopback()) {
      fail(ErrorCode::untrusted, "{}: leads to this machine, {}", subject,
           quote(target.without_query()));
    }
    request.url = target;
  }
}

const HttpResponse& Session::expect(const HttpResponse& response,
                                    std::initializer_list<unsigned> good,
                                    const std::string& subject) const {
  if (!response.broken.empty()) {
    throw Error(ErrorCode::io,
                fmt::format("{}: the connection broke: {}", subject, escape_text(response.broken)),
                std::string(kGoesOnHint));
  }
  if (std::ranges::find(good, response.status) != good.end()) return response;
  const std::string text =
      fmt::format("{}: answered {}{}", subject, response.status, reason_of(response));
  if (response.status == 404) throw Error(ErrorCode::not_found, text);
  if (response.status == 401 || response.status == 403) {
    throw Error(ErrorCode::io, text,
                "docker login " + where_.authority() + ", or --auth-file FILE, says who you are");
  }
  throw Error(ErrorCode::io, text);
}

}  // namespace organ::registry
