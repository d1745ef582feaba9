// SPDX-License-Identifier: Apache-2.0
#include "format/base/error.h"

#include <utility>

namespace organ {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::already_exists: return "already_exists";
    case ErrorCode::corrupt: return "corrupt";
    case ErrorCode::unsupported_version: return "unsupported_version";
    case ErrorCode::untrusted: return "untrusted";
    case ErrorCode::incompatible: return "incompatible";
    case ErrorCode::conflict: return "conflict";
    case ErrorCode::io: return "io";
    case ErrorCode::cancelled: return "cancelled";
    case ErrorCode::device: return "device";
    case ErrorCode::internal: return "internal";
  }
  return "internal";
}

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return 2;
    case ErrorCode::incompatible: return 3;
    case ErrorCode::corrupt: return 4;
    case ErrorCode::untrusted: return 5;
    case ErrorCode::not_found: return 6;
    case ErrorCode::conflict: return 7;
    case ErrorCode::cancelled: return 130;
    default: return 1;
  }
}

Error::Error(ErrorCode code, std::string message, std::string hint)
    : code_(code), message_(std::move(message)), hint_(std::move(hint)), what_(message_) {}

Error& Error::with_context(std::string context) {
  what_ += " (while " + context + ")";
  context_.push_back(std::move(context));
  return *this;
}

}  // namespace organ
