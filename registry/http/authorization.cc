// SPDX-License-Identifier: Apache-2.0
// Answering challenges: Basic, and Bearer with a token from the server that the challenge names.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "format/base/base64.h"
#include "format/base/fail.h"
#include "format/base/json.h"
#include "registry/http/challenge.h"
#include "registry/http/session.h"

namespace organ::registry {
namespace {

constexpr std::uint64_t kTokenLimit = std::uint64_t{256} << 10;

std::string parameter(const Challenge& challenge, const std::string& name) {
  const auto found = challenge.parameters.find(name);
  return found == challenge.parameters.end() ? std::string() : found->second;
}

const Challenge* find(const std::vector<Challenge>& challenges, std::string_view scheme) {
  const auto found = std::ranges::find(challenges, scheme, &Challenge::scheme);
  return found == challenges.end() ? nullptr : &*found;
}

std::string basic(const Credentials& credentials) {
  return "Basic " + base64_encode(credentials.user + ":" + credentials.password);
}

// One host is the other, or lies below it.
bool are_related(const std::string& a, const std::string& b) {
  return a == b || a.ends_with("." + b) || b.ends_with("." + a);
}

// It becomes a header: a line feed in it would be a header of the server's choice.
std::string checked_token(const std::string& token, const std::string& subject) {
  const bool printable = std::ranges::all_of(token, [](char c) { return c > ' ' && c < '\x7f'; });
  if (token.empty() || !printable) {
    fail(ErrorCode::corrupt, "{}: its token is not a word of printable ASCII", subject);
  }
  return token;
}

std::string token_of(const HttpResponse& response, const std::string& subject) {
  const Json json = parse_json(
      response.body,
      {.bytes = kTokenLimit, .depth = 8, .string_bytes = kTokenLimit, .foreign = true}, subject);
  const JsonObject object(json, subject);
  std::string token = object.optional_string("token").value_or("");
  if (token.empty()) token = object.optional_string("access_token").value_or("");
  return checked_token(token, subject);
}

}  // namespace

// With mutex_ held. Asked for once: a credential helper may ask a person.
const std::optional<Credentials>& Session::credentials() const {
  if (!credentials_) credentials_ = find_credentials(where_, options_.auth_file, work_);
  return *credentials_;
}

void Session::check_realm(const Url& realm) const {
  if (realm.is_loopback() && !origin_.is_loopback()) {
    fail(ErrorCode::untrusted, "{}: wants a token from {}, which is this machine",
         where_.authority(), quote(realm.without_query()));
  }
  if (!credentials() || are_related(realm.host, origin_.host)) return;
  if (std::ranges::find(options_.token_hosts, realm.host) != options_.token_hosts.end()) return;
  throw Error(ErrorCode::untrusted,
              fmt::format("{}: wants its credentials sent to another host, {}", where_.authority(),
                          quote(realm.without_query())),
              "--token-host " + realm.host + " allows it, if that host is to know them");
}

// A refresh token is exchanged by OAuth 2, everything else by the older GET.
std::string Session::token_from(const std::string& realm, const std::string& service) const {
  const std::string subject = where_.authority() + ": realm";
  HttpRequest request{.url = Url::parse(realm, subject)};
  check_realm(request.url);
  request.limit = kTokenLimit;
  const std::string name = quote(request.url.without_query());
  std::vector<std::string> scopes{"repository:" + where_.repository + ":" + access_};
  for (const std::string& other : also_read_) scopes.push_back("repository:" + other + ":pull");
  const std::optional<Credentials>& known = credentials();
  std::string words = "service=" + encode_query(service);
  if (known && !known->identity_token.empty()) {
    std::string joined;
    for (const std::string& scope : scopes) joined += (joined.empty() ? "" : " ") + scope;
    words += "&scope=" + encode_query(joined) + "&client_id=organ&grant_type=refresh_token" +
             "&refresh_token=" + encode_query(known->identity_token);
    request.method = "POST";
    request.headers.emplace_back("Content-Type: application/x-www-form-urlencoded");
    request.body = {.text = words, .size = words.size()};
  } else {
    for (const std::string& scope : scopes) words += "&scope=" + encode_query(scope);
    if (known) request.headers.push_back("Authorization: " + basic(*known));
    request.url.target += (request.url.target.find('?') == std::string::npos ? "?" : "&") + words;
  }
  const HttpResponse response = perform(request, Again::yes);
  expect(response, {200}, name);
  return token_of(response, name);
}

bool Session::renew(const std::string& used, const HttpResponse& refusal) const {
  const std::scoped_lock lock(mutex_);
  if (authorization_ != used) return true;  // another thread was faster
  std::vector<Challenge> challenges;
  for (const std::string& header : refusal.challenges) {
    for (Challenge& one : parse_challenges(header)) challenges.push_back(std::move(one));
  }
  if (const Challenge* bearer = find(challenges, "bearer")) {
    authorization_ =
        "Bearer " + token_from(parameter(*bearer, "realm"), parameter(*bearer, "service"));
    return true;
  }
  if (find(challenges, "basic") == nullptr || !credentials()) return false;
  const std::string answer = basic(*credentials());
  if (answer == used) return false;  // they are wrong
  authorization_ = answer;
  return true;
}

}  // namespace organ::registry
