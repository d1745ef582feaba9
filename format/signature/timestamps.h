// SPDX-License-Identifier: Apache-2.0
// RFC 3161 time stamps of a signature: they keep it good after its certificate ended. organ speaks
// to no time-stamp authority; it writes the request and takes the response.
#pragma once

#include <string>
#include <string_view>

#include "format/base/error.h"

#pragma GCC visibility push(default)

namespace organ::format {

// The request (DER, application/timestamp-query) for the signature in this bundle: SHA-256, the
// authority's certificate asked for. Throws corrupt as verify_bundle does, invalid_argument for a
// bundle that was signed with a bare key, which needs no time.
std::string timestamp_request(std::string_view bundle, std::string_view subject);

// The bundle with this response (DER, application/timestamp-reply) added, all else as it was.
// Throws also invalid_argument: no granted response, another signature's, the same one twice, more
// than kMostTimestamps. Who stamped it is for verifiers to judge.
std::string with_timestamp(std::string_view bundle, std::string_view response,
                           std::string_view subject);

}  // namespace organ::format

#pragma GCC visibility pop
