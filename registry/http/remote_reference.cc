// SPDX-License-Identifier: Apache-2.0
#include "registry/http/remote_reference.h"

#include <algorithm>

#include "format/base/fail.h"
#include "registry/http/url.h"

namespace organ::registry {
namespace {

constexpr std::string_view kScheme = "oci://";
constexpr char kForm[] = "expected oci://HOST[:PORT]/REPOSITORY[:TAG|@sha256:HEX]";

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_tag_start(char c) { return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_'; }

// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*
bool is_component(std::string_view part) {
  if (part.empty() || !is_lower_or_digit(part.front()) || !is_lower_or_digit(part.back())) {
    return false;
  }
  for (std::size_t at = 0; at < part.size();) {
    if (is_lower_or_digit(part[at])) {
      ++at;
      continue;
    }
    const std::size_t end = std::min(
        static_cast<std::size_t>(std::find_if(part.begin() + static_cast<std::ptrdiff_t>(at),
                                              part.end(), is_lower_or_digit) -
                                 part.begin()),
        part.size());
    const std::string_view separator = part.substr(at, end - at);
    const bool dashes = separator.find_first_not_of('-') == std::string_view::npos;
    if (!dashes && separator != "." && separator != "_" && separator != "__") return false;
    at = end;
  }
  return true;
}

bool is_repository(std::string_view name) {
  if (name.empty() || name.size() > 255) return false;
  for (std::size_t at = 0;;) {
    const std::size_t slash = std::min(name.find('/', at), name.size());
    if (!is_component(name.substr(at, slash - at))) return false;
    if (slash == name.size()) return true;
    at = slash + 1;
  }
}

bool is_tag(std::string_view tag) {
  const auto inside = [](char c) { return is_tag_start(c) || c == '.' || c == '-'; };
  return !tag.empty() && tag.size() <= 128 && is_tag_start(tag.front()) &&
         std::ranges::all_of(tag, inside);
}

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw Error(ErrorCode::invalid_argument, fmt::format("{}: {}", quote(text), why), kForm);
}

}  // namespace

bool looks_like_remote(std::string_view text) { return text.starts_with(kScheme); }

RemoteReference RemoteReference::parse(std::string_view text) {
  if (!looks_like_remote(text)) refuse(text, "does not start with oci://");
  std::string_view rest = text.substr(kScheme.size());
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos) refuse(text, "names no repository");
  RemoteReference out;
  const std::string_view authority = rest.substr(0, slash);
  if (authority.find_first_of("?#") != std::string_view::npos) refuse(text, "its host is none");
  Url url;
  try {
    url = Url::parse("https://" + std::string(authority) + "/", "host");
  } catch (const Error&) {
    refuse(text, "its host is none");
  }
  out.host = url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
  if (authority.size() > out.host.size()) out.port = url.port;
  rest = rest.substr(slash + 1);
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    try {
      out.digest = Digest::parse(rest.substr(at + 1));
    } catch (const Error&) {
      refuse(text, "what follows @ is not sha256: and 64 hex digits");
    }
    rest = rest.substr(0, at);
  }
  if (const std::size_t colon = rest.find(':'); colon != std::string_view::npos) {
    out.tag = rest.substr(colon + 1);
    if (!is_tag(out.tag)) refuse(text, "what follows : is no tag");
    rest = rest.substr(0, colon);
  }
  out.repository = rest;
  if (!is_repository(rest)) refuse(text, "its repository is not lower-case parts joined by /");
  return out;
}

void RemoteReference::require_version() const {
  if (digest || !tag.empty()) return;
  throw Error(ErrorCode::invalid_argument, quote(to_string()) + ": names no version",
              "add :TAG or @sha256:HEX");
}

std::string RemoteReference::authority() const {
  return port == 0 ? host : host + ":" + std::to_string(port);
}

std::string RemoteReference::to_string() const {
  std::string text = std::string(kScheme) + authority() + "/" + repository;
  if (!tag.empty()) text += ":" + tag;
  if (digest) text += "@" + digest->to_string();
  return text;
}

std::string tag_of_version(std::string_view version) {
  std::string tag(version);
  std::ranges::replace(tag, '+', '_');
  if (!is_tag(tag)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: is too long for a tag", quote(version)),
                "name one: oci://HOST/REPOSITORY:TAG");
  }
  return tag;
}

}  // namespace organ::registry
