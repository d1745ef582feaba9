// SPDX-License-Identifier: Apache-2.0
// Addresses of HTTP, read strictly: what a registry answers is a stranger's text.
#pragma once

#include <string>
#include <string_view>

namespace organ::registry {

// An address without user, password and fragment. A value.
struct Url {
  std::string scheme;  // http or https
  std::string host;    // lower case; an IPv6 address without its brackets
  unsigned port = 0;
  std::string target;  // path and query, printable ASCII, starts with /

  // `subject` names where the text came from. Throws corrupt for what is no address of this form,
  // untrusted for plain http to a host that is not this machine.
  static Url parse(std::string_view text, std::string_view subject);
  // What a Location header means in an answer to this address: absolute, or a path of the same
  // origin. Throws as parse.
  Url resolve(std::string_view location, std::string_view subject) const;

  bool is_loopback() const;  // localhost, 127.0.0.0/8, ::1
  bool same_origin(const Url& other) const;
  std::string authority() const;  // host:port as a URL writes it, the port only when it is unusual
  std::string to_string() const;
  std::string without_query() const;  // for messages: queries carry signatures and tokens
};

bool is_loopback_host(std::string_view host);

// Percent-encoded for a query.
std::string encode_query(std::string_view text);

}  // namespace organ::registry
