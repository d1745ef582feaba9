// SPDX-License-Identifier: Apache-2.0
#include "registry/http/url.h"

#include <arpa/inet.h>

#include <algorithm>

#include "format/base/error.h"
#include "format/base/fail.h"

namespace organ::registry {
namespace {

constexpr std::size_t kMaxLength = std::size_t{16} << 10;

unsigned usual_port(std::string_view scheme) { return scheme == "http" ? 80 : 443; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

[[noreturn]] void refuse(std::string_view text, std::string_view subject, std::string_view why) {
  fail(ErrorCode::corrupt, "{}: {} is no address: {}", subject, quote(text), why);
}

unsigned parse_port(std::string_view digits, std::string_view text, std::string_view subject) {
  unsigned port = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') refuse(text, subject, "its port is no number");
    port = port * 10 + static_cast<unsigned>(c - '0');
    if (port > 65535) refuse(text, subject, "its port is beyond 65535");
  }
  if (port == 0) refuse(text, subject, "its port is no number");
  return port;
}

// [::1]:5000 or host:5000.
void parse_authority(std::string_view authority, std::string_view text, std::string_view subject,
                     Url& url) {
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) refuse(text, subject, "a bracket is not closed");
    url.host = authority.substr(1, end - 1);
    std::ranges::transform(url.host, url.host.begin(), lower);
    in6_addr address{};
    if (::inet_pton(AF_INET6, url.host.c_str(), &address) != 1) {
      refuse(text, subject, "no IPv6 address stands in its brackets");
    }
    port = authority.substr(end + 1);
    if (!port.empty() && port.front() != ':') refuse(text, subject, "its port is no number");
  } else {
    const std::size_t colon = authority.find(':');
    url.host = authority.substr(0, colon);
    if (colon != std::string_view::npos) port = authority.substr(colon);
    std::ranges::transform(url.host, url.host.begin(), lower);
    if (url.host.empty() || !std::ranges::all_of(url.host, is_host_character)) {
      refuse(text, subject, "its host has other characters than letters, digits, '.' and '-'");
    }
  }
  url.port = port.empty() ? usual_port(url.scheme) : parse_port(port.substr(1), text, subject);
}

void check_target(std::string_view target, std::string_view text, std::string_view subject) {
  const auto printable = [](char c) { return c > ' ' && c < '\x7f'; };
  if (!std::ranges::all_of(target, printable)) {
    refuse(text, subject, "its path has other characters than printable ASCII");
  }
}

}  // namespace

bool is_loopback_host(std::string_view host) {
  const std::string name(host);
  in_addr four{};
  if (::inet_pton(AF_INET, name.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24) == 127;
  in6_addr six{};
  if (::inet_pton(AF_INET6, name.c_str(), &six) == 1) return IN6_IS_ADDR_LOOPBACK(&six);
  return name == "localhost";
}

Url Url::parse(std::string_view text, std::string_view subject) {
  if (text.size() > kMaxLength) refuse(text, subject, "it is longer than 16 KiB");
  Url url;
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) refuse(text, subject, "it has no scheme");
  url.scheme = text.substr(0, colon);
  std::ranges::transform(url.scheme, url.scheme.begin(), lower);
  if (url.scheme != "http" && url.scheme != "https") {
    fail(ErrorCode::untrusted, "{}: {} is neither http nor https", subject, quote(text));
  }
  std::string_view rest = text.substr(colon + 3);
  rest = rest.substr(0, rest.find('#'));
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  parse_authority(rest.substr(0, end), text, subject, url);
  url.target = rest.substr(end);
  if (!url.target.starts_with('/')) url.target.insert(0, 1, '/');
  check_target(url.target, text, subject);
  if (url.scheme == "http" && !url.is_loopback()) {
    throw Error(
        ErrorCode::untrusted,
        fmt::format("{}: {} is plain http to another machine", subject, quote(url.without_query())),
        "only a registry on this machine is spoken to without TLS");
  }
  return url;
}

Url Url::resolve(std::string_view location, std::string_view subject) const {
  if (!location.starts_with('/') || location.starts_with("//")) return parse(location, subject);
  if (location.size() > kMaxLength) refuse(location, subject, "it is longer than 16 KiB");
  Url url = *this;
  url.target = location.substr(0, location.find('#'));
  check_target(url.target, location, subject);
  return url;
}

bool Url::is_loopback() const { return is_loopback_host(host); }

bool Url::same_origin(const Url& other) const {
  return scheme == other.scheme && host == other.host && port == other.port;
}

std::string Url::authority() const {
  std::string text = host;
  if (host.find(':') != std::string::npos) text = "[" + host + "]";
  if (port != usual_port(scheme)) text += ":" + std::to_string(port);
  return text;
}

std::string Url::to_string() const { return scheme + "://" + authority() + target; }

std::string Url::without_query() const {
  return scheme + "://" + authority() + target.substr(0, target.find('?'));
}

std::string encode_query(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_host_character(lower(c)) || c == '~') {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace organ::registry
