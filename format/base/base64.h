// SPDX-License-Identifier: Apache-2.0
// RFC 4648 base64, standard alphabet with padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace organ {

// On one line. Any bytes; none give "".
std::string base64_encode(std::string_view bytes);

// nullopt unless the text is the one canonical encoding of some bytes: no white space, no URL
// alphabet, padding present, unused bits zero.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace organ
