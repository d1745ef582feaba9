// SPDX-License-Identifier: Apache-2.0
// WWW-Authenticate (RFC 9110, 11.6.1): what a server wants before it answers.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace organ::registry {

// One scheme that the server offers.
struct Challenge {
  std::string scheme;                             // lower case: basic, bearer
  std::map<std::string, std::string> parameters;  // names in lower case, the first of equal ones
};

// ASCII letters in lower case: names in headers are compared so (RFC 9110, 5.1).
std::string lowered(std::string text);

// Every challenge of one header, in its order; what is malformed ends the list. Quoted values come
// unquoted. Takes any bytes, throws no Error.
std::vector<Challenge> parse_challenges(std::string_view header);

}  // namespace organ::registry
