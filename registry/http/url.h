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
  unsigned port = 0;   // never 0 after parse(): 80 or 443 where none is written
  std::string target;  // path and query, printable ASCII, starts with /

  // `subject` names where the text came from. A fragment is dropped. Throws corrupt for what is no
  // address of this form or longer than 16 KiB, untrusted for another scheme, and for plain http to
  // a host that is not this machine.
  static Url parse(std::string_view text, std::string_view subject);
  // What a Location header means in an answer to this address: absolute, or a path of the same
  // origin. Throws as parse.
  Url resolve(std::string_view location, std::string_view subject) const;

  bool is_loopback() const;                  // localhost, 127.0.0.0/8, ::1
  bool same_origin(const Url& other) const;  // scheme, host and port (RFC 6454)
  std::string authority() const;  // host:port as a URL writes it, the port only when it is unusual
  std::string to_string() const;
  std::string without_query() const;  // for messages: queries carry signatures and tokens
};

// The same of a host, written as Url::host; by its text alone, no name is looked up.
bool is_loopback_host(std::string_view host);

// Percent-encoded for a query: all but ASCII letters, digits and - . _ ~ (RFC 3986, 2.3).
std::string encode_query(std::string_view text);

}  // namespace organ::registry
